//! `cargo xtask bench client`: our client library beside the others, each sending the same letters to Postfix's `smtp-sink`.
//!
//! Each peer is a program that makes every letter anew and sends it: `flood`, an example of our library; lettre and mail-send (built here, outside of the
//! workspace and its lock), nodemailer and smtplib, and Postfix's `smtp-source`, which makes nothing and only sends. They run in turn, several rounds, in a world of
//! their own; the time is that of the whole process. How many letters a peer gets is found out first, so that the slow ones end too.

mod delay;

use crate::{peers, process};
use anyhow::{Context, bail};
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Octets of a letter's text.
const SIZE: u32 = 10_240;
const SINK_PORT: u16 = 2525;
/// How long a measured run should take.
const RUN: Duration = Duration::from_secs(2);
/// The same with a long way to the sink. Connecting, greeting and farewell cost round trips too, which are not to count among so few letters.
const FAR_RUN: Duration = Duration::from_secs(20);
/// Letters to find out how fast a peer is.
const PILOT: u32 = 64;
const LETTERS_MAX: u32 = 10_000;

/// What is measured.
struct Row {
    name: &'static str,
    what: &'static str,
    connections: u32,
    /// The way to the sink and back.
    round_trip: Duration,
    /// One process for each letter.
    process: bool,
    /// The sink is ours, which offers CHUNKING; Postfix's does not.
    chunking: bool,
}

const NEAR: Row =
    Row { name: "client-1", what: "one connection", connections: 1, round_trip: Duration::ZERO, process: false, chunking: false };
const FAR: Row = Row { name: "client-far", what: "one connection, 20 ms away", round_trip: Duration::from_millis(20), ..NEAR };
const ROWS: [Row; 5] = [
    NEAR,
    Row { name: "client-16", what: "16 connections", connections: 16, ..NEAR },
    FAR,
    Row { name: "client-far-chunking", what: "one connection, 20 ms away, to a server with CHUNKING", chunking: true, ..FAR },
    Row { name: "client-process", what: "a process for each letter", process: true, ..NEAR },
];

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Peer {
    Posthouse,
    SmtpSource,
    Nodemailer,
    Smtplib,
    Lettre,
    MailSend,
    Msmtp,
}

const FLOODS: [Peer; 6] = [Peer::Posthouse, Peer::SmtpSource, Peer::Nodemailer, Peer::Smtplib, Peer::Lettre, Peer::MailSend];
const PROCESSES: [Peer; 2] = [Peer::Posthouse, Peer::Msmtp];

/// One line of the result.
#[derive(Serialize)]
struct Line {
    row: &'static str,
    what: &'static str,
    peer: Peer,
    letters: u32,
    /// Medians over the rounds.
    rate: f64,
    cpu_per_1000: f64,
    rounds: Vec<Figure>,
}

#[derive(Serialize, Clone, Copy)]
struct Figure {
    rate: f64,
    cpu_per_1000: f64,
}

struct Options {
    json: bool,
    row: Option<String>,
    /// All, if none are named.
    peers: Vec<Peer>,
    rounds: usize,
}

impl Options {
    fn parse(words: &[String]) -> anyhow::Result<Options> {
        let mut options = Options { json: false, row: None, peers: Vec::new(), rounds: 3 };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--json" => options.json = true,
                "--row" => options.row = Some(words.next().context("--row wants a name")?.clone()),
                "--peer" => options.peers.push(peer(words.next().context("--peer wants a name")?)?),
                "--rounds" => options.rounds = words.next().context("--rounds wants a number")?.parse()?,
                other => bail!("there is no option {other}; `cargo xtask help` lists them"),
            }
        }
        if options.row.as_ref().is_some_and(|name| ROWS.iter().all(|row| row.name != name)) {
            bail!("the rows are {}", ROWS.map(|row| row.name).join(", "));
        }
        Ok(options)
    }
}

impl Options {
    fn has(&self, peer: Peer) -> bool {
        self.peers.is_empty() || self.peers.contains(&peer)
    }

    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| self.row.as_deref().is_none_or(|name| name == row.name))
    }
}

fn peer(name: &str) -> anyhow::Result<Peer> {
    let read = Peer::deserialize(StrDeserializer::<serde::de::value::Error>::new(name));
    read.with_context(|| format!("there is no peer {name}"))
}

