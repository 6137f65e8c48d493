//! Posthouse: one process, one file of configuration.

use super::{ACCOUNTS, Kind, PORT, Running, SINK_PORT, SUBMISSION_PORT, Setup, Way};
use crate::process;
use anyhow::{Context, bail};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Nobody listens there.
const NOBODY_PORT: u16 = 2527;

pub(super) fn start(place: &Path, setup: &Setup<'_>) -> anyhow::Result<Child> {
    fs::write(place.join("posthouse.toml"), config(setup))?;
    if let Some(accounts) = setup.accounts {
        fs::create_dir_all(place.join("data"))?;
        fs::copy(accounts.join("directory.sqlite"), place.join("data/directory.sqlite"))?;
    }
    if setup.way == Way::Signed {
        let mut add = Command::new(program());
        add.args(["account", "add", "signer@load.test", "--password-env", "PASSWORD", "--data"]).arg(place.join("data"));
        process::output(add.env("PASSWORD", "a password of some length"))?;
    }
    serve(place)
}

/// Starts it again on what an earlier run left, without waiting until it listens.
pub(in super::super) fn restart(place: &Path) -> anyhow::Result<Running> {
    Ok(Running { kind: Kind::Posthouse, place: place.to_owned(), child: Some(serve(place)?) })
}

fn config(setup: &Setup<'_>) -> String {
    // No courier: what is accepted stays.
    let concurrency = if matches!(setup.way, Way::Hold | Way::Strangers | Way::Verified | Way::Signed) { 0 } else { 100 };
    let hop = if setup.way == Way::Deferred { NOBODY_PORT } else { SINK_PORT };
    let tls = setup.tls.map_or_else(String::new, |folder| {
        let folder = folder.display();
        format!("[tls]\ncertificate = [{{ cert = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }}]\n")
    });
    let users = format!("[[listener]]\nkind = \"submission\"\naddress = \"127.0.0.1:{SUBMISSION_PORT}\"\n");
    let (users, trust) = match setup.way {
        // What is set for the world outside holds for loopback too.
        Way::Strangers => {
            (users.as_str(), "plain-login-on-loopback = true\nrates.exempt = []\nlists.exempt = []\nsenders.policy = \"off\"")
        }
        Way::Verified => ("", "senders.exempt = []"),
        Way::Signed => (users.as_str(), "plain-login-on-loopback = true"),
        Way::Hold | Way::Relay | Way::Deferred | Way::Inboxes => ("", "trusted-networks = [\"127.0.0.0/8\"]"),
    };
    format!(
        "hostname = \"mail.load.test\"\ndata = \"data\"\n[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.1:{PORT}\"\n{users}{tls}\
         [intake]\n{trust}\ngreeting-delay = \"0s\"\nletters-per-connection-max = 1000000\n\
         connections-max = 20000\nconnections-per-address-max = 20000\nletter-size-max = \"64 MiB\"\n[delivery]\nsmarthost = \"smtp://127.0.0.1:{hop}\"\n\
         concurrency-max = {concurrency}\nconcurrency-per-destination-max = 100\n[dns]\nservers = [\"127.0.0.53:53\"]\n[log]\nlevel = \"info\"\n"
    )
}

fn program() -> PathBuf {
    process::target().join("release/posthouse")
}

fn serve(place: &Path) -> anyhow::Result<Child> {
    let log = fs::File::create(place.join("log"))?;
    let mut serve = Command::new(program());
    serve.args(["serve", "--config"]).arg(place.join("posthouse.toml"));
    serve.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    serve.spawn().context("starting posthouse")
}

/// Makes the accounts once for all runs: their passwords take longer than a run.
pub(in super::super) fn accounts(folder: &Path) -> anyhow::Result<PathBuf> {
    let made = folder.join("accounts");
    if made.join("complete").exists() {
        return Ok(made);
    }
    if made.exists() {
        fs::remove_dir_all(&made)?;
    }
    fs::create_dir_all(&made)?;
    let posthouse = |words: &[&str]| process::output(Command::new(program()).args(words).arg("--data").arg(&made));
    posthouse(&["domain", "add", "load.test"])?;
    for number in 0..ACCOUNTS {
        posthouse(&["account", "add", &format!("{number}box@load.test"), "--generate"])?;
    }
    fs::write(made.join("complete"), "")?;
    Ok(made)
}

/// When the last of so many letters was in its mailbox, in milliseconds of the day; the journal knows.
pub(in super::super) fn last_stored(place: &Path, letters: u32) -> anyhow::Result<f64> {
    let mut stored = Vec::new();
    // Of one address the journal shows a thousand letters: asked for each account it shows all.
    for account in 0..ACCOUNTS {
        stored.extend(stored_for(place, &format!("{account}box@load.test"))?);
    }
    if stored.len() != letters as usize {
        bail!("{} of {letters} letters came into the mailboxes", stored.len());
    }
    let last = stored.into_iter().max().unwrap_or_default();
    millis(&last).with_context(|| format!("`{last}` is no time"))
}

/// When each letter came into the mailbox.
fn stored_for(place: &Path, address: &str) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Trace {
        timelines: Vec<Timeline>,
    }
    #[derive(Deserialize)]
    struct Timeline {
        entries: Vec<Line>,
    }
    #[derive(Deserialize)]
    struct Line {
        at: String,
        text: String,
    }
    let mut trace = Command::new(program());
    trace.args(["trace", address, "--json", "--data"]).arg(place.join("data"));
    let trace: Trace = serde_json::from_str(&process::output(&mut trace)?).context("what `posthouse trace` says")?;
    let lines = trace.timelines.into_iter().flat_map(|timeline| timeline.entries);
    Ok(lines.filter(|line| line.text.starts_with("stored for ")).map(|line| line.at).collect())
}

/// `2026-11-24T03:12:09.120Z`: the days do not count, a run is over before the next.
fn millis(time: &str) -> Option<f64> {
    let (_, time) = time.trim_end_matches('Z').split_once('T')?;
    let mut parts = time.split(':');
    let mut next = || parts.next()?.parse::<f64>().ok();
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0)
}
