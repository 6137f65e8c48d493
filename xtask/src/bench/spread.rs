//! A generator of our own, for letters to many domains: the one from outside the repository numbers the names and not the domains.

use super::servers::PORT;
use anyhow::{Context, anyhow, bail};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;

/// Connections, each with a thread.
const CONNECTIONS: u32 = 20;
/// Octets of a letter.
const BYTES: usize = 10_240;

/// Sends so many letters, by turns to `d0.sink.test`, `d1.sink.test` …
pub(super) fn send(letters: u32, domains: u32) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || one(first, letters, domains))).collect();
        senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow!("a sender's thread failed"))?)
    })
}

/// Every so many-th letter, over one connection.
fn one(first: u32, letters: u32, domains: u32) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    stream.set_nodelay(true)?;
    let mut replies = BufReader::new(stream.try_clone()?);
    expect(&mut replies, "220")?;
    stream.write_all(b"EHLO load.test\r\n")?;
    expect(&mut replies, "250")?;
    let line = "x".repeat(62) + "\r\n";
    let body = format!("Subject: growth\r\n\r\n{}.\r\n", line.repeat(BYTES / line.len()));
    for number in (first..letters).step_by(CONNECTIONS as usize) {
        let domain = number % domains;
        // RFC 2920: the envelope in one go.
        let envelope = format!("MAIL FROM:<a@load.test>\r\nRCPT TO:<b@d{domain}.sink.test>\r\nDATA\r\n");
        stream.write_all(envelope.as_bytes())?;
        for code in ["250", "250", "354"] {
            expect(&mut replies, code)?;
        }
        stream.write_all(body.as_bytes())?;
        expect(&mut replies, "250")?;
    }
    stream.write_all(b"QUIT\r\n")?;
    expect(&mut replies, "221")
}

/// Reads a reply of one line or several.
fn expect(replies: &mut impl BufRead, code: &str) -> anyhow::Result<()> {
    loop {
        let mut line = String::new();
        if replies.read_line(&mut line).context("no reply")? == 0 {
            bail!("the server hung up before {code}");
        }
        let line = line.trim_end();
        if !line.starts_with(code) {
            bail!("{line}, not {code}");
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
