//! `posthouse serve` under a service manager: it is handed its sockets, says how it is, stops in order, and a restart refuses nobody.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and it stands outside: real processes, real sockets, real time"
)]

mod common;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, Running, Site, Smtp, letter};
use rustix::process::{Pid, Signal, kill_process};

const RESTARTS: usize = 12;
const CLIENTS: usize = 6;

/// The server as systemd would start it: the socket is descriptor 3 and has a name.
fn activated(socket: &TcpListener, name: &str, config: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    let script = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --config \"$1\"";
    command.args(["-c", script, env!("CARGO_BIN_EXE_posthouse")]).arg(config).env("LISTEN_FDNAMES", name);
    command.stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())));
    command
}

/// What one connection came to.
enum Met {
    /// A letter was accepted.
    Served,
    /// It was told to come again, or was ended in order by a server that stops.
    Later,
}

/// One connection with one letter; an error is a refusal, which nobody may see.
fn visit(address: SocketAddr) -> io::Result<Met> {
    let mut smtp = match Smtp::open(address) {
        // 421 instead of the greeting's 220, or an end behind it.
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe) => return Ok(Met::Later),
        opened => opened?,
    };
    match smtp.send("sender@elsewhere.test", "bob@example.test", &letter("stream", 500)) {
        Ok(_) => Ok(Met::Served),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe) => Ok(Met::Later),
        Err(error) if error.to_string().contains("421") => Ok(Met::Later),
        Err(error) => Err(error),
    }
}

/// Clients that come without a pause while `restart` is called again and again; each must be served, or told to come later.
fn stream(address: SocketAddr, mut restart: impl FnMut(&dyn Fn())) -> String {
    let stop = AtomicBool::new(false);
    let (served, later) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        match visit(address) {
                            Ok(Met::Served) => served.fetch_add(1, Ordering::Relaxed),
                            Ok(Met::Later) => later.fetch_add(1, Ordering::Relaxed),
                            Err(error) => return Err(error),
                        };
                    }
                    Ok(())
                })
            })
            .collect();
        for _ in 0..RESTARTS {
            restart(&|| {
                let before = served.load(Ordering::Relaxed);
                while served.load(Ordering::Relaxed) < before + 20 && !clients.iter().any(thread::ScopedJoinHandle::is_finished) {
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap().unwrap();
        }
    });
    let (served, later) = (served.into_inner(), later.into_inner());
    assert!(served >= RESTARTS * 20);
    format!("{served} letters over {RESTARTS} restarts, {later} connections told to come again, none refused")
}

#[test]
fn a_restart_refuses_no_connection_of_a_stream() {
    let site = Site::new(&["mx"], "[log]\nlevel = \"error\"\n");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let start = || Running::of(&mut activated(&socket, "mx", &site.config()), &site.config());
    let mut server = Some(start());
    let told = stream(address, |enough| {
        assert_eq!(server.as_ref().unwrap().address("mx"), address);
        enough();
        assert_eq!(server.take().unwrap().stop().code(), Some(0));
        // Who waits in the kernel now is served by the next one.
        server = Some(start());
    });
    assert_eq!(server.unwrap().stop().code(), Some(0));
    eprintln!("{told}");
}

/// The process that answers on a site's admin socket, ended with the test.
struct Answering<'a>(&'a Site);

impl Answering<'_> {
    fn pid(&self) -> Option<Pid> {
        let status = common::posthouse().args(["status", "--json", "--config"]).arg(self.0.config()).output().unwrap();
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).ok()?;
        Pid::from_raw(status["pid"].as_i64()?.try_into().ok()?)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::KILL).unwrap();
        }
    }
}

#[test]
fn a_server_that_nobody_manages_replaces_itself_and_refuses_no_connection() {
    let site = Site::new(&["mx"], "[log]\nlevel = \"error\"\n");
    let first = site.start();
    let address = first.address("mx");
    let (mut first, mut pids) = (Some(first), std::collections::HashSet::new());
    let now = Answering(&site);
    let told = stream(address, |enough| {
        assert!(pids.insert(now.pid().unwrap()), "it is the same process as before");
        enough();
        let restart = common::posthouse().args(["restart", "--config"]).arg(site.config()).output().unwrap();
        assert!(restart.status.success(), "{}", String::from_utf8_lossy(&restart.stderr));
        if let Some(first) = first.take() {
            assert_eq!(first.ended().code(), Some(0));
        }
        // Every other time by the signal.
        enough();
        let before = now.pid().unwrap();
        assert!(pids.insert(before), "it is the same process as before");
        kill_process(before, Signal::USR2).unwrap();
        let began = Instant::now();
        while now.pid().is_none_or(|pid| pid == before) {
            assert!(began.elapsed() < PATIENCE, "nobody has taken over from {before:?}");
        }
    });
    eprintln!("{told}");
    let inbox = site.inbox("bob").len();
    assert!(inbox >= RESTARTS * 20, "{inbox}");
}

