//! `posthouse probe`.

mod trial;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use posthouse_client::{
    Capabilities, ClientError, ClientTls, Connection, Line, Roots, Security, ServerUrl, SessionError, Stage, Target,
};
use posthouse_config::Secret;
use posthouse_runtime::log::one_line;
use posthouse_runtime::tls::CertificateInfo;
use serde::Serialize;

use self::trial::{Door, Login, Tried};
use super::password::{Ask, PasswordArgs};
use super::{Exit, Failure, Printer};

/// Where mail servers are met.
const PORTS: [u16; 3] = [25, 587, 465];
/// On this port TLS comes first (RFC 8314).
const IMPLICIT_TLS: u16 = 465;

/// See what a mail server offers, before and after TLS, and with which certificate.
///
/// Nothing is sent and nobody logs in, unless --try and --user are given. Without a port, 25, 587 and 465 are tried. The exit code is 0 if one of them answered as it should.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  posthouse probe mail.example.org
  posthouse probe mail.example.org:2525 --json
  posthouse probe mail.example.org:25 --try --ciphers
  posthouse probe mail.example.org:587 --try --user alice@example.org --password-command 'pass show mail'
  posthouse probe localhost:2465 --implicit-tls --ca mail/ca/ca.pem")]
pub(crate) struct Args {
    /// The server: a name or an address, with a port or without, or a URL such as smtps://mail.example.org.
    #[arg(value_name = "HOST[:PORT]")]
    server: String,
    /// TLS comes first on this port, as it does on 465.
    #[arg(long)]
    implicit_tls: bool,
    /// Trust the certificate authorities in this PEM file, and no others.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Our name in EHLO: a host name or an address literal [default: our address].
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    helo: String,
    /// Try whether the extensions that are announced work: SIZE, 8BITMIME, BINARYMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES, CHUNKING, PIPELINING. Sent are MAIL with the null sender
    /// and RSET for each, NOOP, and `BDAT 0 LAST` with no letter begun; never a recipient, so that nothing can become a letter.
    #[arg(long = "try")]
    try_it: bool,
    /// Log in as this user before what needs it is tried, by the best method that is offered, over verified TLS alone.
    #[arg(long, short, value_name = "LOGIN", requires = "try_it")]
    user: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Find out which ciphers the server takes, in which order: a connection for each, twelve at most. Of those that this program speaks, which are those of TLS 1.2 and 1.3 with forward
    /// secrecy: what is weaker it does not see.
    #[arg(long)]
    ciphers: bool,
    /// How long to wait for each answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
}

/// What was found on one port. The names are an interface.
#[derive(Serialize, Default)]
struct Found {
    port: u16,
    address: Option<SocketAddr>,
    greeting: Option<String>,
    /// What is offered in clear; none where TLS comes first.
    clear: Option<Offer>,
    tls: Option<Tls>,
    /// What is offered inside TLS.
    protected: Option<Offer>,
    /// What was tried, with --try.
    tried: Vec<Tried>,
    /// What is wrong, in words.
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Offer {
    extensions: Vec<String>,
    /// The methods of a login, in the server's words.
    auth: String,
    size_max: Option<u64>,
    recipients_max: Option<usize>,
    letters_max: Option<usize>,
}

#[derive(Serialize)]
struct Tls {
    protocol: &'static str,
    cipher: String,
    group: Option<String>,
    verified: bool,
    certificates: Vec<CertificateInfo>,
    /// What the server takes, in its order; with --ciphers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ciphers: Vec<String>,
}

pub(crate) fn run(args: Args, printer: &Printer) -> Result<(), Failure> {
    let roots = args.ca.clone().map_or(Roots::Platform, Roots::PemFile);
    let verified = ClientTls::verified(&roots).map_err(|error| Failure::new(Exit::NoInput, error))?;
    let Server { host, port, implicit_tls } = split(&args.server, &verified)?;
    let any = ClientTls::danger_unverified().map_err(|error| Failure::new(Exit::Software, error))?;
    let login = match &args.user {
        Some(user) => Some((user.clone(), args.password.read(Ask::Once)?)),
        None => None,
    };
    let implicit_tls = implicit_tls || args.implicit_tls;
    let probe = Probe { host, implicit_tls, args: &args, verified, any, login };
    let ports = port.map_or_else(|| PORTS.to_vec(), |port| vec![port]);
    let mut found = Vec::new();
    for port in ports {
        let one = posthouse_runtime::block_on(probe.port(port)).map_err(|error| Failure::new(Exit::Os, error))?;
        one.print(printer)?;
        found.push(one);
    }
    printer.json(&found)?;
    if found.iter().any(|one| one.clear.is_some() || one.protected.is_some()) {
        Ok(())
    } else {
        Err(Failure::silent(Exit::Unavailable))
    }
}

struct Probe<'a> {
    host: String,
    /// TLS comes first on the port that was named.
    implicit_tls: bool,
    args: &'a Args,
    verified: ClientTls,
    any: ClientTls,
    login: Option<(String, Secret)>,
}

