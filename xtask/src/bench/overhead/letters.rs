//! Letters that are really signed, each another, and a generator that sends them.

use super::super::figures::median;
use super::super::flood::expect;
use super::super::servers::{Kind, PORT, SUBMISSION_PORT, Way};
use super::filters::{SELECTOR, SENDER};
use crate::process;
use anyhow::anyhow;
use std::fs;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

/// Connections, each with a thread.
const CONNECTIONS: usize = 50;
const BYTES: usize = 10_240;

/// Signs what is in a folder, by dkimpy.
const SIGN: &str = "import dkim,os,sys
folder,selector,domain=sys.argv[1:]
key=open(folder+'/key.pem','rb').read()
for name in os.listdir(folder+'/letters'):
    path=folder+'/letters/'+name
    letter=open(path,'rb').read()
    field=dkim.sign(letter,selector.encode(),domain.encode(),key,canonicalize=(b'relaxed',b'relaxed'))
    open(path,'wb').write(field+letter)
";

/// What a generator saw.
pub(super) struct Sent {
    pub(super) rate: f64,
    /// Milliseconds from MAIL to 250.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// So many different letters, ready to be sent behind DATA.
pub(super) fn make(folder: &Path, way: Way, count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let place = folder.join("letters");
    fs::create_dir_all(&place)?;
    let author = if way == Way::Signed { "signer@load.test".to_owned() } else { format!("a@{SENDER}") };
    let line = "x".repeat(62) + "\r\n";
    for number in 0..count {
        let letter = format!(
            "From: <{author}>\r\nTo: <0box@load.test>\r\nDate: Mon, 23 Nov 2026 21:00:00 +0000\r\nSubject: overhead {number}\r\n\
             Message-Id: <overhead.{number}@{SENDER}>\r\n\r\nletter {number}\r\n{}",
            line.repeat(BYTES / line.len())
        );
        fs::write(place.join(number.to_string()), letter)?;
    }
    if way == Way::Verified {
        process::run(Command::new("/usr/bin/python3").args(["-c", SIGN]).arg(folder).args([SELECTOR, SENDER]))?;
    }
    (0..count).map(|number| Ok([fs::read(place.join(number.to_string()))?, b".\r\n".to_vec()].concat())).collect()
}

/// Sends them all.
pub(super) fn send(way: Way, kind: Kind, letters: &[Vec<u8>]) -> anyhow::Result<Sent> {
    let began = Instant::now();
    let times = thread::scope(|scope| {
        let senders: Vec<_> =
            (0..CONNECTIONS.min(letters.len())).map(|first| scope.spawn(move || one(first, way, kind, letters))).collect();
        let joined = senders.into_iter().map(|sender| sender.join().map_err(|_| anyhow!("a sender's thread failed"))?);
        joined.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let mut times = times.concat();
    times.sort_by(f64::total_cmp);
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    let rate = f64::from(u32::try_from(times.len())?) / seconds;
    Ok(Sent { rate, p50: median(times).unwrap_or_default(), p99 })
}

/// Every so many-th letter, over one connection.
fn one(first: usize, way: Way, kind: Kind, letters: &[Vec<u8>]) -> anyhow::Result<Vec<f64>> {
    let (author, port) = match (way, kind) {
        (Way::Signed, Kind::Posthouse) => ("signer@load.test".to_owned(), SUBMISSION_PORT),
        // Of Postfix no log-in is asked: its network is trusted.
        (Way::Signed, Kind::Postfix) => ("signer@load.test".to_owned(), PORT),
        _ => (format!("a@{SENDER}"), PORT),
    };
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    let mut replies = BufReader::new(stream.try_clone()?);
    expect(&mut replies, "220")?;
    stream.write_all(format!("EHLO mail.{SENDER}\r\n").as_bytes())?;
    expect(&mut replies, "250")?;
    if port == SUBMISSION_PORT {
        // \0signer@load.test\0a password of some length
        stream.write_all(b"AUTH PLAIN AHNpZ25lckBsb2FkLnRlc3QAYSBwYXNzd29yZCBvZiBzb21lIGxlbmd0aA==\r\n")?;
        expect(&mut replies, "235")?;
    }
    let mut times = Vec::new();
    for letter in letters.iter().skip(first).step_by(CONNECTIONS) {
        let began = Instant::now();
        // RFC 2920: the envelope in one go.
        stream.write_all(format!("MAIL FROM:<{author}>\r\nRCPT TO:<0box@load.test>\r\nDATA\r\n").as_bytes())?;
        for code in ["250", "250", "354"] {
            expect(&mut replies, code)?;
        }
        stream.write_all(letter)?;
        expect(&mut replies, "250")?;
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    stream.write_all(b"QUIT\r\n")?;
    expect(&mut replies, "221")?;
    Ok(times)
}
