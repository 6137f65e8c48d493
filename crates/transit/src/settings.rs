//! What an operator may set of MTA-STS.

use std::time::Duration;

use posthouse_config::Period;
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::{Mode, Pattern, Policy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// MTA-STS (RFC 8461): the policies of other domains for the TLS on the way to them, and our own for the way to us.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Whether the policies of other domains are looked up and obeyed.
    pub obey: bool,
    /// The port at which policies are fetched. 443, but for test worlds.
    pub port: u16,
    /// Our own policy, for every domain of this server. It needs a listener of kind `https`, and a certificate for `mta-sts.` and the
    /// domain's name. Not set: none is served.
    pub serve: Option<Served>,
}

/// The policy that tells other servers that they may insist on TLS with a certificate that holds.
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Served {
    /// Whether they should. Begin with `testing`: failures are then reported and hold nothing up. Before serving none at all, serve `none`
    /// for as long as `max-age` was.
    pub mode: ServedMode,
    /// The names of the hosts in the domain's MX records, as their certificates have them; `*.example.org` stands for one label. Not set:
    /// `hostname`.
    #[serde(default)]
    pub mx: Vec<String>,
    /// How long other servers hold on to it; at most a year.
    #[serde(default = "max_age")]
    pub max_age: Period,
}

/// How much our own policy is meant.
#[derive(Deserialize, Serialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum ServedMode {
    /// Nothing is to be delivered without TLS that holds.
    Enforce,
    /// Failures are to be reported, and mail delivered all the same.
    Testing,
    /// The policy is taken back.
    None,
}

/// Reports on TLS (RFC 8460).
#[derive(Deserialize, JsonSchema, Debug, Clone, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReportSettings {
    /// Whether domains that ask for it are told once a day how many connections to their mail hosts had TLS as it should be, and what was
    /// wrong with the others.
    pub send: bool,
    /// Who the reports come from. Not set: `postmaster` of the domain of ours that `hostname` belongs to.
    pub from: Option<String>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { send: true, from: None }
    }
}

fn max_age() -> Period {
    Period(Duration::from_hours(7 * 24))
}

impl Default for Settings {
    fn default() -> Self {
        Self { obey: true, port: 443, serve: None }
    }
}

impl Served {
    /// The policy as it is served.
    ///
    /// # Errors
    /// The place of the host in `mx` that is none, and why.
    pub fn policy(&self, hostname: &Domain) -> Result<Policy, (usize, String)> {
        let read = |(place, host): (usize, &String)| host.parse::<Pattern>().map_err(|error| (place, error.to_string()));
        let mut mx: Vec<Pattern> = self.mx.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        if mx.is_empty() {
            mx.push(hostname.as_str().parse::<Pattern>().map_err(|error| (0, error.to_string()))?);
        }
        let mode = match self.mode {
            ServedMode::Enforce => Mode::Enforce,
            ServedMode::Testing => Mode::Testing,
            ServedMode::None => Mode::None,
        };
        Ok(Policy::new(mode, mx, self.max_age.0))
    }
}
