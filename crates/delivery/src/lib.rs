//! The one way out of the queue: plan, couriers, outcomes, bounces.
//!
//! A letter is leased ([`run`]), its recipients are sorted by where they go, carried there, and what became of each is settled: written
//! into the journal, told to the sender where that is due, and made durable in the queue. It never accepts a letter from outside and
//! never drops one: what cannot be finished stays in the queue.

mod bounce;
mod context;
mod courier;
mod derive;
mod forward;
mod outcome;
mod outlook;
mod place;
mod policy;
mod remove;
mod report;
mod run;
mod settings;
mod settle;
mod sign;
mod sort;
mod source;
mod way;

pub use bounce::DoubleBounces;
pub use context::Context;
pub use outlook::{HostOutlook, Outlook, OutlookQuestion, Reached, outlook};
pub use posthouse_mailauth::mta_sts::{NoPolicies, Policies};
pub use posthouse_mailauth::tls_rpt::{Ledger, NoLedger};
pub use posthouse_reports::Received;
pub use remove::remove;
pub use report::alarm::AlarmLetter;
pub use report::dmarc::DmarcReports;
pub use report::failure::{FailureReports, Failures};
pub use report::tls::TlsReports;
pub use run::{run, run_at};
pub use settings::{DestinationSettings, Settings, SettingsMistake, SourceSettings, TlsDemand, TlsFloor};
pub use way::{Way, WayError};
