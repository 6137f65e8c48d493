//! Which server, and how it is spoken to.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use posthouse_client::{CertificateFiles, Line, LoginMethod, Mailer, MailerBuilder, MailerError, ServerUrl, Timeouts};
use posthouse_runtime::task;
use posthouse_runtime::tls::Roots;

use super::profile::Profile;
use super::{report, unusable};
use crate::cli::password::{Ask, PasswordArgs, of_command};
use crate::cli::{Exit, Failure};

/// How a server is reached.
#[derive(clap::Args, Debug, Default)]
pub(super) struct ServerArgs {
    /// The server, such as smtp+starttls://alice@mail.example.org:587; a bare name is smtp://. Can be repeated: the next is for when those before it cannot be
    /// used [default: that of POSTHOUSE_SERVER, else that of the profile].
    #[arg(long, short, alias = "url", value_name = "URL")]
    pub(super) server: Vec<String>,
    /// Its port, in place of the one in the URL.
    #[arg(long, short, value_name = "PORT")]
    port: Option<u16>,
    /// TLS, or nothing is sent: makes of smtp:// what smtp+starttls:// is; with --direct no host is used without it.
    #[arg(long, alias = "ssl-reqd")]
    pub(super) tls: bool,
    /// TLS from the first octet: makes of smtp:// what smtps:// is.
    #[arg(long, alias = "tlsc", conflicts_with_all = ["tls", "direct"])]
    tls_on_connect: bool,
    /// Log in as this user, if the URL names none.
    #[arg(long, short, alias = "auth-user", value_name = "LOGIN")]
    user: Option<String>,
    /// Log in by one of these methods, such as PLAIN [default: the best that the server offers].
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    auth: Vec<LoginMethod>,
    #[command(flatten)]
    pub(super) password: PasswordArgs,
    /// Log in with a token (OAuth) that this shell command prints.
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["password_file", "password_env", "password_command", "password_fd"])]
    token_command: Option<String>,
    /// Show this certificate (PEM); without a password it is the login too (EXTERNAL).
    #[arg(long, alias = "tls-cert", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of the certificate (PEM).
    #[arg(long, alias = "tls-key", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// Trust the certificate authorities in this PEM file, and no others.
    #[arg(long, aliases = ["cacert", "tls-ca-path"], value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Accept any certificate: whoever is on the way can read and change everything, the password too.
    #[arg(long, conflicts_with = "ca")]
    danger_accept_any_certificate: bool,
    /// Our name in EHLO: a host name or an address literal [default: our address].
    #[arg(long, aliases = ["ehlo", "lhlo"], value_name = "NAME")]
    pub(super) helo: Option<String>,
    /// Connect from this address.
    #[arg(long, aliases = ["interface", "local-interface"], value_name = "ADDRESS")]
    pub(super) source: Option<IpAddr>,
    /// Connect through a proxy: socks5://host:1080 or http://host:8080.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// How long one step may take, but for the reply to the letter itself, after which nobody could say what became of it [default: minutes, as RFC 5321 has it].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// Send to all recipients of a letter or to none: where one is not taken, the others do not get it.
    #[arg(long, conflicts_with_all = ["direct", "queue"])]
    all_or_none: bool,
    /// Show the dialogue with the server on standard error, without its secrets.
    #[arg(long, alias = "verbose", short_alias = 'v')]
    pub(super) transcript: bool,
}

impl ServerArgs {
    /// What is not given is the environment's, or the profile's. A server is not looked for where letters go another way: whoever asks for that by name means it.
    pub(super) fn take(&mut self, profile: Profile, elsewhere: bool) {
        if self.server.is_empty() && !elsewhere {
            let named = std::env::var("POSTHOUSE_SERVER").ok().filter(|server| !server.is_empty());
            self.server.extend(named.or(profile.server));
        }
        self.user = self.user.take().or(profile.user);
        self.ca = self.ca.take().or(profile.ca);
        self.helo = self.helo.take().or(profile.helo);
        self.proxy = self.proxy.take().or(profile.proxy);
        if self.token_command.is_none() {
            self.password.or(profile.password_command, profile.password_file);
        }
    }

