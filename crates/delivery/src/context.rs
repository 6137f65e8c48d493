//! What delivery works with.

use std::sync::Arc;

use posthouse_config::Network;
use posthouse_directory::Directory;
use posthouse_dns::Resolver;
use posthouse_journal::{Entry, Event, Journal, Span};
use posthouse_mail::{Domain, LetterId, UnixMillis};
use posthouse_mailauth::mta_sts::Policies;
use posthouse_mailauth::tls_rpt::Ledger;
use posthouse_mailbox::Mailboxes;
use posthouse_queue::Queue;
use posthouse_reports::Received;
use posthouse_runtime::clock;

use crate::bounce::DoubleBounces;
use crate::settings::Settings;

/// The state that all couriers share.
#[derive(Clone)]
pub struct Context {
    /// Our name: in EHLO, in reports, and the host at which MX loops are cut.
    pub hostname: Domain,
    /// Which domains and recipients are ours.
    pub directory: Directory,
    /// Where letters for our accounts go.
    pub mailboxes: Mailboxes,
    /// Where letters come from, and reports go.
    pub queue: Queue,
    /// When letters are tried again.
    pub schedule: posthouse_queue::Settings,
    /// Where each step is written down.
    pub journal: Journal,
    /// Who finds hosts.
    pub resolver: Resolver,
    /// Who knows what domains promise of their hosts.
    pub sts: Arc<dyn Policies>,
    /// Where it is written down how the TLS of connections went.
    pub ledger: Arc<dyn Ledger>,
    /// Where reports of other servers are read and kept.
    pub reports: Received,
    /// Networks that this server sends mail for (`intake.trusted-networks`): what comes from there is relayed and not forwarded, and keeps its sender.
    pub relays_for: Vec<Network>,
    /// What the operator set.
    pub settings: Arc<Settings>,
    /// Keeps the postmaster from being flooded.
    pub double_bounces: DoubleBounces,
}

impl Context {
    pub(crate) fn note(&self, letter: LetterId, event: Event) {
        self.journal.record(Entry::of(letter, now(), event));
    }

    /// Writes into the timeline what ends now.
    pub(crate) fn note_since(&self, letter: LetterId, event: Event, began: UnixMillis) {
        let ended = now();
        self.journal.record_span(Entry::of(letter, ended, event), Span { began, ended });
    }
}

pub(crate) fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}
