//! That both servers do the work that is measured: a server that looks at nothing would be the fastest.

use super::super::flood::expect;
use super::super::servers::{PORT, Running, Way};
use super::filters::{ELSEWHERE, SENDER};
use anyhow::{Context, ensure};
use std::fs;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

/// Of strangers' letters: each of SPF and DKIM makes a letter pass DMARC alone, and without both it is refused. Of users' letters: they were signed.
pub(super) fn of_work(server: &Running, way: Way, letters: &[Vec<u8>]) -> anyhow::Result<()> {
    if way == Way::Signed {
        ensure!(holds(server.place(), b"DKIM-Signature: ")?, "{} has signed nothing", server.kind());
        return Ok(());
    }
    let letter = letters.first().context("there are no letters")?;
    let (own, elsewhere) = (format!("a@{SENDER}"), format!("a@{ELSEWHERE}"));
    let changed = changed(letter)?;
    let cases = [
        ("an honest letter", &own, letter, "250"),
        ("one that only SPF vouches for", &own, &changed, "250"),
        ("one that only DKIM vouches for", &elsewhere, letter, "250"),
        ("a forged one", &elsewhere, &changed, "550"),
    ];
    for (what, author, letter, code) in cases {
        let sent = answer(author, letter, code);
        sent.with_context(|| format!("{} is to answer {code} to {what}", server.kind()))?;
    }
    Ok(())
}

/// The same with a word of its text changed.
fn changed(letter: &[u8]) -> anyhow::Result<Vec<u8>> {
    let start = b"\r\n\r\nletter";
    let at = letter.windows(start.len()).position(|window| window == start).context("the letter has no text")?;
    let mut changed = letter.to_vec();
    changed.splice(at + 4..at + 10, *b"forged");
    Ok(changed)
}

fn answer(author: &str, letter: &[u8], code: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    expect(&mut replies, "220")?;
    let envelope = [
        (format!("EHLO mail.{SENDER}\r\n"), "250"),
        (format!("MAIL FROM:<{author}>\r\n"), "250"),
        ("RCPT TO:<0box@load.test>\r\n".to_owned(), "250"),
        ("DATA\r\n".to_owned(), "354"),
    ];
    for (command, code) in envelope {
        stream.write_all(command.as_bytes())?;
        expect(&mut replies, code)?;
    }
    stream.write_all(letter)?;
    expect(&mut replies, code)
}

/// Whether a file below has these octets.
fn holds(place: &Path, octets: &[u8]) -> anyhow::Result<bool> {
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        let is_it = if path.is_dir() {
            holds(&path, octets)?
        } else {
            // What is no file of letters (a socket, say) has none.
            fs::read(&path).is_ok_and(|all| all.windows(octets.len()).any(|window| window == octets))
        };
        if is_it {
            return Ok(true);
        }
    }
    Ok(false)
}
