//! The service manager that started us: what it hands over, and what it wants to be told.
//!
//! [`handed_over`] takes the listening sockets of socket activation (sd_listen_fds(3)); they outlive us, so that a restart refuses nobody. [`Manager`]
//! tells of our state over `NOTIFY_SOCKET` (sd_notify(3)) and knows how often the watchdog wants to hear of us. Without a manager both do
//! nothing. What cannot be told is logged and changes nothing. [`Successor`] and [`predecessor`] are for a restart without any manager.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};

use crate::net::Listener;

mod handover;

pub use handover::{Predecessor, Prepared, Successor, predecessor};

/// A listening socket that was handed over.
#[derive(Debug)]
pub struct HandedOver {
    /// Its name (`FileDescriptorName=` of the socket unit); empty without one.
    pub name: String,
    /// The socket.
    pub listener: Listener,
}

/// Takes the sockets that were handed over to this process; a second call finds none. To be called before any thread is started, for it tidies
/// the environment up.
///
/// # Errors
/// One of them is no listening TCP socket.
pub fn handed_over() -> io::Result<Vec<HandedOver>> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut sockets = ListenFd::from_env();
    let mut handed = Vec::new();
    for place in 0..sockets.len() {
        let name = names.next().unwrap_or_default().to_owned();
        if let Some(socket) = sockets.take_tcp_listener(place)? {
            handed.push(HandedOver { listener: Listener::handed_over(socket)?, name });
        }
    }
    Ok(handed)
}

/// Who started us, if it wants to be told.
#[derive(Debug)]
pub struct Manager {
    way: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// As the environment says.
    #[must_use]
    pub fn from_env() -> Self {
        let number = |name| std::env::var(name).ok()?.parse().ok();
        // The watchdog of another process is none of ours (sd_watchdog_enabled(3)).
        let ours = std::env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
        Self::new(std::env::var_os("NOTIFY_SOCKET"), number("WATCHDOG_USEC").filter(|_| ours))
    }

    fn new(name: Option<OsString>, watchdog_micros: Option<u64>) -> Self {
        let way = name.filter(|name| !name.is_empty()).and_then(|name| {
            let opened = address(&name).and_then(|address| Ok((socket()?, address)));
            opened.map_err(|error| tracing::warn!(socket = ?name, %error, "the service manager cannot be told anything")).ok()
        });
        let watchdog = watchdog_micros.filter(|micros| *micros > 0 && way.is_some()).map(Duration::from_micros);
        Self { way, watchdog }
    }

    /// Whether there is anybody to tell.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.way.is_some()
    }

    /// How often the watchdog is to be told that we live: twice in the time after which it would end us.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog.map(|period| period / 2)
    }

    /// Connections are taken; also after a reload.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read again; [`Manager::ready`] follows.
    pub fn reloading(&self) {
        // Type=notify-reload wants to know when it began, by the clock that systemd means (sd_notify(3)).
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Another process takes over: from its own first word on it is the one that the manager looks after.
    pub fn succeeded_by(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}"));
    }

    /// We live; `status` is shown to whoever asks the manager.
    pub fn alive(&self, status: &str) {
        let mut state = if self.watchdog.is_some() { "WATCHDOG=1\n".to_owned() } else { String::new() };
        // Writing to a String cannot fail; a line's end would end the variable.
        let _ = write!(state, "STATUS={}", status.replace(['\r', '\n'], " "));
        self.tell(&state);
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.way
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::warn!(%error, state, "the service manager could not be told");
        }
    }
}

/// One that does not wait for a manager which does not read.
fn socket() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A path, or a name in the abstract namespace behind an `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        Some((b'/', _)) => SocketAddr::from_pathname(name),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor an abstract name")),
    }
}

#[cfg(test)]
mod tests;
