//! Whether extensions that are announced work, tried by commands that leave nothing behind.
//!
//! What is sent is `MAIL` with the null sender, each time followed by `RSET`; `NOOP`; and `BDAT 0 LAST` where no letter is begun. There is never a recipient, so nothing can become a letter; and a
//! server in whose log it stands sees a client that looked in.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use posthouse_client::{Capabilities, ClientTls};
use posthouse_runtime::clock;
use posthouse_runtime::net::Stream;
use serde::Serialize;

/// The octets of a reply.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// How one extension did. The names are an interface.
#[derive(Serialize)]
pub(super) struct Tried {
    pub(super) extension: &'static str,
    /// None: it could not be tried.
    pub(super) works: Option<bool>,
    /// What was sent.
    pub(super) sent: String,
    /// What the server said, or why nothing was tried.
    pub(super) said: String,
}

/// How to reach the server.
pub(super) struct Door<'a> {
    pub(super) address: SocketAddr,
    pub(super) name: &'a str,
    pub(super) helo: &'a str,
    /// How TLS is spoken; none in clear.
    pub(super) tls: Option<&'a ClientTls>,
    pub(super) implicit: bool,
    pub(super) patience: Duration,
}

/// Tries what is offered.
pub(super) async fn run(door: Door<'_>, offered: &Capabilities) -> Result<Vec<Tried>, String> {
    let mut talk = Talk::open(&door).await.map_err(|error| error.to_string())?;
    let plain = talk.with_parameters("").await.map_err(|error| error.to_string())?;
    let mut tried = Vec::new();
    for (extension, is_offered, parameters) in parameters(offered) {
        if !is_offered {
            continue;
        }
        let sent = mail(parameters);
        tried.push(if plain.is_positive() {
            match talk.with_parameters(parameters).await {
                Ok(reply) => Tried { extension, works: Some(reply.is_positive()), sent, said: reply.text },
                Err(error) => return Ok(broken(tried, extension, sent, &error)),
            }
        } else {
            // Most submission servers want a login before MAIL.
            Tried { extension, works: None, sent: mail(""), said: plain.text.clone() }
        });
    }
    if offered.enhanced_status_codes {
        let sent = mail("");
        tried.push(Tried { extension: "ENHANCEDSTATUSCODES", works: Some(plain.is_enhanced()), sent, said: plain.text.clone() });
    }
    for trial in [Trial::Chunking, Trial::Pipelining, Trial::Size] {
        if let Some((extension, sent)) = trial.of(offered) {
            match trial.run(&mut talk, &sent, &plain).await {
                Ok(outcome) => tried.extend(outcome.map(|(works, said)| Tried { extension, works, sent, said })),
                Err(error) => return Ok(broken(tried, extension, sent, &error)),
            }
        }
    }
    // Whether it hears the farewell does not matter.
    let _ = talk.send("QUIT\r\n").await;
    Ok(tried)
}

fn broken(mut tried: Vec<Tried>, extension: &'static str, sent: String, error: &io::Error) -> Vec<Tried> {
    tried.push(Tried { extension, works: Some(false), sent, said: error.to_string() });
    tried
}

fn mail(parameters: &str) -> String {
    format!("MAIL FROM:<>{parameters}")
}

/// What `MAIL` may have with each extension.
fn parameters(offered: &Capabilities) -> [(&'static str, bool, &'static str); 5] {
    [
        ("SIZE", offered.size, " SIZE=1"),
        ("8BITMIME", offered.eight_bit_mime, " BODY=8BITMIME"),
        ("BINARYMIME", offered.binary_mime, " BODY=BINARYMIME"),
        ("SMTPUTF8", offered.smtputf8, " SMTPUTF8"),
        ("DSN", offered.dsn, " RET=HDRS ENVID=probe"),
    ]
}

/// What needs more than a parameter.
#[derive(Clone, Copy)]
enum Trial {
    Chunking,
    Pipelining,
    Size,
}

impl Trial {
    /// The extension and what is sent, if it is offered.
    fn of(self, offered: &Capabilities) -> Option<(&'static str, String)> {
        match self {
            Self::Chunking => offered.chunking.then(|| ("CHUNKING", "BDAT 0 LAST".to_owned())),
            Self::Pipelining => offered.pipelining.then(|| ("PIPELINING", "MAIL FROM:<> RSET NOOP in one write".to_owned())),
            Self::Size => offered.size_max.map(|max| ("SIZE", mail(&format!(" SIZE={}", max.saturating_add(1))))),
        }
    }

