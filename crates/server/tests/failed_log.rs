//! The spool of a running server cannot be written any more: it says so to everybody, takes nothing more, and has lost nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;

use std::process::Command;

use common::{Running, Site, Smtp, letter};
use posthouse_queue::Queue;
use rustix::process::{Resource, Rlimit, prlimit};

#[test]
fn a_server_whose_spool_fails_says_421_and_keeps_what_it_has() {
    let site = Site::new(&["mx"], "[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n[delivery]\nconcurrency-max = 0\n");
    // Without the signal a write beyond the limit fails as one to a broken disk does.
    let mut command = Command::new("/bin/sh");
    let script = "trap '' XFSZ; exec \"$0\" serve --config \"$1\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_posthouse")]).arg(site.config());
    let server = Running::of(&mut command, &site.config());
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    let kept = smtp.send("a@elsewhere.test", "b@elsewhere.test", &letter("kept", 5_000)).unwrap();
    let no_file_may_have_an_octet = Rlimit { current: Some(0), maximum: None };
    prlimit(Some(server.pid()), Resource::Fsize, no_file_may_have_an_octet).unwrap();
    let refused = smtp.send("a@elsewhere.test", "b@elsewhere.test", &letter("refused", 5_000)).unwrap_err().to_string();
    assert!(refused.contains("421 4.3.0"), "{refused}");
    server.wait_for_log("the spool log has failed");
    let greeting = Smtp::connect(server.address("mx")).unwrap().reply().unwrap();
    assert_eq!(greeting, ["421 4.3.0 letters cannot be stored now, try again later"]);
    let status = common::posthouse().arg("status").arg("--config").arg(site.config()).output().unwrap();
    assert_eq!(status.status.code(), Some(75));
    let said = String::from_utf8(status.stdout).unwrap();
    assert!(said.contains("refusing mail: the spool log has failed"), "{said}");
    server.kill();
    let left = Queue::open_read_only(&site.data().join("queue")).unwrap().letters;
    assert_eq!(left.iter().map(|letter| letter.id).collect::<Vec<_>>(), [kept]);
}
