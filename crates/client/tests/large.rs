//! A large file goes through little memory.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "the server here counts octets and shares no code with the client")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use posthouse_client::{Mailer, Message, block_on};

const FILE_BYTES: u64 = 100_000_000;
const MEMORY_KB_MAX: u64 = 16 * 1024;

/// Takes one letter and throws it away; how many octets it had.
fn server() -> (u16, Receiver<u64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    posthouse_runtime::task::thread("server", move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = vec![0; 64 * 1024];
        for reply in ["220 x\r\n", "250-x\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n"] {
            stream.write_all(reply.as_bytes()).unwrap();
            if !reply.starts_with("250 ok") {
                assert!(stream.read(&mut buffer).unwrap() > 0);
            }
        }
        let (mut taken, mut tail) = (0, Vec::new());
        while !tail.ends_with(b"\r\n.\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the client went away after {taken}");
            taken += u64::try_from(count).unwrap();
            tail.extend_from_slice(&buffer[..count]);
            tail.drain(..tail.len().saturating_sub(5));
        }
        stream.write_all(b"250 stored\r\n").unwrap();
        tell.send(taken).unwrap();
    })
    .unwrap();
    (port, told)
}

fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_file_of_100_mb_takes_less_than_16_mib() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    std::fs::File::create(&path).unwrap().set_len(FILE_BYTES).unwrap();
    let (port, told) = server();
    let mailer = Mailer::connect(&format!("smtp://127.0.0.1:{port}")).unwrap();
    let before = peak_memory_kb();
    let message =
        Message::builder().from("a@x.example").to("b@y.example").text("See the file.").attach_file(&path).build().unwrap();
    let report = block_on(mailer.send(&message)).unwrap().unwrap();
    assert!(report.is_complete());
    assert!(told.recv().unwrap() > FILE_BYTES / 3 * 4);
    let grown = peak_memory_kb() - before;
    assert!(grown < MEMORY_KB_MAX, "it took {grown} KiB");
}
