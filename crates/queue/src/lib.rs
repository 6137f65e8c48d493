//! Undelivered mail: the durable spool log and the pure scheduler.
//!
//! A letter enters by a [`Draft`] ([`Queue::begin`]) and leaves by a [`Lease`] ([`Queue::work`]). When [`Draft::commit`]
//! returns, the letter is on stable storage; when [`Lease::finish`] returns, so is what happened to each recipient. Nothing
//! in between is promised, and nothing that was promised is taken back by a crash or a power cut.
//!
//! The store is an append-only log in preallocated segments that are overwritten in place, written by one thread in group
//! commits. `docs/design/queue.md` holds its states and its invariants; the durable layout is in `layout.rs` alone.
//!
//! It never resolves a name, opens a connection or decides what a reply means. A failure to write stops acceptance
//! ([`QueueError::Failed`]) until the spool is opened again; a lack of room refuses new letters ([`QueueError::Full`]) and
//! leaves the old ones in order.

mod body;
mod draft;
mod entries;
mod error;
mod index;
mod inspect;
mod layout;
mod lease;
mod letter;
mod limits;
mod notes;
mod operate;
mod ops;
mod places;
mod queue;
mod recover;
mod salvage;
mod scan;
pub mod schedule;
mod settings;
#[cfg(feature = "sim")]
pub mod sim;
mod storage;
mod survey;
mod writer;

pub use body::BodyReader;
pub use draft::Draft;
pub use error::QueueError;
pub use inspect::{Inspection, Queued};
pub use lease::Lease;
pub use letter::{Change, DeliveryState, Letter, Origin, RecipientEnd, RecipientState};
pub use operate::{Listed, ListedPart, PartState, SilentSite, SiteStatus};
pub use queue::{Queue, Work};
pub use recover::{Damage, Recovered};
pub use salvage::{Salvaged, salvage};
pub use schedule::destinations::{Destination, NextHop, Towards};
pub use schedule::site::{Feedback, SiteLimits};
pub use schedule::sources::{Source, SourceRule, Sources};
pub use schedule::suspend::{Scope, Suspension};
pub use settings::Settings;

#[cfg(test)]
mod tests;
