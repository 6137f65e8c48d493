//! The one door into the queue: listeners' connections, checks, limits, submission fix-up, accept.
//!
//! [`serve_smtp`] takes a connection from accept to close, [`serve_local`] one of a user of this machine. It couples the stream with a session of `posthouse_smtp`, which knows the protocol,
//! and answers the session's questions from the directory, the queue and the settings; the rules are in `check`, one file for each question.
//! A letter flows into the queue while it comes; the 250 is said after the queue has it on stable storage, and never otherwise.
//!
//! It never delivers, never decides where a letter goes, and never takes a letter for somebody elsewhere from a stranger. What fails here ends
//! in a 4xx and the letter stays with the sender. Every refusal is one line in the journal.

mod check;
mod context;
mod letter;
mod local;
mod note;
mod priority;
mod pump;
mod senders;
mod settings;
mod sign;
mod visit;

pub use context::{Context, ListenerKind};
pub use local::{AddressPattern, Grant, Local, LocalDoor, Submitter, origin};
pub use priority::PriorityMax;
pub use pump::{serve_local, serve_smtp};
pub use senders::{AuthorDomain, SenderPolicy, Senders};
pub use settings::Settings;
