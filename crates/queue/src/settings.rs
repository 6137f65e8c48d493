//! What an operator may set of the queue.

use posthouse_config::{ByteSize, Period};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::schedule::sources::Sources;

/// Undelivered mail: how much is held, and how often delivery is tried.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The part of the spool that new letters pass through, written over in turn. It grows to this size when the traffic
    /// asks for it; between "64 MiB" and "64 GiB".
    pub spool_size: ByteSize,
    /// All the undelivered mail that may be held, with what waits longer. Past it new letters are refused with 452.
    pub size_max: ByteSize,
    /// How many letters may be held. Past it new letters are refused with 452; 0: no limit.
    pub letters_max: usize,
    /// What is to be left of the disk. With less new letters are refused with 452; "0 B": no limit.
    pub disk_free_min: ByteSize,
    /// How long after a failed attempt a letter is tried again. Each further wait is twice as long, up to `retry-max`.
    pub retry_first: Period,
    /// The longest wait between two attempts.
    pub retry_max: Period,
    /// How long delivery is tried before the letter goes back to its sender (RFC 5321 §4.5.4.1 asks for 4–5 days at least).
    pub expire: Period,
    /// After how long a sender is told once that the letter is late and still tried (RFC 3461 NOTIFY=DELAY). "0s": never.
    pub delay_warning: Period,
    /// New letters a minute of one sender (an account, or the domain of a reverse-path) that are tried; those beyond wait, a minute's letters
    /// may go at once. Without it there is no such limit.
    pub letters_per_minute_per_sender: Option<u32>,
    /// By which of our addresses letters leave: what `delivery.source` says.
    #[serde(skip)]
    pub sources: Sources,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            spool_size: ByteSize::mib(256),
            size_max: ByteSize::gib(16),
            letters_max: 2_000_000,
            disk_free_min: ByteSize::mib(128),
            retry_first: Period::minutes(5),
            retry_max: Period::hours(4),
            expire: Period::days(5),
            delay_warning: Period::hours(4),
            letters_per_minute_per_sender: None,
            sources: Sources::default(),
        }
    }
}
