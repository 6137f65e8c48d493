//! The words of mail.
//!
//! Types that every other crate speaks in: [`Address`], [`Domain`], [`Envelope`], [`Status`], [`Reply`], [`LetterId`],
//! headers, the MIME façade ([`mime`]) and the delivery status documents ([`dsn`]). A value is parsed once at the edge
//! into one of these types; past that edge no bare `String` stands for an address, a domain, a status or an id.
//!
//! It never does IO, reads a clock, or draws randomness: times and random bits are arguments.

mod address;
mod domain;
pub mod dsn;
mod envelope;
pub mod header;
mod id;
pub mod mime;
mod reply;
mod status;
mod time;

pub use address::{Address, AddressError, LocalPart};
pub use domain::{Domain, DomainError};
pub use envelope::{
    BodyKind, ByMode, DeliverBy, Envelope, Notify, OriginalRecipient, Priority, Recipient, Ret, ReversePath, TlsWish,
};
pub use id::{IdError, LetterId};
pub use reply::Reply;
pub use status::{Class, Status, StatusError};
pub use time::UnixMillis;
