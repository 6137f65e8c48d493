//! The queue as an operator sees and changes it.
//!
//! [`View`] looks: into the queue of a running server, or into the spool that a stopped one left. [`Desk`] changes, and only what runs can be
//! changed: every change is durable in the queue first, then written into the journal with who did it. Nothing here decides when or where
//! a letter goes; that is the queue's and delivery's.

mod desk;
mod filter;
mod results;
mod summary;
mod view;
mod why;

pub use desk::{Affected, Change, Desk, Suspend, Who};
pub use filter::Filter;
pub use results::{Changed, DestinationInfo, QueuedInfo, QueuedLetter, QueuedState, RecipientInfo, Summary, SuspensionInfo};
pub use view::{Listing, View};
