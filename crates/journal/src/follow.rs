//! Somebody who is shown the steps of letters at the moment they are recorded, with the time that each took: for traces.
//!
//! The times are not kept: the journal's entries say when a step ended.

use posthouse_mail::{LetterId, UnixMillis};

use crate::entry::Event;

/// Is shown every step.
pub trait Follow: Send + Sync {
    /// Whether the steps of a letter are of interest at all: asked first, and often.
    fn wants(&self, letter: LetterId) -> bool;

    /// A step of such a letter. It is called where the step is recorded, so it never waits.
    fn step(&self, letter: LetterId, step: Step<'_>, lasted: Span);
}

/// What happened to a letter.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// What is recorded as well.
    Event(&'a Event),
    /// A filter was asked about it; what it changed is an event of its own.
    Asked {
        /// Its name in the configuration.
        filter: &'a str,
    },
}

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The beginning.
    pub began: UnixMillis,
    /// The end.
    pub ended: UnixMillis,
}

impl Span {
    /// A moment.
    #[must_use]
    pub fn at(moment: UnixMillis) -> Self {
        Self { began: moment, ended: moment }
    }
}