impl Probe<'_> {
    async fn port(&self, port: u16) -> Found {
        let mut found = Found { port, ..Found::default() };
        let addresses: Vec<SocketAddr> = match (self.host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => addresses.collect(),
            Err(error) => {
                found.problems.push(format!("cannot find {}: {error}", self.host));
                return found;
            }
        };
        let implicit = self.implicit_tls || port == IMPLICIT_TLS;
        if !implicit {
            match self.open(&addresses, Security::Plain, &mut found).await {
                Ok(connection) => {
                    found.clear = Some(Offer::of(connection.capabilities()));
                    let offered = connection.capabilities().clone();
                    connection.quit().await;
                    if !offered.start_tls {
                        self.try_all(&mut found, &offered, None).await;
                        found.problems.push("STARTTLS is not offered".to_owned());
                        return found;
                    }
                }
                Err(error) => {
                    found.problems.push(one_line(&error.to_string()).into_owned());
                    if let ClientError::Session { source: SessionError::Timeout(Stage::Greeting), .. } = error {
                        found.problems.push("it says nothing: if TLS comes first on this port, give --implicit-tls".to_owned());
                    }
                    return found;
                }
            }
        }
        let security = |tls: &ClientTls| if implicit { Security::Implicit(tls.clone()) } else { Security::StartTls(tls.clone()) };
        let mut opened = self.open(&addresses, security(&self.verified), &mut found).await;
        if let Err(error @ ClientError::Tls { .. }) = opened {
            found.problems.push(one_line(&error.to_string()).into_owned());
            opened = self.open(&addresses, security(&self.any), &mut found).await;
        }
        match opened {
            Ok(connection) => {
                let (offered, is_verified) =
                    (connection.capabilities().clone(), connection.tls().is_some_and(|tls| tls.verified));
                found.protected(connection).await;
                let tls = if is_verified { &self.verified } else { &self.any };
                self.try_all(&mut found, &offered, Some((tls, implicit))).await;
            }
            Err(error) => found.problems.push(one_line(&error.to_string()).into_owned()),
        }
        found
    }

    /// Tries what is offered, where that is asked for.
    async fn try_all(&self, found: &mut Found, offered: &Capabilities, tls: Option<(&ClientTls, bool)>) {
        let Some(address) = found.address else { return };
        let door = Door {
            address,
            name: &self.host,
            helo: &self.args.helo,
            tls: tls.map(|(tls, _)| tls),
            implicit: tls.is_some_and(|(_, implicit)| implicit),
            // A login is for where one is offered.
            login: self.login.as_ref().filter(|_| !offered.auth_text.is_empty()).map(|(user, password)| Login {
                user,
                password,
                offered: &offered.auth,
            }),
            patience: Duration::from_secs(self.args.timeout.into()),
        };
        if let (true, Some(found_tls)) = (self.args.ciphers, &mut found.tls) {
            match trial::ciphers(&door).await {
                Ok(ciphers) => found_tls.ciphers = ciphers,
                Err(why) => found.problems.push(format!("the ciphers could not be found out: {}", one_line(&why))),
            }
        }
        if !self.args.try_it {
            return;
        }
        match trial::run(&door, offered).await {
            Ok(tried) => found.tried = tried,
            Err(why) => found.problems.push(format!("nothing could be tried: {}", one_line(&why))),
        }
        for tried in found.tried.iter().filter(|tried| tried.works == Some(false)) {
            let (sent, said) = (&tried.sent, one_line(&tried.said));
            found.problems.push(format!("{} is announced and does not work: `{sent}` gets `{said}`", tried.extension));
        }
    }

    async fn open(&self, addresses: &[SocketAddr], security: Security, found: &mut Found) -> Result<Connection, ClientError> {
        let mut target = Target::new(self.host.clone(), addresses.to_vec(), security, self.args.helo.clone());
        let patience = Duration::from_secs(self.args.timeout.into());
        (target.timeouts.connect, target.timeouts.greeting, target.timeouts.command) = (patience, patience, patience);
        let greeting = Arc::new(Mutex::new(None));
        let first = Arc::clone(&greeting);
        target.transcript = Some(Arc::new(move |line: &Line| {
            if let Line::Server(reply) = line {
                first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reply.to_string());
            }
        }));
        let opened = Connection::open(&target).await;
        let said = greeting.lock().unwrap_or_else(PoisonError::into_inner).take();
        found.greeting = found.greeting.take().or(said);
        if let Ok(connection) = &opened {
            found.address = Some(connection.peer());
        }
        // A refusal by the server is an answer too: it says so itself.
        if let Err(ClientError::Session { address, source: SessionError::Refused { .. }, .. }) = &opened {
            found.address = Some(*address);
        }
        opened
    }
}

