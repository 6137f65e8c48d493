//! Stored mail: one SQLite database per account, `<dir>/<account>/mail.sqlite`, with large bodies as files in `bodies/` beside it.
//!
//! [`Mailboxes::deliver`] puts a letter into an account's inbox; when it returns the letter is on stable storage. Deliveries that wait for
//! the same account at the same time are committed together. The same letter for the same recipient is stored once, however often it is
//! delivered, also after it was read and removed: so a delivery that a crash interrupted is simply done again. [`Mailboxes::inbox`],
//! [`Mailboxes::read`] and [`Mailboxes::remove`] are what POP3 and the command line need; the tables are laid out for IMAP.
//!
//! A stored letter is the prefix of the delivery followed by the octets that came, unchanged. It is streamed in and out: memory holds one
//! chunk of a large letter. Nothing here knows addresses, passwords or protocols; an account is an opaque, path-safe name.
//! How long letters have lain in Junk folders is in one file for all accounts ([`Ages`]). A [`MailboxError`] that is temporary means: keep the letter and try again.

mod account;
mod ages;
mod body;
mod check;
mod error;
mod mailboxes;
mod schema;
mod settings;
mod writer;

pub use account::{Delivery, Expired, Folder, JunkState, Message, Uid};
pub use ages::{Ages, Passed, STEP_MAX};
pub use body::{Body, INLINE_BYTES_MAX};
pub use check::{Checked, check};
pub use error::MailboxError;
pub use mailboxes::{Lock, Mailboxes};
pub use settings::Settings as MailboxSettings;
