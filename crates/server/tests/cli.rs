//! The command line as a program: what it prints, what it returns, what it keeps to itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test, and the tests stand outside: real processes, real sockets, real time"
)]

mod common;

#[path = "cli/change.rs"]
mod change;
#[path = "cli/config.rs"]
mod config;
#[path = "cli/identities.rs"]
mod identities;
#[path = "cli/interrupt.rs"]
mod interrupt;
#[path = "cli/mail.rs"]
mod mail;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/merge.rs"]
mod merge;
#[path = "cli/queue.rs"]
mod queue;
#[path = "cli/reports.rs"]
mod reports;
#[path = "cli/send.rs"]
mod send;
#[path = "cli/sendmail.rs"]
mod sendmail;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/tls.rs"]
mod tls;
#[path = "cli/verify.rs"]
mod verify;

use std::path::Path;
use std::process::{Command, Output};

use common::posthouse;

/// What a command did.
struct Done {
    exit: i32,
    out: String,
    err: String,
}

/// Runs it in `directory` with nothing on standard input.
fn run(directory: &Path, arguments: &[&str]) -> Done {
    done(posthouse().current_dir(directory).args(arguments))
}

fn done(command: &mut Command) -> Done {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Done { exit: status.code().unwrap(), out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() }
}

impl Done {
    /// Its standard output, after it went well.
    fn ok(self) -> String {
        assert_eq!(self.exit, 0, "{}{}", self.out, self.err);
        self.out
    }

    fn json(self) -> serde_json::Value {
        let exit = self.exit;
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("exit {exit}: {error} in {:?} {}", self.out, self.err))
    }

    fn fails(&self, exit: i32, words: &str) {
        assert_eq!(self.exit, exit, "{}{}", self.out, self.err);
        assert!(self.err.contains(words), "no `{words}` in {}", self.err);
    }
}
