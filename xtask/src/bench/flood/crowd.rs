//! The crowd: 5,000 that behave and 5,000 that do not, each from an address of its own, in one thread.

use super::super::servers::{PORT, SUBMISSION_PORT};
use super::connected;
use anyhow::{anyhow, bail};
use rustix::event::epoll;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many there are.
pub(super) const MEMBERS: usize = 10_000;
/// Everybody has come, and some of them again.
const ALL: usize = MEMBERS / 10 * 11;
/// How long that may take.
const ALL_MAX: Duration = Duration::from_secs(60);
/// How soon one comes again that was sent away.
const AGAIN: Duration = Duration::from_secs(2);
/// How often everybody is asked whether it is its turn.
const TICK: Duration = Duration::from_millis(50);
/// New connections at one tick.
const CONNECTS_MAX: usize = 200;

/// What one does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Sends a letter now and then.
    Honest,
    /// An octet now and then.
    Slow,
    /// Talks before it is greeted.
    Early,
    /// Commands without end and without a letter.
    Endless,
    /// Begins a handshake and leaves it.
    HalfTls,
    /// Passwords.
    Guesser,
}

const HOSTILE: [Kind; 5] = [Kind::Slow, Kind::Early, Kind::Endless, Kind::HalfTls, Kind::Guesser];

impl Kind {
    fn of(number: usize) -> Kind {
        // Every other one behaves.
        if number.is_multiple_of(2) {
            Kind::Honest
        } else {
            HOSTILE.get(number / 2 % HOSTILE.len()).copied().unwrap_or(Kind::Slow)
        }
    }

    /// How long between its steps.
    fn pause(self) -> Duration {
        match self {
            Kind::Honest => Duration::from_secs(20),
            Kind::Slow | Kind::Early => Duration::from_secs(2),
            Kind::Endless => Duration::from_secs(1),
            Kind::HalfTls => Duration::from_secs(3600),
            Kind::Guesser => Duration::from_millis(500),
        }
    }
}

struct Member {
    kind: Kind,
    from: Ipv4Addr,
    stream: Option<TcpStream>,
    /// When it does its next step, or comes again.
    at: Instant,
    /// The steps since it came.
    step: u32,
    /// Whether the reply to the last one has come.
    answered: bool,
}

#[derive(Default)]
struct Counts {
    held: AtomicUsize,
    came: AtomicUsize,
    stop: AtomicBool,
}

/// A running crowd.
pub(super) struct Crowd {
    counts: Arc<Counts>,
    all: mpsc::Receiver<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Crowd {
    pub(super) fn start() -> anyhow::Result<Crowd> {
        let most = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?;
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let (told, all) = mpsc::channel();
        Ok(Crowd { counts, all, thread: thread::spawn(move || run(&shared, &told)) })
    }

    /// Waits until all have come.
    pub(super) fn wait(&self) -> anyhow::Result<()> {
        if self.all.recv_timeout(ALL_MAX).is_err() {
            bail!("only {} connections were made in {ALL_MAX:?}", self.came());
        }
        Ok(())
    }

    /// Connections that stand now.
    pub(super) fn held(&self) -> usize {
        self.counts.held.load(Ordering::Relaxed)
    }

    /// Connections that were made so far.
    pub(super) fn came(&self) -> usize {
        self.counts.came.load(Ordering::Relaxed)
    }

    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.counts.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread of the crowd failed"))?
    }
}

fn run(counts: &Counts, all: &mpsc::Sender<()>) -> anyhow::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let began = Instant::now();
    let mut members: Vec<Member> = (0..MEMBERS).map(|number| Member::new(number, began)).collect();
    let mut tick = began;
    let mut events = Vec::with_capacity(1024);
    let mut told = false;
    while !counts.stop.load(Ordering::Relaxed) {
        if !told && counts.came.load(Ordering::Relaxed) >= ALL {
            told = true;
            // Whoever waited may have given up.
            let _ = all.send(());
        }
        let now = Instant::now();
        if now >= tick {
            tick = now + TICK;
            let mut connects = CONNECTS_MAX;
            for (number, member) in members.iter_mut().enumerate().filter(|(_, member)| member.at <= now) {
                if member.stream.is_some() {
                    member.turn(now, counts);
                } else if connects > 0 {
                    connects -= 1;
                    member.come(number, &poll, now, counts)?;
                }
            }
        }
        events.clear();
        let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in &events {
            let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            if let Some(member) = members.get_mut(number) {
                member.hear(now, counts);
            }
        }
    }
    Ok(())
}

