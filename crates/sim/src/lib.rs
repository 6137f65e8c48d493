//! A simulated mail network, for tests only: servers of ours, servers and clients that speak plain text, and DNS, in one thread with one seed.
//!
//! [`Net`] is the network, built host by host; [`seeds::run`] builds one at random, lets everything go wrong in it for two hours, then lets it be fair
//! until the queues are empty; [`judge::judge`] reads the trace and says which promise was broken. Everything between the doors of a server
//! is the product's own code: intake, queue, delivery, mailboxes, journal. What is simulated is the network, the clocks, chance, and the disk under
//! the queue; SQLite keeps its files in a folder of the run, and what it has committed survives a crash.
//! `docs/design/simulation.md` has the whole of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: what goes wrong here is to be seen at once"
)]

pub mod client;
pub mod fate;
pub mod judge;
pub mod ledger;
pub mod net;
pub mod remote;
pub mod seeds;
pub mod server;
mod talk;
mod wire;

pub use net::Net;
