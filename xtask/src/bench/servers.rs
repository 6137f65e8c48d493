//! The two servers, each with a configuration of its own and a fresh spool on disk.

mod postfix;
mod posthouse;

use crate::process;
use anyhow::bail;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use postfix::last_delivered;
pub(super) use posthouse::{accounts, last_stored, restart};

/// Where the server under measurement listens.
pub(super) const PORT: u16 = 2525;
/// Where users log in, in [`Way::Strangers`].
pub(super) const SUBMISSION_PORT: u16 = 2587;
/// The next hop.
pub(super) const SINK_PORT: u16 = 2526;
/// The accounts of [`Way::Inboxes`]: `0box@load.test` and on.
pub(super) const ACCOUNTS: u32 = 100;

/// Programs of ours that run beside the server.
const OURS: [&str; 4] = ["xtask", "smtpload", "smtpsinkd", "nsd"];

/// Which server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Posthouse,
    Postfix,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Posthouse => "posthouse",
            Kind::Postfix => "postfix",
        })
    }
}

/// Where letters go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Nowhere: what is accepted stays.
    Hold,
    /// To the sink.
    Relay,
    /// To a next hop that is not there: all that is accepted is tried and put off.
    Deferred,
    /// To mailboxes here.
    Inboxes,
    /// Nowhere, and nobody is trusted: what comes are letters for mailboxes here, and log-ins.
    Strangers,
    /// Nowhere: it is found out who sent what comes.
    Verified,
    /// Nowhere: what users submit is signed.
    Signed,
}

/// How a server is set up.
#[derive(Clone, Copy)]
pub(super) struct Setup<'a> {
    pub(super) way: Way,
    /// A folder with `cert.pem` and `key.pem`.
    pub(super) tls: Option<&'a Path>,
    /// A folder with a `directory.sqlite` that has the accounts.
    pub(super) accounts: Option<&'a Path>,
}

impl Setup<'_> {
    pub(super) fn way(way: Way) -> Setup<'static> {
        Setup { way, tls: None, accounts: None }
    }
}

/// The processes of a server.
#[derive(Clone, Copy)]
pub(super) enum Processes {
    Only(u32),
    /// All in this world that are not the measurement's own.
    Others,
}

impl Processes {
    pub(super) fn ids(self) -> Vec<u32> {
        if let Processes::Only(id) = self {
            return vec![id];
        }
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let ours = |id: &u32| {
            let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            OURS.contains(&name.trim())
        };
        ids.filter(|id| !ours(id)).collect()
    }
}

/// A running server.
pub(super) struct Running {
    kind: Kind,
    place: PathBuf,
    child: Option<Child>,
}

impl Running {
    /// Starts it in a place of its own.
    pub(super) fn start(kind: Kind, place: &Path, setup: &Setup<'_>) -> anyhow::Result<Running> {
        fs::create_dir_all(place)?;
        let child = match kind {
            Kind::Posthouse => Some(posthouse::start(place, setup)?),
            Kind::Postfix => {
                postfix::start(place, setup)?;
                None
            }
        };
        Running::once_it_listens(kind, place, child)
    }

    fn once_it_listens(kind: Kind, place: &Path, child: Option<Child>) -> anyhow::Result<Running> {
        let running = Running { kind, place: place.to_owned(), child };
        if let Err(why) = listening(PORT, Duration::from_secs(20)) {
            let log = fs::read_to_string(place.join("log")).unwrap_or_default();
            bail!("{kind}: {why}\n{log}");
        }
        Ok(running)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn processes(&self) -> Processes {
        self.child.as_ref().map_or(Processes::Others, |child| Processes::Only(child.id()))
    }

    /// The one process of Posthouse.
    pub(super) fn id(&self) -> anyhow::Result<u32> {
        self.child.as_ref().map(Child::id).ok_or_else(|| anyhow::anyhow!("{} is many processes", self.kind))
    }

    /// The processor time it took so far.
    pub(super) fn cpu_seconds(&self) -> f64 {
        // One may end while we look; its time is then in its parent's.
        let stat = |id| fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let ticks = self.processes().ids().into_iter().filter_map(|id| all_ticks(&stat(id))).sum::<u32>();
        f64::from(ticks) / process::TICKS
    }

    /// The same, once it has nothing more to do.
    pub(super) fn settled_cpu_seconds(&self) -> f64 {
        let until = Instant::now() + Duration::from_secs(60);
        let mut last = self.cpu_seconds();
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = self.cpu_seconds();
            if now - last < 0.02 || Instant::now() > until {
                return now;
            }
            last = now;
        }
    }

    /// Ends it at once.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        match self.child.as_mut() {
            Some(child) => {
                child.kill()?;
                child.wait()?;
            }
            None => process::run(Command::new("postfix").arg("stop").stderr(Stdio::null()))?,
        }
        let until = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, PORT)).is_ok() {
            if Instant::now() > until {
                bail!("{} does not stop; see {}", self.kind, self.place.display());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// User and system time of a process and of its children that have ended.
fn all_ticks(stat: &str) -> Option<u32> {
    process::ticks(stat, 11, 4)
}

/// Waits until somebody listens.
pub(super) fn listening(port: u16, within: Duration) -> anyhow::Result<()> {
    listening_at("127.0.0.1", port, within)
}

/// The same at another address of loopback.
pub(super) fn listening_at(address: &str, port: u16, within: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + within;
    while TcpStream::connect((address, port)).is_err() {
        if Instant::now() > until {
            bail!("nobody listens at {address}:{port}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
