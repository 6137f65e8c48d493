//! Straight to the recipients' mail hosts, without a server of one's own.

use std::path::PathBuf;

use posthouse_client::{DirectBuilder, Line, Mailer, Roots};

use super::report;
use super::server::ServerArgs;
use crate::cli::{Exit, Failure};

/// How letters go to mail hosts.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Straight to mail hosts")]
pub(super) struct DirectArgs {
    /// Give the letter straight to the mail hosts of the recipients' domains (MX), obeying what they promise of TLS (DANE, MTA-STS). It is tried once:
    /// what cannot go now is told, and not kept. Many networks let only their servers through to port 25.
    #[arg(long, conflicts_with_all = ["server", "port", "queue", "user", "auth", "token_command", "cert", "danger_accept_any_certificate", "proxy"])]
    pub(super) direct: bool,
    /// The port of mail hosts [default: 25].
    #[arg(long, value_name = "PORT", requires = "direct")]
    mx_port: Option<u16>,
}

impl DirectArgs {
    /// A mailer to be built.
    pub(super) fn mailer(&self, common: &ServerArgs) -> Result<DirectBuilder, Failure> {
        let helo = common.helo.clone().map_or_else(own_name, Ok)?;
        let mut mailer = Mailer::direct(&helo).timeouts(common.timeouts());
        if let Some(source) = common.source {
            mailer = mailer.source(source);
        }
        // Without a place to keep them they are known as long as this process lives.
        if let Some(folder) = state_folder().filter(|folder| std::fs::create_dir_all(folder).is_ok()) {
            mailer = mailer.policies_in(folder);
        }
        if let Some(ca) = &common.ca {
            mailer = mailer.roots(Roots::PemFile(ca.clone()));
        }
        if let Some(port) = self.mx_port {
            mailer = mailer.port(port);
        }
        if common.tls {
            mailer = mailer.require_tls();
        }
        if common.transcript {
            mailer = mailer.transcript(|line: &Line| report::dialogue(line));
        }
        Ok(mailer)
    }
}

/// The name of this machine, if it is one that another could look up.
fn own_name() -> Result<String, Failure> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.contains('.') {
        return Ok(name);
    }
    Err(Failure::say(Exit::Usage, format_args!("mail hosts want our whole name, and this machine is just `{name}`: give --helo")))
}

/// Where the policies of domains are kept from one run to the next.
fn state_folder() -> Option<PathBuf> {
    let named = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|path| !path.is_empty()).map(|home| PathBuf::from(home).join(".local/state"));
    named.or_else(home).map(|folder| folder.join("posthouse"))
}