    async fn run(self, talk: &mut Talk, sent: &str, plain: &Reply) -> io::Result<Option<(Option<bool>, String)>> {
        match self {
            Self::Chunking => {
                let reply = talk.command(sent).await?;
                // RFC 3030 §2: without a letter begun it is out of order (503). A server that does not know it says 500 or 502.
                Ok(Some((Some(!matches!(reply.code, 500 | 502)), reply.text)))
            }
            Self::Pipelining => {
                talk.send("MAIL FROM:<>\r\nRSET\r\nNOOP\r\n").await?;
                let replies = [talk.reply().await?, talk.reply().await?, talk.reply().await?];
                let [first, reset, noop] = &replies;
                let works = first.is_positive() == plain.is_positive() && reset.is_positive() && noop.is_positive();
                Ok(Some((Some(works), replies.map(|reply| reply.text).join(" / "))))
            }
            Self::Size if !plain.is_positive() => Ok(None),
            Self::Size => {
                let reply = talk.command(sent).await?;
                talk.command("RSET").await?;
                // RFC 1870 §6.1: it may say so only behind the letter, and then it has been sent for nothing.
                let is_refused = reply.code >= 400;
                Ok((!is_refused).then(|| (Some(false), format!("a letter above its own limit is not refused: {}", reply.text))))
            }
        }
    }
}

struct Reply {
    code: u16,
    text: String,
}

impl Reply {
    fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// `250 2.1.0 ok` (RFC 2034).
    fn is_enhanced(&self) -> bool {
        let word = self.text.get(4..).and_then(|rest| rest.split_ascii_whitespace().next()).unwrap_or_default();
        word.parse::<posthouse_mail::Status>().is_ok()
    }
}

/// A dialogue in plain words, apart from the library's: that one would not send what it does not need.
struct Talk {
    stream: Stream,
    input: BytesMut,
    deadline: Instant,
    patience: Duration,
}

impl Talk {
    async fn open(door: &Door<'_>) -> io::Result<Self> {
        let timed_out = |_| io::Error::from(ErrorKind::TimedOut);
        let stream = clock::timeout(door.patience, Stream::connect(door.address, None)).await.map_err(timed_out)??;
        let (input, patience) = (BytesMut::new(), door.patience);
        let mut talk = Self { stream, input, deadline: clock::now() + patience, patience };
        if door.implicit
            && let Some(tls) = door.tls
        {
            talk = talk.secure(tls, door.name).await?;
        }
        talk.reply().await?;
        let helo = if door.helo.is_empty() {
            posthouse_mail::Domain::from_ip(talk.stream.local_addr().ip().to_canonical()).to_string()
        } else {
            door.helo.to_owned()
        };
        talk.command(&format!("EHLO {helo}")).await?;
        if let (false, Some(tls)) = (door.implicit, door.tls) {
            talk.command("STARTTLS").await?;
            talk = talk.secure(tls, door.name).await?;
            talk.command(&format!("EHLO {helo}")).await?;
        }
        Ok(talk)
    }

    async fn secure(self, tls: &ClientTls, name: &str) -> io::Result<Self> {
        let stream = self.stream.into_tls_client(tls, name).await.map_err(io::Error::other)?;
        Ok(Self { stream, input: BytesMut::new(), ..self })
    }

    /// `MAIL` with parameters, and `RSET`; the reply to the first.
    async fn with_parameters(&mut self, parameters: &str) -> io::Result<Reply> {
        let reply = self.command(&mail(parameters)).await?;
        self.command("RSET").await?;
        Ok(reply)
    }

    async fn command(&mut self, words: &str) -> io::Result<Reply> {
        self.send(&format!("{words}\r\n")).await?;
        self.reply().await
    }

    async fn send(&mut self, octets: &str) -> io::Result<()> {
        self.deadline = clock::now() + self.patience;
        let written = clock::timeout_at(self.deadline, self.stream.write_all(octets.as_bytes())).await;
        written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
    }

    /// One reply, its last line's text.
    async fn reply(&mut self) -> io::Result<Reply> {
        let mut octets = 0;
        loop {
            let line = self.line().await?;
            octets += line.len();
            if octets > REPLY_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a reply without an end"));
            }
            let Some(code) = line.get(..3).and_then(|code| code.parse().ok()) else {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("`{line}` is no reply")));
            };
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text: line });
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.input.iter().position(|&octet| octet == b'\n') {
                let line = self.input.split_to(end + 1);
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.input.len() > REPLY_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line without an end"));
            }
            match clock::timeout_at(self.deadline, self.stream.read(&mut self.input)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0)) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::Error::new(ErrorKind::TimedOut, "no answer in time")),
            }
        }
    }
}
