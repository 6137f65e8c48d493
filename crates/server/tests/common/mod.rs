//! A server as its own process, in a directory of its own, and a small plain-text SMTP client.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use posthouse_directory::Directory;
use posthouse_mail::LetterId;
use posthouse_mailbox::{Mailboxes, Message, Uid};
use posthouse_runtime::block_on;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything may take that should take moments; generous, for it only matters when a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until it is there: what another process does gives no event.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub fn posthouse() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthouse"));
    command.env_remove("POSTHOUSE_CONFIG").stdin(Stdio::null());
    command
}

/// A directory with a configuration for `example.test`.
pub struct Site {
    pub dir: TempDir,
    pub accounts: Vec<(String, String)>,
}

/// A running server.
pub struct Running {
    child: Child,
    pub listening: Vec<(String, SocketAddr)>,
    log: Receiver<String>,
}

impl Site {
    /// Accounts `alice` and `bob` with the password `secret`; listeners on ports that the system chooses; `more` is added to the
    /// configuration.
    pub fn new(kinds: &[&str], more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        let directory = Directory::open(&dir.path().join("data/directory.sqlite")).unwrap();
        let accounts = block_on(async {
            directory.add_domain(&"example.test".parse().unwrap()).await.unwrap();
            let mut accounts = Vec::new();
            for name in ["alice", "bob"] {
                let account = directory.add_account(&format!("{name}@example.test").parse().unwrap(), "secret").await.unwrap();
                accounts.push((name.to_owned(), account.id.to_string()));
            }
            accounts
        })
        .unwrap();
        let site = Self { dir, accounts };
        site.configure(kinds, more);
        site
    }

    /// Writes the configuration.
    pub fn configure(&self, kinds: &[&str], more: &str) {
        let mut text = "hostname = \"mail.example.test\"\ndata = \"data\"\nstop-deadline = \"5s\"\n".to_owned();
        for kind in kinds {
            text.push_str(&format!("[[listener]]\nkind = \"{kind}\"\naddress = \"127.0.0.1:0\"\n"));
        }
        // No name server answers there, so nothing can leave.
        text.push_str("[dns]\nservers = [\"127.0.0.1:1\"]\n");
        text.push_str(more);
        fs::write(self.config(), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("posthouse.toml")
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The id of an account, which names its mailbox.
    pub fn account(&self, name: &str) -> &str {
        &self.accounts.iter().find(|(known, _)| known == name).unwrap().1
    }

    /// The letters in an inbox.
    pub fn inbox(&self, name: &str) -> Vec<Message> {
        let mailboxes = Mailboxes::open(&self.data().join("accounts")).unwrap();
        block_on(mailboxes.inbox(self.account(name))).unwrap().unwrap()
    }

    /// Waits until a letter is in an inbox.
    pub fn wait_for(&self, name: &str, letter: LetterId) -> Message {
        until(&format!("{letter} in the inbox of {name}"), || {
            self.inbox(name).into_iter().find(|message| message.letter == letter)
        })
    }

    /// Waits until an inbox has a letter; the first one's text.
    pub fn wait_for_any(&self, name: &str) -> String {
        let uid = until(&format!("a letter in the inbox of {name}"), || Some(self.inbox(name).first()?.uid));
        String::from_utf8(self.read_all(name).remove(&uid).unwrap()).unwrap()
    }

    /// The octets of every letter in an inbox.
    pub fn read_all(&self, name: &str) -> HashMap<Uid, Vec<u8>> {
        let mailboxes = Mailboxes::open(&self.data().join("accounts")).unwrap();
        block_on(async {
            let mut letters = HashMap::new();
            for message in mailboxes.inbox(self.account(name)).await.unwrap() {
                let mut body = mailboxes.read(self.account(name), message.uid).await.unwrap();
                letters.insert(message.uid, posthouse_runtime::stream::collect(&mut body, usize::MAX).await.unwrap());
            }
            letters
        })
        .unwrap()
    }

    /// Starts the server and waits until it takes connections.
    pub fn start(&self) -> Running {
        Running::start(&self.config())
    }
}

impl Running {
    pub fn start(config: &Path) -> Self {
        Self::of(posthouse().arg("serve").arg("--config").arg(config), config)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Runs a command that serves with a configuration.
    pub fn of(command: &mut Command, config: &Path) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = follow(child.stderr.take().unwrap());
        let expected = fs::read_to_string(config).unwrap().matches("[[listener]]").count();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut listening = Vec::new();
        while listening.len() < expected {
            let Some(line) = lines.next() else { panic!("the server did not start: {:?}", log.iter().collect::<Vec<_>>()) };
            let line = line.unwrap();
            let mut words = line.split(' ');
            assert_eq!(words.next(), Some("ready"), "{line}");
            listening.push((words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap()));
        }
        Self { child, listening, log }
    }

    pub fn address(&self, kind: &str) -> SocketAddr {
        self.listening.iter().find(|(known, _)| known == kind).unwrap().1
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for a line of the log that has `words` in it.
    pub fn wait_for_log(&self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push(line),
                Err(_) => panic!("no `{words}` in the log: {seen:#?}"),
            }
        }
    }

    /// SIGKILL: no time for last words.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// The end of one that was asked to stop already.
    pub fn ended(mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// SIGTERM, and the end that follows.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        wait(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A failed test leaves no server behind; one that ended already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a process that should be coming to its end.
pub fn wait(child: &mut Child) -> ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "the process does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a log in the background, so that the server never waits for its reader.
fn follow(stderr: ChildStderr) -> Receiver<String> {
    let (lines, log) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    log
}

/// A plain-text SMTP client that knows nothing of ours.
pub struct Smtp {
    reader: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and says EHLO.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let mut smtp = Self::connect(address)?;
        smtp.reply()?;
        smtp.command("EHLO client.example.test")?;
        Ok(smtp)
    }

    /// Connects, and has yet to hear the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends a line; the reply's lines.
    pub fn command(&mut self, line: &str) -> io::Result<Vec<String>> {
        self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Reads one reply: its lines.
    pub fn reply(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line.trim_end().to_owned());
            if last {
                return Ok(lines);
            }
        }
    }

    /// Sends a letter in clear; its id when the server answered for it. `Err` when the connection broke before the reply.
    pub fn send(&mut self, from: &str, to: &str, letter: &str) -> io::Result<LetterId> {
        self.send_to_all(from, &[to.to_owned()], letter)
    }

    /// The same for many.
    pub fn send_to_all(&mut self, from: &str, to: &[String], letter: &str) -> io::Result<LetterId> {
        let recipients = to.iter().map(|to| format!("RCPT TO:<{to}>"));
        for line in std::iter::once(format!("MAIL FROM:<{from}>")).chain(recipients).chain(["DATA".to_owned()]) {
            let reply = self.command(&line)?;
            if !reply[0].starts_with(['2', '3']) {
                return Err(io::Error::other(format!("{line}: {reply:?}")));
            }
        }
        self.reader.get_mut().write_all(letter.as_bytes())?;
        let reply = self.command(".")?;
        let id = reply[0].split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| word.parse().ok());
        id.filter(|_| reply[0].starts_with("250")).ok_or_else(|| io::Error::other(format!("{reply:?}")))
    }
}

/// A small letter.
pub fn letter(subject: &str, bytes: usize) -> String {
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 abcdefghijklm\r\n";
    let body = line.repeat(bytes / line.len() + 1);
    format!("From: <sender@elsewhere.test>\r\nTo: <bob@example.test>\r\nSubject: {subject}\r\n\r\n{body}")
}
