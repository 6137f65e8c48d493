//! Tests with other people's programs: mail servers, clients and libraries.
//!
//! Each runs in a world of its own (`world.rs`); what cannot run is skipped by name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a failure here is a failed test, and the tests stand outside: real processes, real sockets, real time"
)]

mod acme;
mod certificates;
mod dkim;
mod dmarc;
mod dnssec;
mod filters;
mod hop;
mod keys;
mod ldap;
mod local;
mod matrix;
mod parsers;
mod posthouse;
mod read_back;
mod relay;
mod reports;
mod sandboxed;
mod scan;
mod scram;
mod servers;
mod sink;
mod strangers;
mod submit;
mod throw_away;
mod tokens;
mod unit;
mod updates;
mod watching;
mod world;
