//! TLS-RPT (RFC 8460): where a domain wants to be told whether TLS on the way to it works, and the telling.
//!
//! Pure parts: [`Record`] reads the TXT record at `_smtp._tls.DOMAIN`, [`Report`] is a report in JSON, [`ReportLetter`] the letter that carries one.
//! What happens in sessions is given to a [`Ledger`]. Nothing is sent here.

mod ledger;
mod letter;
mod record;
mod report;

pub use ledger::{Ledger, NoLedger, Session};
pub use letter::ReportLetter;
pub use record::{Destination, Record, RecordError};
pub use report::{
    AppliedPolicy, DateRange, Failure, FailureDetail, PolicyResult, PolicyType, Report, ReportError, ResultType, Summary,
};

/// The labels in front of the domain whose TXT record says where reports go.
pub const RECORD_LABELS: &str = "_smtp._tls";

#[cfg(test)]
mod tests;