/// Builds what is needed and measures inside a world.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let peers = match peers::fetch(peers::Install::Allowed)? {
        peers::State::Ready(root) => root,
        peers::State::Missing(why) => bail!("Postfix, msmtp, node and Python are needed: {why}"),
    };
    let build = |what: &[&str]| process::run(process::cargo().args(["build", "--release", "--quiet", "--package"]).args(what));
    if options.has(Peer::Posthouse) {
        if options.rows().any(|row| row.process) {
            build(&["posthouse"])?;
        }
        build(&["posthouse-client", "--example", "flood"])?;
    }
    if options.rows().any(|row| row.chunking) {
        build(&["posthouse-client", "--example", "sink"])?;
    }
    if options.has(Peer::Lettre) {
        build_peer("lettre", LETTRE, include_str!("bench_client/lettre.rs.in"))?;
    }
    if options.has(Peer::MailSend) {
        build_peer("mail-send", MAIL_SEND, include_str!("bench_client/mail_send.rs.in"))?;
    }
    newest_nodemailer()?;
    std::fs::write(folder().join("nodemailer.js"), include_str!("bench_client/nodemailer.js"))?;
    std::fs::write(folder().join("flood.py"), include_str!("bench_client/flood.py"))?;
    let scratch = folder().join("scratch");
    std::fs::create_dir_all(&scratch)?;
    let mut world = Command::new("xtask/world.sh");
    world.arg(peers).arg(scratch).arg(std::env::current_exe()?).arg("bench-client-inside").args(words);
    process::run(&mut world)
}

const LETTRE: &str = "lettre = { version = \"0.11\", default-features = false, features = [\"smtp-transport\", \"pool\", \"builder\", \"tokio1\"] }";
const MAIL_SEND: &str =
    "mail-send = { version = \"0.5\", default-features = false, features = [\"builder\", \"aws-lc-rs\", \"tls12\"] }";

fn folder() -> PathBuf {
    process::target().join("bench").join("client")
}

/// A peer in Rust: a package of its own, with a lock of its own.
fn build_peer(name: &str, dependency: &str, source: &str) -> anyhow::Result<()> {
    let place = folder().join(name);
    std::fs::create_dir_all(place.join("src"))?;
    let manifest = format!(
        "[package]\nname = \"flood-{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependency}\n\
         tokio = {{ version = \"1\", features = [\"rt\", \"macros\", \"net\", \"time\"] }}\n"
    );
    write_if_new(&place.join("Cargo.toml"), &manifest)?;
    write_if_new(&place.join("src/main.rs"), source)?;
    let mut build = process::cargo();
    build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(place.join("Cargo.toml"));
    process::run(build.env("CARGO_TARGET_DIR", folder().join("target"))).with_context(|| format!("building {name}"))
}

/// This machine's node and the newest nodemailer, where there is npm: Debian's wait 40 ms a letter for delayed acknowledgements.
fn newest_nodemailer() -> anyhow::Result<()> {
    if !process::answers("npm", &["--version"]) || !Path::new("/usr/bin/node").exists() || folder().join("node").exists() {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    process::run(npm.args(["install", "--silent", "--no-audit", "--no-fund", "nodemailer"]).arg("--prefix").arg(folder()))?;
    std::fs::copy("/usr/bin/node", folder().join("node"))?;
    Ok(())
}

/// An unchanged file is not built again.
fn write_if_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) { Ok(()) } else { Ok(std::fs::write(path, text)?) }
}

/// Measures, as the first process of a world.
pub(crate) fn run_inside(words: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(words)?;
    let sink = sink()?;
    let ours = if options.rows().any(|row| row.chunking) { Some(our_sink()?) } else { None };
    let measured = rows(&options, ours.as_ref().map(|(_, port)| *port));
    for child in ours.map(|(child, _)| child).into_iter().chain([sink]) {
        stop(child)?;
    }
    measured
}

fn rows(options: &Options, ours: Option<u16>) -> anyhow::Result<()> {
    for row in options.rows() {
        let sink = ours.filter(|_| row.chunking).unwrap_or(SINK_PORT);
        let port = if row.round_trip.is_zero() { sink } else { delay::line(sink, row.round_trip / 2)? };
        let peers: &[Peer] = if row.process { &PROCESSES } else { &FLOODS };
        let mut lines = Vec::new();
        for &peer in peers.iter().filter(|&&peer| options.has(peer)) {
            let letters = how_many(row, peer, port)?;
            lines.push(Line { row: row.name, what: row.what, peer, letters, rate: 0.0, cpu_per_1000: 0.0, rounds: Vec::new() });
        }
        for _ in 0..options.rounds {
            for line in &mut lines {
                line.rounds.push(flood(row, line.peer, port, line.letters)?);
            }
        }
        for mut line in lines {
            line.rate = median(line.rounds.iter().map(|figure| figure.rate).collect());
            line.cpu_per_1000 = median(line.rounds.iter().map(|figure| figure.cpu_per_1000).collect());
            println!("{}", if options.json { serde_json::to_string(&line)? } else { text(&line) });
        }
    }
    Ok(())
}

fn text(line: &Line) -> String {
    let peer = serde_json::to_string(&line.peer).unwrap_or_default();
    format!(
        "{:<15} {:<14} {:>8.1} letters/s {:>9.4} CPU s/1,000 ({} letters)",
        line.row, peer, line.rate, line.cpu_per_1000, line.letters
    )
}

