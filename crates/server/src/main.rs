//! The binary: the command line, and the parts wired to a server.
//!
//! It holds no mail logic: [`cli`] reads arguments and prints, [`serve`] opens the parts and runs them, [`try_it`] does the same in
//! a throw-away directory and sends a letter through.

use std::process::ExitCode;

mod cli;
mod config;
mod maildrop;
mod sandbox;
mod serve;
mod tlsa;
mod try_it;

/// Many small values come and go on every connection.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
