//! Whether extensions that are announced work, tried by commands that leave nothing behind.
//!
//! What is sent is `MAIL` with the null sender, each time followed by `RSET`; `NOOP`; and `BDAT 0 LAST` where no letter is begun. There is never a recipient, so nothing can become a letter; and a
//! server in whose log it stands sees a client that looked in.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use posthouse_client::{Capabilities, ClientTls};
use posthouse_config::Secret;
use posthouse_runtime::net::Stream;
use posthouse_runtime::{clock, random};
use posthouse_sasl::{ChannelBinding, ClientExchange, ClientStep, Method, Nonce, Possession, choose};
use serde::Serialize;

use crate::cli::talk::{Reply, Talk};

/// The handshakes that are made to find out which ciphers a server takes.
const CIPHERS_MAX: usize = 12;

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

/// Who logs in.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a Secret,
    /// The methods the server offers.
    pub(super) offered: &'a [Method],
}

/// How to reach the server.
#[derive(Clone, Copy)]
pub(super) struct Door<'a> {
    pub(super) address: SocketAddr,
    pub(super) name: &'a str,
    pub(super) helo: &'a str,
    /// How TLS is spoken; none in clear.
    pub(super) tls: Option<&'a ClientTls>,
    pub(super) implicit: bool,
    /// Who logs in first, for servers that want it before MAIL.
    pub(super) login: Option<Login<'a>>,
    pub(super) patience: Duration,
}

/// Tries what is offered.
pub(super) async fn run(door: &Door<'_>, offered: &Capabilities) -> Result<Vec<Tried>, String> {
    let mut talk = open(door).await.map_err(|error| error.to_string())?;
    let plain = with_parameters(&mut talk, "").await.map_err(|error| error.to_string())?;
    let mut tried = Vec::new();
    for (extension, is_offered, parameters) in parameters(offered) {
        if !is_offered {
            continue;
        }
        let sent = mail(parameters);
        tried.push(if plain.is_positive() {
            match with_parameters(&mut talk, parameters).await {
                Ok(reply) => Tried { extension, works: Some(reply.is_positive()), sent, said: reply.text },
                Err(error) => return Ok(broken(tried, extension, sent, &error)),
            }
        } else {
            // Most submission servers want a login before MAIL (--user).
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

/// As far as EHLO, inside TLS where that is spoken, and logged in where somebody wants to.
pub(super) async fn open(door: &Door<'_>) -> io::Result<Talk> {
    let timed_out = |_| io::Error::from(ErrorKind::TimedOut);
    let stream = clock::timeout(door.patience, Stream::connect(door.address, None)).await.map_err(timed_out)??;
    let mut talk = Talk::new(stream, door.patience);
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
    if let Some(login) = &door.login {
        log_in(&mut talk, login).await?;
    }
    Ok(talk)
}

/// By the best method that the server offers. Over verified TLS alone, or to this very machine.
async fn log_in(talk: &mut Talk, login: &Login<'_>) -> io::Result<()> {
    let tls = talk.stream.tls();
    let is_safe = tls.is_some_and(|tls| tls.verified) || talk.stream.peer_addr().ip().to_canonical().is_loopback();
    if !is_safe {
        return Err(io::Error::other("no login without verified TLS"));
    }
    let binding = tls.and_then(|tls| tls.exporter).map_or(ChannelBinding::None, ChannelBinding::Exporter);
    let method = choose(login.offered, Possession::Password, binding)
        .ok_or_else(|| io::Error::other("no method of logging in with a password is offered"))?;
    // RFC 5802 §6: that the server cannot bind is said only where it has not offered to.
    let is_bound = |method: &Method| matches!(method, Method::Scram { bound: true, .. });
    let declines = !is_bound(&method) && login.offered.iter().any(is_bound);
    let binding = if declines { ChannelBinding::None } else { binding };
    let mut nonce = [0; 18];
    random::fill(&mut nonce);
    let mut exchange = ClientExchange::start(method, login.user, login.password.expose(), binding, Nonce::from_random(nonce))
        .map_err(io::Error::other)?;
    let mut words = format!("AUTH {method}");
    if let Some(initial) = exchange.initial() {
        words = format!("{words} {}", BASE64_STANDARD.encode(&*initial));
    }
    loop {
        let reply = talk.command(&words).await?;
        match reply.code {
            334 => {
                let challenge = reply.text.get(4..).unwrap_or_default().trim();
                // LOGIN's challenges say nothing, and some servers put words there that are not base64.
                match exchange.step(&BASE64_STANDARD.decode(challenge).unwrap_or_default()) {
                    ClientStep::Send(answer) => words = BASE64_STANDARD.encode(&*answer),
                    ClientStep::Failed(error) => return Err(io::Error::other(error)),
                }
            }
            235 => return exchange.success().map_err(io::Error::other),
            _ => return Err(io::Error::other(format!("the login by {method} is refused: {}", reply.text))),
        }
    }
}

/// `MAIL` with parameters, and `RSET`; the reply to the first.
async fn with_parameters(talk: &mut Talk, parameters: &str) -> io::Result<Reply> {
    let reply = talk.command(&mail(parameters)).await?;
    talk.command("RSET").await?;
    Ok(reply)
}

/// The ciphers that the server takes of those that the TLS library knows (TLS 1.2 and 1.3, each with forward secrecy and authenticated), in the order in which it takes them: a handshake for each, in
/// which those before it are not offered any more.
pub(super) async fn ciphers(door: &Door<'_>) -> Result<Vec<String>, String> {
    let mut taken: Vec<String> = Vec::new();
    while taken.len() < CIPHERS_MAX
        && let Some(tls) = ClientTls::danger_unverified_without(&taken).map_err(|error| error.to_string())?
    {
        let door = Door { tls: Some(&tls), login: None, ..*door };
        // None of the others is taken: the handshake fails.
        let Ok(mut talk) = open(&door).await else { break };
        let cipher = talk.stream.tls().map(|info| info.cipher.clone());
        // Whether it hears the farewell does not matter.
        let _ = talk.send("QUIT\r\n").await;
        match cipher {
            Some(cipher) if !taken.contains(&cipher) => taken.push(cipher),
            Some(_) | None => break,
        }
    }
    Ok(taken)
}
