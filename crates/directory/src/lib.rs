//! Identities: domains, accounts, aliases, credentials, and where an address leads.
//!
//! One SQLite file, `directory.sqlite`, holds everything but what happened at log-ins, which is in `logins.sqlite` beside it. [`Directory`] answers three questions: where does this address lead
//! ([`Directory::route`], [`Directory::expand`]), may this somebody come in ([`Directory::attempt`]), and may this account write in that name ([`Directory::may_send_as`]). Several processes may use the
//! file at once: what one commits the next question of any other sees.
//!
//! It never stores a password in clear, never hands out a hash, and never touches a letter or a mailbox: the folder of a removed
//! account is its caller's to keep or delete. A [`DirectoryError`] says whether the one who asked was wrong or the storage failed;
//! only the latter is temporary.

mod account;
mod app_password;
mod attempt;
mod check;
mod directory;
mod error;
mod forwarding;
mod grants;
mod guard;
mod lists;
mod memory;
mod names;
mod outside;
mod password;
mod protocol;
mod schema;
mod scram;
mod signing;
mod store;
mod tokens;

pub use account::{Account, AccountId, AccountIdError, Alias, Removed};
pub use app_password::{APP_PASSWORDS_MAX, AppPassword, AppPasswordName, AppPasswordNameError};
pub use attempt::{Attempt, LoggedIn};
pub use check::check;
pub use directory::Directory;
pub use error::DirectoryError;
pub use grants::GRANTS_MAX;
pub use guard::{CertificateLogin, Guard, LastUse, LoginSettings, Slowed, SlowedSubject, Subject, SubjectKind};
pub use lists::{SENDER_RULES_MAX, SenderEntry, SenderPattern, SenderPatternError, SenderRule};
pub use names::{ALIAS_DEPTH_MAX, EXPANSION_MAX, REPORTS, Route, TARGETS_MAX};
pub use outside::{OutsideChecking, OutsidePasswords, Unavailable};
pub use protocol::{Protocol, ProtocolError};
pub use signing::{DomainKey, KeyState, StoredKey};
pub use tokens::{TokenChecking, TokenError, TokenHint, Tokens};
