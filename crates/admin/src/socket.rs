//! The admin socket: how the command line asks a running server.
//!
//! It is `admin.sock` in the data directory, which its owner alone may open; who connects is known from the kernel and written down with each
//! change. A request is one line of JSON of at most 64 KiB; an answer is any number of lines with an `item`, and one with `end` or `error`.
//! One request is answered after the other; what a connection may take in time and memory is limited. Nothing is decided here: each order is
//! one operation of this crate.

mod client;
mod protocol;
mod server;

pub use client::{Answer, Client};
pub use protocol::{Order, SOCKET};
pub use server::{Office, Restarts, Tried, Watcher, serve};

#[cfg(test)]
mod tests;
