//! MTA-STS (RFC 8461): a domain says over HTTPS which hosts take its mail, and that they do so over TLS with certificates that hold.
//!
//! Pure parts: [`Record`] reads the TXT record that says whether there is a policy and when it changed, [`Policy`] reads and writes the policy
//! itself and matches hosts against it. Fetching, keeping and obeying a policy is delivery's work.
//!
//! A policy is always looked up for the domain of the recipient, never for a mail host's name (§3.1).

mod pattern;
mod policies;
mod policy;
mod record;

pub use pattern::Pattern;
pub use policies::{Asked, NoPolicies, Policies};
pub use policy::{Mode, Policy, PolicyError};
pub use record::{Record, RecordError};

/// The label in front of the domain whose TXT record announces a policy.
pub const RECORD_LABEL: &str = "_mta-sts";
/// The label in front of the domain whose host serves the policy over HTTPS (§3.3).
pub const HOST_LABEL: &str = "mta-sts";
/// Where that host serves it (§3.3).
pub const POLICY_PATH: &str = "/.well-known/mta-sts.txt";

#[cfg(test)]
mod tests;