    /// The servers, best first.
    pub(super) fn urls(&self) -> Result<Vec<ServerUrl>, Failure> {
        let read = |text: &String| {
            let text = if text.contains("://") { text.clone() } else { format!("smtp://{text}") };
            let url: ServerUrl = text.parse().map_err(|error: posthouse_client::UrlError| unusable(error.into()))?;
            let url = if self.tls { url.with_starttls() } else { url };
            let url = if self.tls_on_connect { url.with_implicit_tls() } else { url };
            Ok(self.port.map_or(url.clone(), |port| url.with_port(port)))
        };
        self.server.iter().map(read).collect()
    }

    /// Who logs in.
    pub(super) fn user(&self, urls: &[ServerUrl]) -> Option<String> {
        self.user.clone().or_else(|| urls.iter().find_map(ServerUrl::user).map(str::to_owned))
    }

    /// How long each step may take.
    pub(super) fn timeouts(&self) -> Timeouts {
        let usual = Timeouts::default();
        self.timeout.map_or(usual, |seconds| {
            let each = Duration::from_secs(seconds.into());
            let Timeouts { data_end, .. } = usual;
            Timeouts { connect: each, greeting: each, command: each, data_start: each, data_block: each, data_end }
        })
    }

    /// A mailer for these servers, to be built.
    pub(super) fn mailer(&self, urls: &[ServerUrl], user: Option<&str>) -> Result<MailerBuilder, Failure> {
        let (Some(first), others) = (urls.first(), urls.get(1..).unwrap_or_default()) else {
            return Err(Failure::say(Exit::Usage, "no server"));
        };
        let first = user.map_or_else(|| first.clone(), |user| first.clone().with_user(user));
        let password = match (user, &self.token_command) {
            (Some(_), None) if self.cert.is_none() || self.password.is_named() => Some(self.password.read(Ask::Once)?),
            _ => None,
        };
        let mut mailer = Mailer::builder(&first.to_string()).map_err(unusable)?.login_methods(&self.auth);
        for url in others {
            mailer = mailer.or(&url.to_string()).map_err(unusable)?;
        }
        if let (Some(user), Some(password)) = (user, &password) {
            mailer = mailer.credentials(user, password.expose());
        }
        if let Some(command) = self.token_command.clone() {
            mailer = mailer.token(move || token(command.clone()));
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            mailer = mailer.certificate(CertificateFiles { cert: cert.clone(), key: key.clone() });
        }
        self.by_the_way(mailer, urls).map_err(unusable)
    }

    fn by_the_way(&self, mut mailer: MailerBuilder, urls: &[ServerUrl]) -> Result<MailerBuilder, MailerError> {
        mailer = mailer.timeouts(self.timeouts());
        if let Some(ca) = &self.ca {
            mailer = mailer.roots(Roots::PemFile(ca.clone()));
        }
        if let Some(helo) = &self.helo {
            mailer = mailer.helo(helo);
        }
        if let Some(source) = self.source {
            mailer = mailer.source(source);
        }
        if let Some(proxy) = &self.proxy {
            mailer = mailer.proxy(proxy)?;
        }
        if self.all_or_none {
            mailer = mailer.all_or_none();
        }
        if self.transcript {
            mailer = mailer.transcript(|line: &Line| report::dialogue(line));
        }
        if self.danger_accept_any_certificate {
            // Asked for by name. Without TLS a password still goes nowhere but to loopback.
            mailer = mailer.danger_accept_any_certificate();
            if urls.iter().all(ServerUrl::is_protected) {
                mailer = mailer.danger_send_password_unprotected();
            }
        }
        Ok(mailer)
    }
}

/// What the command prints now.
async fn token(command: String) -> Result<String, String> {
    let printed = task::blocking(move || of_command(&command)).await;
    printed.map(|token| token.expose().to_owned()).map_err(|failure| failure.to_string())
}