impl Member {
    fn new(number: usize, now: Instant) -> Member {
        let octet = |number: usize| u8::try_from(number).unwrap_or(0);
        let kind = Kind::of(number);
        // The hostile have networks of their own, as they mostly do.
        let network = if kind == Kind::Honest { 1 } else { 2 };
        let from = Ipv4Addr::new(127, network, octet(number / 250), octet(number % 250 + 1));
        Member { kind, from, stream: None, at: now, step: 0, answered: false }
    }

    fn come(&mut self, number: usize, poll: &OwnedFd, now: Instant, counts: &Counts) -> anyhow::Result<()> {
        let port = if self.kind == Kind::Guesser { SUBMISSION_PORT } else { PORT };
        self.at = now + AGAIN;
        let Ok(stream) = connected(self.from, port) else { return Ok(()) };
        stream.set_nonblocking(true)?;
        epoll::add(poll, &stream, epoll::EventData::new_u64(u64::try_from(number)?), epoll::EventFlags::IN)?;
        (self.stream, self.step, self.answered) = (Some(stream), 0, false);
        counts.held.fetch_add(1, Ordering::Relaxed);
        counts.came.fetch_add(1, Ordering::Relaxed);
        if self.kind == Kind::Early {
            self.say(b"EHLO early.test\r\nMAIL FROM:<>\r\nRCPT TO:<1box@load.test>\r\nDATA\r\n", counts);
        }
        Ok(())
    }

    /// Its turn has come.
    fn turn(&mut self, now: Instant, counts: &Counts) {
        self.at = now + self.kind.pause();
        match self.kind {
            Kind::Slow => self.say(b"E", counts),
            Kind::Early => self.go(now, counts),
            Kind::Endless if self.step > 0 => self.say(&b"NOOP\r\n".repeat(100), counts),
            Kind::Honest if self.step > 0 && self.answered => {
                self.step = 2;
                self.say(b"MAIL FROM:<a@honest.test>\r\nRCPT TO:<2box@load.test>\r\nDATA\r\n", counts);
            }
            Kind::Guesser if self.step > 0 && self.answered => self.guess(counts),
            Kind::Endless | Kind::Honest | Kind::Guesser | Kind::HalfTls => {}
        }
    }

    /// Something came.
    fn hear(&mut self, now: Instant, counts: &Counts) {
        let mut heard = [0; 4096];
        let Some(stream) = &mut self.stream else { return };
        let count = match stream.read(&mut heard) {
            Ok(0) => return self.go(now, counts),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(_) => return self.go(now, counts),
        };
        let heard = heard.get(..count).unwrap_or_default();
        self.answered = true;
        match (self.kind, self.step) {
            (Kind::Honest | Kind::Endless | Kind::HalfTls | Kind::Guesser, 0) => {
                self.step = 1;
                self.say(b"EHLO crowd.test\r\n", counts);
            }
            (Kind::HalfTls, 1) => {
                self.step = 2;
                self.say(b"STARTTLS\r\n", counts);
            }
            // A record that begins, and says that more follows.
            (Kind::HalfTls, 2) => {
                self.step = 3;
                self.say(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], counts);
            }
            (Kind::Honest, 2) if heard.windows(4).any(|four| four == b"354 ") => {
                self.step = 3;
                self.say(
                    format!("Subject: crowd\r\n\r\n{}.\r\n", "an honest line of a letter\r\n".repeat(100)).as_bytes(),
                    counts,
                );
            }
            _ => {}
        }
    }

    fn guess(&mut self, counts: &Counts) {
        // \0<n>box@load.test\0guess, in base64.
        const GUESSES: [&str; 3] =
            ["ADBib3hAbG9hZC50ZXN0AGd1ZXNz", "ADFib3hAbG9hZC50ZXN0AGd1ZXNz", "ADJib3hAbG9hZC50ZXN0AGd1ZXNz"];
        let guess = GUESSES.iter().cycle().nth(self.step as usize % GUESSES.len()).unwrap_or(&"");
        self.step += 1;
        self.answered = false;
        self.say(format!("AUTH PLAIN {guess}\r\n").as_bytes(), counts);
    }

    fn say(&mut self, bytes: &[u8], counts: &Counts) {
        let Some(stream) = &mut self.stream else { return };
        match stream.write(bytes) {
            Ok(_) => {}
            // The server does not read: then there is no more to say.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.go(Instant::now(), counts),
        }
    }

    fn go(&mut self, now: Instant, counts: &Counts) {
        if self.stream.take().is_some() {
            counts.held.fetch_sub(1, Ordering::Relaxed);
        }
        self.at = now + AGAIN;
    }
}
