//! What is known of the TLS on the way to other domains.
//!
//! [`Policies`] finds the MTA-STS policy of a recipient's domain (RFC 8461): it asks the DNS whether there is one, fetches it when it is new, and
//! keeps it across restarts for as long as the domain promised. What follows from a policy is delivery's decision.
//!
//! [`check`] compares our own policy with what is served and published of it.
//!
//! [`Sessions`] counts what comes of the TLS of connections, day by day, for the reports that domains ask for (RFC 8460).
//!
//! What must outlive the process is in `transit.sqlite`. Trouble with that file never stops a letter: policies are then known until the end
//! of the process.

pub mod check;
mod error;
mod fetch;
mod policies;
mod sessions;
mod settings;
mod store;

pub use error::TransitError;
pub use fetch::FetchError;
pub use policies::{Known, Lookup, Policies};
pub use sessions::Sessions;
pub use settings::{ReportSettings, Served, ServedMode, Settings};
pub use store::Store;
