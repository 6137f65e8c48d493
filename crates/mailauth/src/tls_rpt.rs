//! TLS-RPT (RFC 8460): where a domain wants to be told whether TLS on the way to it works.
//!
//! [`Record`] reads the TXT record at `_smtp._tls.DOMAIN`. It sends nothing.

mod record;

pub use record::{Destination, Record, RecordError};

/// The labels in front of the domain whose TXT record says where reports go.
pub const RECORD_LABELS: &str = "_smtp._tls";

#[cfg(test)]
mod tests;
