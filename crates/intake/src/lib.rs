//! The one door into the queue: listeners' connections, checks, limits, submission fix-up, accept.
//!
//! [`serve_smtp`] takes a connection from accept to close, [`serve_local`] one of a user of this machine. It couples the stream with a session of `posthouse_smtp`, which knows the protocol,
//! and answers the session's questions from the directory, the queue and the settings; the rules are in `check`, one file for each question.
//! A letter flows into the queue while it comes; the 250 is said after the queue has it on stable storage, and never otherwise.
//!
//! It never delivers, never decides where a letter goes, and never takes a letter for somebody elsewhere from a stranger. What fails here ends
//! in a 4xx and the letter stays with the sender. Every refusal is one line in the journal.

mod abuse;
mod check;
mod context;
mod greylist;
mod hellos;
mod letter;
mod lists;
mod local;
mod milter;
mod note;
mod priority;
mod pump;
mod rates;
mod senders;
mod settings;
mod sign;
mod visit;

pub use abuse::Abuse;
pub use context::{Context, ListenerKind};
pub use greylist::{GreylistPolicy, GreylistSettings};
pub use lists::{ListKind, ListSettings, Lists};
pub use local::{AddressPattern, Grant, Local, LocalDoor, Submitter, origin};
pub use milter::{
    FailingFilter, FilterForm, Health, HttpFilterSettings, HttpFilters, MilterAddress, MilterAddressError, MilterSettings,
    OnFailure, Send,
};
pub use posthouse_mailauth::dmarc::NoLedger;
pub use priority::PriorityMax;
pub use pump::{serve_local, serve_smtp};
pub use rates::{RateLimits, Rates};
pub use senders::{AuthorDomain, SenderAction, SenderPolicy, Senders};
pub use settings::Settings;
