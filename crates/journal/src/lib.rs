//! The timeline of every letter and every login.
//!
//! Each step of a letter's life is an [`Entry`]: accepted, refused, tried, stored, bounced. [`Journal::record`] never waits and never
//! fails: a bounded channel leads to one writer thread that puts whatever has gathered into one SQLite transaction. What does not fit
//! is counted and logged, never waited for. [`Journal::query`] and [`Reader`] find a letter again by its id, an address or a
//! Message-ID; a reader may be another process while the server runs.
//!
//! The journal is a witness, not the truth: the spool holds every letter, so the file is written with `synchronous = NORMAL` and a
//! power cut may cost its last moments. Its failure never stops mail; it is logged, and the story has a gap.

mod check;
mod entry;
mod error;
mod follow;
mod journal;
mod recent;
mod settings;
mod store;
mod tally;
mod text;
mod writer;

pub use check::check;
pub use entry::{Entry, Event, Finding, Outcome};
pub use error::JournalError;
pub use follow::{Follow, Span, Step};
pub use journal::{Journal, Query, Reader};
pub use settings::Settings;
pub use tally::{Count, METERS, Meter};
