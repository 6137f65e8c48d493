//! An honest client beside 10,000 connections, half of them hostile: how long until its 250, against a quiet server in the same run.
//!
//! The crowd comes from as many loopback addresses and comes again when it is sent away. It shares the processors with the server, so what the
//! honest client loses is the crowd's own work too.

mod crowd;

use super::Bench;
use super::figures::{Figure, Report, median};
use super::servers::{self, Kind, PORT, Running, Setup, Way};
use anyhow::{Context, bail};
use crowd::Crowd;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Letters of the honest client, in each half.
const LETTERS: usize = 150;
/// How long it waits between them: it is a client, and no load.
const PAUSE: Duration = Duration::from_millis(20);
const BYTES: usize = 10_240;
/// Where the honest client comes from.
const HONEST: Ipv4Addr = Ipv4Addr::new(127, 200, 0, 1);

/// Measures.
pub(super) fn run(bench: &Bench) -> anyhow::Result<Report> {
    let accounts = servers::accounts(&bench.folder)?;
    let certificate = super::pairs::certificate(&bench.folder)?;
    let setup = Setup { way: Way::Strangers, tls: Some(&certificate), accounts: Some(&accounts) };
    let mut runs = Vec::new();
    for _ in 0..bench.pairs {
        runs.push(bench.with("flood", Kind::Posthouse, &setup, one)?);
    }
    let middle = |part: fn(&Run) -> f64| median(runs.iter().map(part).collect()).unwrap_or_default();
    let ratio = middle(|run| run.flood.0 / run.quiet.0);
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    let what = "a letter of an honest client, from connect to 250, beside 10,000 connections of which 5,000 are hostile";
    let mut report = Report::alone("flood", what, "median within twice that of a quiet server", ratio <= 2.0);
    report.posthouse =
        Some(Figure { p50_ms: Some(middle(|run| run.flood.0)), p99_ms: Some(middle(|run| run.flood.1)), ..Figure::default() });
    let report = report.with("quiet_p50_ms", rounded(middle(|run| run.quiet.0)));
    let report = report.with("quiet_p99_ms", rounded(middle(|run| run.quiet.1))).with("ratio", rounded(ratio));
    let report = report.with("cpu_of_server", rounded(middle(|run| run.cpu)));
    Ok(report.with("held", middle(|run| run.held).round()).with("came_a_second", middle(|run| run.came).round()))
}

/// Median and 99th percentile in milliseconds, without and with the crowd; and what the crowd did.
struct Run {
    quiet: (f64, f64),
    flood: (f64, f64),
    /// Processors that the server was busy on.
    cpu: f64,
    held: f64,
    came: f64,
}

fn one(server: &Running) -> anyhow::Result<Run> {
    // What is made once is not the measurement's.
    letters(10)?;
    let quiet = letters(LETTERS)?;
    let crowd = Crowd::start()?;
    crowd.wait()?;
    let (before, came, began) = (server.cpu_seconds(), crowd.came(), Instant::now());
    let flood = letters(LETTERS);
    let seconds = began.elapsed().as_secs_f64();
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let (held, came) = (count(crowd.held()), count(crowd.came() - came) / seconds);
    let cpu = (server.cpu_seconds() - before) / seconds;
    crowd.stop()?;
    Ok(Run { quiet, flood: flood?, cpu, held, came })
}

/// One after the other, each over a connection of its own.
fn letters(count: usize) -> anyhow::Result<(f64, f64)> {
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(letter()?.as_secs_f64() * 1000.0);
        thread::sleep(PAUSE);
    }
    times.sort_by(f64::total_cmp);
    let last = times.get((times.len() * 99 / 100).min(times.len() - 1)).copied().unwrap_or_default();
    Ok((median(times).unwrap_or_default(), last))
}

fn letter() -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut stream = connected(HONEST, PORT)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut replies = BufReader::new(stream.try_clone()?);
    expect(&mut replies, "220")?;
    for (line, code) in [
        ("EHLO honest.test\r\n", "250"),
        ("MAIL FROM:<a@honest.test>\r\n", "250"),
        ("RCPT TO:<0box@load.test>\r\n", "250"),
        ("DATA\r\n", "354"),
    ] {
        stream.write_all(line.as_bytes())?;
        expect(&mut replies, code)?;
    }
    let line = "x".repeat(62) + "\r\n";
    stream.write_all(format!("Subject: flood\r\n\r\n{}.\r\n", line.repeat(BYTES / line.len())).as_bytes())?;
    expect(&mut replies, "250")?;
    let took = began.elapsed();
    stream.write_all(b"QUIT\r\n")?;
    Ok(took)
}

/// A connection from an address of ours.
fn connected(from: Ipv4Addr, port: u16) -> anyhow::Result<TcpStream> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&fd, &SocketAddrV4::new(from, 0))?;
    connect(&fd, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let stream = TcpStream::from(fd);
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads a reply of one line or several.
pub(super) fn expect(replies: &mut impl BufRead, code: &str) -> anyhow::Result<()> {
    loop {
        let mut line = String::new();
        if replies.read_line(&mut line).context("no reply")? == 0 {
            bail!("the server hung up before {code}");
        }
        if !line.starts_with(code) {
            bail!("{}, not {code}", line.trim_end());
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