/// As many letters as take about [`RUN`].
fn how_many(row: &Row, peer: Peer, port: u16) -> anyhow::Result<u32> {
    if row.process {
        return Ok(100);
    }
    // Without what it takes to start, which is most of so short a run.
    let start = 1.0 / flood(row, peer, port, 1)?.rate;
    let pilot = f64::from(PILOT) / flood(row, peer, port, PILOT)?.rate;
    let each = ((pilot - start) / f64::from(PILOT - 1)).max(1e-6);
    let run = if row.round_trip.is_zero() { RUN } else { FAR_RUN };
    let wanted = run.as_secs_f64() / each;
    Ok(wanted.clamp(f64::from(PILOT), f64::from(LETTERS_MAX)).round() as u32)
}

fn flood(row: &Row, peer: Peer, port: u16, letters: u32) -> anyhow::Result<Figure> {
    let cpu = process::ended_cpu_seconds()?;
    let began = Instant::now();
    if row.process {
        for _ in 0..letters {
            process::output(&mut one(peer, port)).with_context(|| format!("{} of one letter", row.name))?;
        }
    } else {
        let mut command = command(row, peer, port, letters);
        process::output(&mut command).with_context(|| format!("{} with {:?}", row.name, command.get_program()))?;
    }
    let rate = f64::from(letters) / began.elapsed().as_secs_f64();
    Ok(Figure { rate, cpu_per_1000: (process::ended_cpu_seconds()? - cpu) / f64::from(letters) * 1000.0 })
}

fn command(row: &Row, peer: Peer, port: u16, letters: u32) -> Command {
    let folder = folder();
    let numbers = [row.connections.to_string(), letters.to_string(), SIZE.to_string()];
    let run = |program: &Path, first: &str| {
        let mut command = Command::new(program);
        command.arg(first).args(&numbers);
        command
    };
    let built = |name: &str| folder.join("target/release").join(name);
    match peer {
        Peer::Posthouse => run(&process::target().join("release/examples/flood"), &format!("smtp://127.0.0.1:{port}")),
        Peer::Lettre => run(&built("flood-lettre"), &port.to_string()),
        Peer::MailSend => run(&built("flood-mail-send"), &port.to_string()),
        Peer::Nodemailer | Peer::Smtplib => {
            let (program, script) = if peer == Peer::Nodemailer { ("node", "nodemailer.js") } else { ("python3", "flood.py") };
            let own = folder.join(program);
            let newest = own.exists();
            let mut command = Command::new(if newest { own } else { PathBuf::from(format!("/usr/bin/{program}")) });
            let modules = if newest { folder.join("node_modules") } else { PathBuf::from("/usr/share/nodejs") };
            command.arg(folder.join(script)).arg(port.to_string()).args(&numbers).env("NODE_PATH", modules);
            command
        }
        Peer::SmtpSource | Peer::Msmtp => {
            let mut command = Command::new("/usr/sbin/smtp-source");
            command.args([
                "-d",
                "-s",
                &numbers[0],
                "-m",
                &numbers[1],
                "-l",
                &numbers[2],
                "-f",
                "alice@load.test",
                "-t",
                "bob@sink.test",
            ]);
            command.arg(format!("inet:127.0.0.1:{port}"));
            command
        }
    }
}

/// One letter from start to accepted reply.
fn one(peer: Peer, port: u16) -> Command {
    let letter = "From: alice@load.test\nTo: bob@sink.test\nSubject: Hello\n\nHi.\n";
    let script = match peer {
        Peer::Posthouse => format!(
            "printf '{letter}' | {} send --server smtp://127.0.0.1:{port} --eml -",
            process::target().join("release/posthouse").display()
        ),
        Peer::Msmtp | Peer::SmtpSource | Peer::Nodemailer | Peer::Smtplib | Peer::Lettre | Peer::MailSend => {
            format!("printf '{letter}' | /usr/bin/msmtp --host=127.0.0.1 --port={port} --from=alice@load.test bob@sink.test")
        }
    };
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script]);
    command
}

fn sink() -> anyhow::Result<Child> {
    let mut sink = Command::new("/usr/sbin/smtp-sink");
    // It does not run as root.
    sink.args(["-u", "postfix", "-8", &format!("inet:127.0.0.1:{SINK_PORT}"), "1024"])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    let child = sink.spawn().context("smtp-sink")?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while !delay::listens(SINK_PORT) {
        if Instant::now() > deadline {
            bail!("smtp-sink does not listen");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(child)
}

/// Our own, and its port.
fn our_sink() -> anyhow::Result<(Child, u16)> {
    let mut sink = Command::new(process::target().join("release/examples/sink"));
    let mut child = sink.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("our sink")?;
    let mut port = String::new();
    BufReader::new(child.stdout.take().context("our sink's output")?).read_line(&mut port)?;
    Ok((child, port.trim().parse().context("our sink's port")?))
}

fn stop(mut sink: Child) -> anyhow::Result<()> {
    sink.kill()?;
    sink.wait()?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
