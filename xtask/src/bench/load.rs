//! The generator and the sink, run as programs.

use super::servers::{self, PORT, SINK_PORT};
use crate::process;
use anyhow::{Context, bail};
use serde::Deserialize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What is sent, and how.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) sessions: u32,
    pub(super) letters: u32,
    /// 0: as many as there are.
    pub(super) per_session: u32,
    /// Octets of a letter.
    pub(super) size: u32,
    /// Recipients of a letter.
    pub(super) recipients: u32,
    /// Whether each recipient has a number of its own before its address.
    pub(super) numbered: bool,
    pub(super) tls: bool,
    pub(super) pipelining: bool,
    pub(super) to: String,
}

/// The line of the generator.
#[derive(Deserialize, Clone)]
pub(super) struct Said {
    pub(super) ok: u32,
    pub(super) rate: f64,
    pub(super) lat_ms_p50: f64,
    pub(super) lat_ms_p99: f64,
    err: String,
}

impl Default for Load {
    fn default() -> Self {
        let to = "b@sink.test".to_owned();
        let (tls, pipelining, numbered) = (false, false, false);
        Self { sessions: 100, letters: 1, per_session: 0, size: 10_240, recipients: 1, numbered, tls, pipelining, to }
    }
}

impl Load {
    /// Sends to the server under measurement; every letter must be taken.
    pub(super) fn send(&self, tools: &Path) -> anyhow::Result<Said> {
        let mut load = self.command(tools);
        let line = process::output(&mut load)?;
        let said: Said = serde_json::from_str(line.trim()).context("the line of the generator")?;
        if said.ok != self.letters {
            bail!("{} of {} letters were taken: {}", said.ok, self.letters, said.err);
        }
        Ok(said)
    }

    /// Opens its sessions and holds them for some seconds without a letter.
    pub(super) fn hold(&self, tools: &Path, seconds: u32) -> anyhow::Result<Child> {
        let mut load = self.command(tools);
        load.args(["-D", &seconds.to_string()]).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(load.spawn()?)
    }

    fn command(&self, tools: &Path) -> Command {
        let mut load = Command::new(tools.join("smtpload"));
        let numbers = [
            ("-p", u32::from(PORT)),
            ("-s", self.sessions),
            ("-m", self.letters),
            ("-k", self.per_session),
            ("-l", self.size),
            ("-r", self.recipients),
        ];
        for (flag, number) in numbers {
            load.args([flag, &number.to_string()]);
        }
        for (flag, wanted) in [("-T", self.tls), ("-P", self.pipelining), ("-N", self.numbered)] {
            if wanted {
                load.arg(flag);
            }
        }
        if self.tls {
            load.args(["-V", "13"]);
        }
        load.args(["-f", "a@load.test", "-t", &self.to]);
        load
    }
}

/// A running sink.
pub(super) struct Sink(Child);

impl Sink {
    /// Listens until it has had so many recipients.
    pub(super) fn start(tools: &Path, port: u16, recipients: u32) -> anyhow::Result<Sink> {
        let mut sink = Command::new(tools.join("smtpsinkd"));
        sink.args(["-p", &port.to_string(), "-n", &recipients.to_string(), "-w", "60"]);
        let child = sink.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        servers::listening(port, Duration::from_secs(5))?;
        Ok(Sink(child))
    }

    /// Waits until it has had them all.
    pub(super) fn wait(self, recipients: u32) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        struct Got {
            sink_rcpts: u32,
        }
        let output = self.0.wait_with_output()?;
        let got: Got = serde_json::from_slice(&output.stdout).context("the line of the sink")?;
        if got.sink_rcpts < recipients {
            bail!("{} of {recipients} recipients came to the sink", got.sink_rcpts);
        }
        Ok(())
    }
}

/// The rate of the same load into a sink that does nothing: what generator and machine can do.
pub(super) fn ceiling(load: &Load, tools: &Path) -> anyhow::Result<f64> {
    let load = Load { tls: false, ..load.clone() };
    let sink = Sink::start(tools, PORT, load.letters * load.recipients)?;
    let said = load.send(tools)?;
    sink.wait(load.letters * load.recipients)?;
    Ok(said.rate)
}

/// The next hop of every relayed letter.
pub(super) fn next_hop(tools: &Path, recipients: u32) -> anyhow::Result<Sink> {
    Sink::start(tools, SINK_PORT, recipients)
}
