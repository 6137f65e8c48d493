//! Letters on their way out, over TCP to peers that do exactly what each test says.
//!
//! Queue, mailboxes, directory and journal are real, in a folder of their own. The time is what the test says it is: a letter is leased
//! when it is due at that time, and nothing waits.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]

mod dmarc_reports;
mod failure_reports;
mod forwards;
mod local;
mod plans;
mod remote;
mod reports;
mod reports_in;
mod require_tls;
mod sources;
mod tls;
mod tls_reports;
mod turns;
mod world;
