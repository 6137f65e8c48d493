//! Reports on mail.
//!
//! [`Evaluations`] counts what was found of letters that say they are of a domain that wants to know, day by day, for the reports that are
//! sent to it (RFC 9990).
//!
//! All of it is in `reports.sqlite`. Trouble with that file never stops a letter.

mod error;
mod evaluations;
mod settings;
mod store;

pub use error::ReportsError;
pub use evaluations::{Evaluations, Found};
pub use settings::DmarcSettings;
pub use store::Store;