#[test]
fn a_restart_that_would_fail_is_none() {
    let site = Site::new(&["mx"], "");
    let server = site.start();
    let address = server.address("mx");
    let good = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), format!("{good}\n[queue]\nno-such-key = 1\n")).unwrap();
    let data = site.data();
    let restart = || common::posthouse().args(["restart", "--data"]).arg(&data).output().unwrap();
    let failed = restart();
    let words = String::from_utf8(failed.stderr).unwrap();
    assert_eq!(failed.status.code(), Some(78), "{words}");
    assert!(words.contains("the new process ended before it was ready"), "{words}");
    server.wait_for_log("this one goes on");
    assert!(matches!(visit(address), Ok(Met::Served)));
    // A listener that is gone, and one that has come.
    std::fs::write(site.config(), good.replace("\"mx\"", "\"lmtp\"")).unwrap();
    let _now = Answering(&site);
    assert!(restart().status.success());
    assert_eq!(server.ended().code(), Some(0));
    assert_eq!(visit(address).err().map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn a_successor_that_needs_what_the_first_process_may_not_touch_does_not_take_over() {
    let (site, elsewhere) = (Site::new(&["mx"], ""), tempfile::tempdir().unwrap());
    let server = site.start();
    let good = std::fs::read_to_string(site.config()).unwrap();
    let moved = format!("data = \"{}/data\"", elsewhere.path().display());
    std::fs::write(site.config(), good.replace("data = \"data\"", &moved)).unwrap();
    let data = site.data();
    let restart = common::posthouse().args(["restart", "--data"]).arg(&data).output().unwrap();
    assert_ne!(restart.status.code(), Some(0));
    let said = server.wait_for_log("the sandbox does not let this process write in");
    assert!(said.contains(&elsewhere.path().display().to_string()) && said.contains("stop it and start it again"), "{said}");
    server.wait_for_log("this one goes on");
    assert!(matches!(visit(server.address("mx")), Ok(Met::Served)));
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(site.start().stop().code(), Some(0));
    assert!(elsewhere.path().join("data/queue").is_dir());
}

#[test]
fn without_activation_a_restart_does_refuse_so_the_stream_would_show_it() {
    let site = Site::new(&["mx"], "");
    let server = site.start();
    let address = server.address("mx");
    assert!(visit(address).is_ok());
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(visit(address).err().map(|error| error.kind()), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn a_socket_that_no_listener_wants_stops_the_start() {
    let site = Site::new(&["mx"], "");
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = activated(&socket, "imap", &site.config()).output().unwrap();
    let complained = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{complained}");
    assert!(complained.contains("with the name `imap`"), "{complained}");
}

#[test]
fn a_stop_lets_a_letter_under_way_finish_and_begins_no_other() {
    let site = Site::new(&["mx"], "");
    let server = site.start();
    let mut under_way = Smtp::open(server.address("mx")).unwrap();
    for line in ["MAIL FROM:<a@elsewhere.test>", "RCPT TO:<bob@example.test>", "DATA"] {
        assert!(under_way.command(line).unwrap()[0].starts_with(['2', '3']));
    }
    server.signal(Signal::TERM);
    server.wait_for_log("stopping");
    let accepted = under_way.command("Subject: last\r\n\r\none\r\n.").unwrap();
    assert!(accepted[0].starts_with("250"), "{accepted:?}");
    let next = under_way.reply().unwrap();
    assert!(next[0].starts_with("421"), "{next:?}");
    assert_eq!(server.ended().code(), Some(0));
}

struct Heard(UnixDatagram);

impl Heard {
    /// Messages up to the first with all these words.
    fn wait_for(&self, words: &[&str]) -> Vec<String> {
        let mut seen = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let count = self.0.recv(&mut buffer).unwrap_or_else(|error| panic!("no {words:?}: {error}, but {seen:?}"));
            let message = String::from_utf8(buffer[..count].to_vec()).unwrap();
            seen.push(message.clone());
            if words.iter().all(|word| message.contains(word)) {
                return seen;
            }
        }
    }
}

#[test]
fn the_manager_hears_of_the_start_a_reload_the_watchdog_and_the_end() {
    let site = Site::new(&["mx"], "");
    let path = site.dir.path().join("notify");
    let manager = Heard(UnixDatagram::bind(&path).unwrap());
    manager.0.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = common::posthouse();
    command.arg("serve").arg("--config").arg(site.config()).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let server = Running::of(&mut command, &site.config());
    assert_eq!(manager.wait_for(&["READY=1"]).len(), 1, "something was said before it was ready");
    // Twice, so that it goes on.
    for _ in 0..2 {
        manager.wait_for(&["WATCHDOG=1", "STATUS=taking mail; 0 letters queued"]);
    }
    server.signal(Signal::HUP);
    manager.wait_for(&["RELOADING=1", "MONOTONIC_USEC="]);
    manager.wait_for(&["READY=1"]);
    // A letter that does not end keeps it stopping, and it still lives.
    let mut under_way = Smtp::open(server.address("mx")).unwrap();
    for line in ["MAIL FROM:<a@elsewhere.test>", "RCPT TO:<bob@example.test>", "DATA"] {
        under_way.command(line).unwrap();
    }
    server.signal(Signal::TERM);
    manager.wait_for(&["STOPPING=1"]);
    manager.wait_for(&["WATCHDOG=1", "STATUS=stopping"]);
    under_way.command("\r\n.").unwrap();
    assert_eq!(server.ended().code(), Some(0));
}
