//! `posthouse try` as a program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Stdio};

use common::{posthouse, wait};
use rustix::process::{Pid, Signal, kill_process};

/// An offset at which all five ports are free now.
fn free_offset() -> u16 {
    let free = |offset: &u16| [25, 465, 587, 110, 995].iter().all(|port| TcpListener::bind(("127.0.0.1", port + offset)).is_ok());
    let first = 20_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    (first..60_000).step_by(7).find(free).unwrap()
}

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

#[test]
fn once_sends_a_letter_reads_it_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let offset = free_offset().to_string();
    let output = posthouse().args(["try", "--once", "--port-offset", &offset]).env("TMPDIR", temporary.path()).output().unwrap();
    let (said, complained) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    for expected in ["STARTTLS", "TLSv1.3", "AUTH SCRAM-SHA-256-PLUS", "Subject: The first letter", "Received: ", "250 2."] {
        assert!(said.contains(expected), "no `{expected}` in:\n{said}");
    }
    assert_eq!(complained, "");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "something was left in the temporary directory");
}

#[test]
fn json_is_one_object_with_everything_a_program_needs() {
    let data = tempfile::tempdir().unwrap();
    let offset = free_offset();
    let output = posthouse()
        .args(["try", "--once", "--json", "--password", "open sesame", "--port-offset", &offset.to_string(), "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["ports"]["submission"], 587 + offset);
    assert_eq!(told["accounts"][1]["address"], "bob@example.test");
    assert_eq!(told["accounts"][1]["password"], "open sesame");
    assert!(fs::read_to_string(told["ca"].as_str().unwrap()).unwrap().contains("BEGIN CERTIFICATE"));
    assert!(!told["dialogue"].to_string().contains("sesame"), "a secret in the dialogue");
    // A second time in the same directory: the first letter is still there, and the new one is the one that is read.
    let again = posthouse()
        .args(["try", "--once", "--json", "--port-offset", &offset.to_string(), "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
}

#[test]
fn a_used_port_is_named_with_the_way_out() {
    let offset = free_offset();
    let _taken = TcpListener::bind(("127.0.0.1", 587 + offset)).unwrap();
    let output = posthouse().args(["try", "--once", "--port-offset", &offset.to_string()]).output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(71), "{complained}");
    assert!(complained.contains(&format!("port {} is in use", 587 + offset)), "{complained}");
    assert!(complained.contains("--port-offset"), "{complained}");
}

#[test]
fn it_stays_until_it_is_interrupted_and_then_cleans_up() {
    use std::io::{BufRead as _, BufReader};
    let temporary = tempfile::tempdir().unwrap();
    let mut child = posthouse()
        .args(["try", "--port-offset", &free_offset().to_string()])
        .env("TMPDIR", temporary.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let settled = lines.by_ref().map(Result::unwrap).any(|line| line.contains("Ctrl-C"));
    assert!(settled, "it ended by itself");
    assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
    interrupt(&child);
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0);
}
