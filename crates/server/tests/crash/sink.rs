//! The rest of the world: a mail server that counts what it takes, and is as difficult as its recipients' names say.
//!
//! `KIND-MARK-BYTES@…`: the letter with that mark is so long. `grey` is put off once at RCPT, `late` once behind the letter, `lost` is taken once
//! without an answer, `no` is never taken; any other kind is.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::common::{PATIENCE, letter};

/// A running one.
pub(crate) struct Sink {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    life: AtomicUsize,
    /// Connections that were taken from the queue, and those that have ended.
    begun: AtomicUsize,
    ended: AtomicUsize,
    book: Mutex<Book>,
}

/// What it has seen.
#[derive(Default)]
pub(crate) struct Book {
    /// By recipient, in order: each time the letter was taken.
    pub(crate) taken: HashMap<String, Vec<Taken>>,
    /// How often somebody was put off.
    pub(crate) put_off: usize,
    /// Letters that are not what was sent.
    pub(crate) broken: Vec<String>,
    seen: HashSet<String>,
}

/// A letter was taken for a recipient.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// In which life of the server that brought it.
    pub(crate) life: usize,
    /// The answer was never sent.
    pub(crate) lost: bool,
}

impl Sink {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                shared.begun.fetch_add(1, Ordering::SeqCst);
                let (state, life) = (Arc::clone(&shared), shared.life.load(Ordering::SeqCst));
                thread::spawn(move || {
                    // One that breaks off is one whose server was killed.
                    let _ = Visit { reader: BufReader::new(stream), state: &state, life }.serve();
                    state.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server is gone: waits until all that it said is heard, and counts its next life.
    pub(crate) fn next_life(&self) {
        // Behind all of its connections, those that nobody has looked at included.
        let mut last = BufReader::new(TcpStream::connect(self.address).unwrap());
        last.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        last.read_line(&mut String::new()).unwrap();
        drop(last);
        while self.state.ended.load(Ordering::SeqCst) < self.state.begun.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_micros(200));
        }
        self.state.life.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Book) -> T) -> T {
        read(&self.state.book.lock().unwrap())
    }
}

/// One connection.
struct Visit<'a> {
    reader: BufReader<TcpStream>,
    state: &'a State,
    life: usize,
}

impl Visit<'_> {
    fn serve(&mut self) -> std::io::Result<()> {
        self.reader.get_ref().set_nodelay(true)?;
        self.say("220 sink")?;
        let mut recipients = Vec::new();
        while let Some(line) = self.hear()? {
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.say("250-sink\r\n250-PIPELINING\r\n250 8BITMIME")?,
                "MAIL" | "RSET" => {
                    recipients.clear();
                    self.say("250 ok")?;
                }
                "RCPT" => {
                    let reply = self.recipient(&line, &mut recipients);
                    self.say(reply)?;
                }
                "DATA" if recipients.is_empty() => self.say("503 nobody wants it")?,
                "DATA" => {
                    self.say("354 go on")?;
                    match self.letter(&std::mem::take(&mut recipients))? {
                        Some(reply) => self.say(reply)?,
                        None => return Ok(()),
                    }
                }
                "QUIT" => return self.say("221 bye"),
                _ => self.say("502 what?")?,
            }
        }
        Ok(())
    }

    fn recipient(&self, line: &str, recipients: &mut Vec<String>) -> &'static str {
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let mut book = self.state.book.lock().unwrap();
        if address.starts_with("no-") {
            return "550 5.1.1 nobody of that name";
        }
        if address.starts_with("grey-") && book.seen.insert(address.clone()) {
            book.put_off += 1;
            return "450 4.7.1 come again";
        }
        recipients.push(address);
        "250 ok"
    }

    /// Takes a letter to its end; no reply: the connection is to be cut.
    fn letter(&mut self, recipients: &[String]) -> std::io::Result<Option<&'static str>> {
        let mut text = Vec::new();
        loop {
            let begin = text.len();
            if self.reader.read_until(b'\n', &mut text)? == 0 {
                return Ok(None);
            }
            match text.get(begin..) {
                Some(b".\r\n") => {
                    text.truncate(begin);
                    break;
                }
                Some([b'.', ..]) => drop(text.remove(begin)),
                _ => {}
            }
        }
        let mut book = self.state.book.lock().unwrap();
        for address in recipients {
            let mut parts = address.split(['-', '@']).skip(1);
            let (mark, bytes) = (parts.next().unwrap_or_default(), parts.next().and_then(|bytes| bytes.parse().ok()));
            if !text.ends_with(letter(mark, bytes.unwrap_or_default()).as_bytes()) {
                book.broken.push(address.clone());
            }
        }
        let mut first = |kind: &str| {
            let own = recipients.iter().filter(|address| address.starts_with(kind));
            own.filter(|address| book.seen.insert((*address).clone())).count() > 0
        };
        let (is_late, lost) = (first("late-"), first("lost-"));
        if is_late {
            book.put_off += 1;
            return Ok(Some("451 4.3.0 not now"));
        }
        for address in recipients {
            book.taken.entry(address.clone()).or_default().push(Taken { life: self.life, lost });
        }
        Ok((!lost).then_some("250 2.0.0 taken"))
    }

    fn say(&mut self, reply: &str) -> std::io::Result<()> {
        self.reader.get_mut().write_all(format!("{reply}\r\n").as_bytes())
    }

    fn hear(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        Ok((self.reader.read_line(&mut line)? > 0).then(|| line.trim_end().to_owned()))
    }
}