impl Found {
    async fn protected(&mut self, connection: Connection) {
        let offer = Offer::of(connection.capabilities());
        if let Some(clear) = &self.clear {
            if !clear.auth.is_empty() && clear.auth.split_whitespace().any(|method| matches!(method, "PLAIN" | "LOGIN")) {
                self.problems.push("a login in clear is offered: whoever is on the way reads the password".to_owned());
            }
            if let Some(lost) = clear.extensions.iter().find(|word| *word != "STARTTLS" && !offer.extensions.contains(word)) {
                self.problems.push(format!("{lost} is offered in clear and not inside TLS"));
            }
        }
        if connection.capabilities().start_tls {
            self.problems.push("STARTTLS is offered inside TLS".to_owned());
        }
        let certificates = connection.certificates();
        if let Some(info) = connection.tls() {
            self.tls = Some(Tls {
                protocol: info.protocol,
                cipher: info.cipher.clone(),
                group: info.group.clone(),
                verified: info.verified,
                certificates,
                ciphers: Vec::new(),
            });
        }
        self.protected = Some(offer);
        connection.quit().await;
    }

    fn print(&self, printer: &Printer) -> Result<(), Failure> {
        let address = self.address.map_or_else(String::new, |address| format!(" ({})", address.ip()));
        printer.line(printer.bold(&format!("port {}{address}", self.port)))?;
        if let Some(greeting) = &self.greeting {
            printer.line(format_args!("  greeting    {}", one_line(greeting)))?;
        }
        if let Some(clear) = &self.clear {
            clear.print("in clear", printer)?;
        }
        if let Some(tls) = &self.tls {
            let group = tls.group.as_deref().unwrap_or_default();
            let word = if tls.verified { printer.green("verified") } else { printer.red("not verified") };
            printer.line(format_args!("  TLS         {} {} {group}, certificate {word}", tls.protocol, tls.cipher))?;
            for (number, cipher) in tls.ciphers.iter().enumerate() {
                printer.line(format_args!("  {:<11} {cipher}", if number == 0 { "ciphers" } else { "" }))?;
            }
            for certificate in &tls.certificates {
                printer.line(format_args!("              {}", one_line(&certificate.to_string())))?;
            }
        }
        if let Some(protected) = &self.protected {
            protected.print("inside TLS", printer)?;
        }
        for tried in &self.tried {
            let word = match tried.works {
                Some(true) => printer.green("works"),
                Some(false) => printer.red("does not work"),
                None => format!("not tried: {}", one_line(&tried.said)),
            };
            printer.line(format_args!("  tried       {} {word}", tried.extension))?;
        }
        for problem in &self.problems {
            printer.line(format_args!("  {}     {problem}", printer.red("problem")))?;
        }
        Ok(())
    }
}

impl Offer {
    fn of(offered: &Capabilities) -> Self {
        let all = [
            ("PIPELINING", offered.pipelining),
            ("SIZE", offered.size),
            ("8BITMIME", offered.eight_bit_mime),
            ("SMTPUTF8", offered.smtputf8),
            ("CHUNKING", offered.chunking),
            ("BINARYMIME", offered.binary_mime),
            ("DSN", offered.dsn),
            ("ENHANCEDSTATUSCODES", offered.enhanced_status_codes),
            ("STARTTLS", offered.start_tls),
        ];
        Self {
            extensions: all.into_iter().filter(|(_, offered)| *offered).map(|(word, _)| word.to_owned()).collect(),
            auth: offered.auth_text.clone(),
            size_max: offered.size_max,
            recipients_max: offered.limits.recipients_max,
            letters_max: offered.limits.letters_max,
        }
    }

    fn print(&self, label: &str, printer: &Printer) -> Result<(), Failure> {
        printer.line(format_args!("  {label:<11} {}", self.extensions.join(" ")))?;
        if !self.auth.is_empty() {
            printer.line(format_args!("              AUTH {}", one_line(&self.auth)))?;
        }
        let limits = [
            self.size_max.map(|octets| format!("letters up to {octets} octets")),
            self.recipients_max.map(|count| format!("{count} recipients each")),
            self.letters_max.map(|count| format!("{count} letters a connection")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        if limits.is_empty() { Ok(()) } else { printer.line(format_args!("              {}", limits.join(", "))) }
    }
}

/// Whom to look at.
struct Server {
    host: String,
    port: Option<u16>,
    implicit_tls: bool,
}

/// `host`, `host:port`, `[2001:db8::1]:port`, or a URL as `send` takes it.
fn split(server: &str, tls: &ClientTls) -> Result<Server, Failure> {
    if server.contains("://") {
        let url: ServerUrl = server.parse().map_err(|error| Failure::new(Exit::Usage, error))?;
        let host = url.domain().literal().map_or_else(|| url.host().to_owned(), |address| address.to_string());
        let implicit_tls = matches!(url.security(tls), Security::Implicit(_));
        return Ok(Server { host, port: Some(url.port()), implicit_tls });
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (server, None),
    };
    let wrong =
        || Failure::say(Exit::Usage, format_args!("`{server}` is not a server: write mail.example.org or mail.example.org:587"));
    let port = port.map(|port| port.parse().ok().filter(|&port: &u16| port > 0).ok_or_else(wrong)).transpose()?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(wrong()) } else { Ok(Server { host: host.to_owned(), port, implicit_tls: false }) }
}
