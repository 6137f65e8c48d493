//! The two servers, each with a configuration of its own and a fresh spool on disk.

use crate::process;
use anyhow::{Context, bail};
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where the server under measurement listens.
pub(super) const PORT: u16 = 2525;
/// The next hop.
pub(super) const SINK_PORT: u16 = 2526;

/// Clock ticks in a second, as `/proc` counts them on Linux.
const TICKS: f64 = 100.0;

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

/// A running server.
pub(super) struct Running {
    kind: Kind,
    place: PathBuf,
    child: Option<Child>,
}

impl Running {
    /// Starts it: to relay to the sink, or to accept and hold.
    pub(super) fn start(kind: Kind, place: &Path, relay: bool) -> anyhow::Result<Running> {
        fs::create_dir_all(place)?;
        let child = match kind {
            Kind::Posthouse => Some(posthouse(place, relay)?),
            Kind::Postfix => {
                postfix(place, relay)?;
                None
            }
        };
        let running = Running { kind, place: place.to_owned(), child };
        if let Err(why) = listening(PORT, Duration::from_secs(20)) {
            let log = fs::read_to_string(place.join("log")).unwrap_or_default();
            bail!("{kind}: {why}\n{log}");
        }
        Ok(running)
    }

    /// The processor time it took so far.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            // Process 1 is ourselves; what is ours is either the server's one process or all of Postfix's.
            let wanted = self.child.as_ref().map_or(id != 1, |child| id == child.id());
            // One may end while we look; its time is then in its parent's.
            let stat = if wanted { fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default() } else { String::new() };
            ticks += all_ticks(&stat).unwrap_or(0);
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of ticks is small")]
        let ticks = ticks as f64;
        Ok(ticks / TICKS)
    }

    /// The same, once it has nothing more to do.
    pub(super) fn settled_cpu_seconds(&self) -> anyhow::Result<f64> {
        let until = Instant::now() + Duration::from_secs(60);
        let mut last = self.cpu_seconds()?;
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = self.cpu_seconds()?;
            if now - last < 0.02 || Instant::now() > until {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Ends it.
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
fn all_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    // proc(5): utime is the 14th field, and `rest` begins with the 3rd.
    Some(rest.split(' ').skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Waits until somebody listens.
pub(super) fn listening(port: u16, within: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + within;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > until {
            bail!("nobody listens on port {port}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn posthouse(place: &Path, relay: bool) -> anyhow::Result<Child> {
    // No courier: what is accepted stays.
    let concurrency = if relay { 100 } else { 0 };
    let config = format!(
        "hostname = \"mail.load.test\"\ndata = \"data\"\n[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.1:{PORT}\"\n\
         [intake]\ntrusted-networks = [\"127.0.0.0/8\"]\ngreeting-delay = \"0s\"\nletters-per-connection-max = 1000000\n\
         connections-per-address-max = 1000\n[delivery]\nsmarthost = \"smtp://127.0.0.1:{SINK_PORT}\"\nconcurrency-max = {concurrency}\n\
         concurrency-per-destination-max = 100\n[log]\nlevel = \"warn\"\n"
    );
    let file = place.join("posthouse.toml");
    fs::write(&file, config)?;
    let log = fs::File::create(place.join("log"))?;
    let mut serve = Command::new(process::target().join("release/posthouse"));
    serve.args(["serve", "--config"]).arg(file).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    serve.spawn().context("starting posthouse")
}

fn postfix(place: &Path, relay: bool) -> anyhow::Result<()> {
    let at = place.display();
    let way = if relay {
        "default_destination_concurrency_limit = 100\ninitial_destination_concurrency = 20\n"
    } else {
        "smtpd_client_restrictions = check_client_access static:HOLD\n"
    };
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {at}/spool\ndata_directory = {at}/data\ncommand_directory = /usr/sbin\n\
         daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\nmyhostname = mail.load.test\n\
         mydestination =\nmynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\ndisable_dns_lookups = yes\n\
         alias_maps =\nalias_database =\nsmtpd_relay_restrictions = permit_mynetworks reject\nmaillog_file_prefixes = {at}\n\
         maillog_file = {at}/log\nmessage_size_limit = 104857600\nrelayhost = [127.0.0.1]:{SINK_PORT}\n\
         smtp_connection_cache_destinations = 127.0.0.1\nin_flow_delay = 0\ndefault_process_limit = 700\n{way}"
    );
    let services = include_str!("../../../crates/server/tests/peers/conf/postfix-master.cf");
    let services = services.replacen("smtp      inet", &format!("127.0.0.1:{PORT} inet"), 1);
    fs::write("/etc/postfix/main.cf", main)?;
    fs::write("/etc/postfix/master.cf", services)?;
    fs::write("/etc/postfix/dynamicmaps.cf", "")?;
    fs::create_dir_all(place.join("spool"))?;
    fs::create_dir_all(place.join("data"))?;
    process::run(Command::new("chown").arg("postfix").arg(place.join("data")))?;
    process::run(Command::new("postfix").arg("start").stderr(Stdio::null()))
}
