//! Who really sent it: SPF, DKIM, DMARC, ARC and the fields that say so; and what a domain says of the TLS on the way to it (DANE, MTA-STS, TLS-RPT),
//! with what follows from that for a connection.
//!
//! Verdicts without side effects: a check reads octets and the DNS (through [`posthouse_dns::Resolve`], so a zone in memory does as well) and
//! says what it found, why, and which records it read. It never refuses a letter, never changes one, opens no socket and reads no clock: what
//! follows from a verdict is the caller's decision, and a deadline over a check is the caller's to set.
//!
//! DNS trouble is a `temperror` and never a failure; what is wrong for good with a record is a `permerror` and never a pass.

pub mod arc;
mod crypto;
pub mod dane;
pub mod dkim;
pub mod dmarc;
mod enclosed;
mod examine;
pub mod feedback;
mod fields;
pub mod iprev;
mod lookup;
pub mod mta_sts;
mod packed;
mod report_uri;
mod results;
pub mod spf;
pub mod srs;
mod tags;
pub mod tls_rpt;
pub mod transport;

pub use enclosed::Envelope as ReportEnvelope;
pub use examine::{Examination, Verdicts};
pub use lookup::{Looked, Lookups};
pub use results::{authentication_results, is_from};
