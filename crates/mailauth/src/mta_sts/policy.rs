//! The policy that is served at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` (RFC 8461 §3.2).

use std::fmt;
use std::time::Duration;

use posthouse_mail::Domain;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Pattern;
use crate::crypto::Sha256;
use crate::fields::is_name;
use crate::tags::shown;

/// The octets of a policy (§3.3: at least 64 KiB are to be allowed).
const POLICY_BYTES_MAX: usize = 64 * 1024;
/// The lines of a policy.
const LINES_MAX: usize = 4096;
/// The hosts that a policy may name. The longest in use have some dozens.
const PATTERNS_MAX: usize = 1000;
/// §3.2: a year. A longer promise counts as this one.
const MAX_AGE_MAX: Duration = Duration::from_secs(31_557_600);
/// `sts-policy-max-age-value = 1*10(DIGIT)`.
const MAX_AGE_DIGITS_MAX: usize = 10;
/// The octets of SHA-256 that name a policy.
const ID_OCTETS: usize = 16;

/// What is to be done when a host does not do what the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is delivered to it.
    Enforce,
    /// It is reported (RFC 8460), and the letter is delivered.
    Testing,
    /// The domain takes its policy back.
    None,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How much it is meant.
    pub mode: Mode,
    /// The hosts that take the domain's mail. Empty in mode `none` alone.
    pub mx: Vec<Pattern>,
    /// How long it holds from the moment it was fetched; at most a year.
    pub max_age: Duration,
}

/// Why a text is no policy. A sender keeps the policy that it knows and tries again later (§3.3).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// More than 64 KiB.
    #[error("the policy is longer than {POLICY_BYTES_MAX} octets")]
    TooLong,
    /// More lines or hosts than any policy needs.
    #[error("the policy has more than {0}")]
    TooMany(&'static str),
    /// Not UTF-8.
    #[error("the policy is not a text")]
    NotText,
    /// A line that is no field.
    #[error("line {line} of the policy is no field: `{text}`")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Its beginning.
        text: String,
    },
    /// A field without which it means nothing.
    #[error("the policy has no `{0}`")]
    Missing(&'static str),
    /// A field whose value is none of those it may have.
    #[error("`{value}` is no value of `{field}` in a policy")]
    Value {
        /// The field.
        field: &'static str,
        /// The beginning of its value.
        value: String,
    },
}

/// The fields as they were written; of those that come twice the first counts (§3.2).
#[derive(Default)]
struct Fields<'a> {
    version: Option<&'a str>,
    mode: Option<&'a str>,
    max_age: Option<&'a str>,
    mx: Vec<&'a str>,
}

impl Policy {
    /// A policy; its time is cut to a year.
    #[must_use]
    pub fn new(mode: Mode, mx: Vec<Pattern>, max_age: Duration) -> Self {
        Self { mode, mx, max_age: max_age.min(MAX_AGE_MAX) }
    }

    /// Reads the body of an HTTPS response. Unknown fields mean nothing.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(body: &[u8]) -> Result<Self, PolicyError> {
        if body.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong);
        }
        let text = std::str::from_utf8(body).map_err(|_| PolicyError::NotText)?;
        let fields = Fields::of(text)?;
        let version = fields.version.ok_or(PolicyError::Missing("version"))?;
        if version != "STSv1" {
            return Err(wrong("version", version));
        }
        let mode = match fields.mode.ok_or(PolicyError::Missing("mode"))? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            other => return Err(wrong("mode", other)),
        };
        let max_age = fields.max_age.ok_or(PolicyError::Missing("max_age"))?;
        let seconds = max_age.parse::<u64>().ok().filter(|_| max_age.len() <= MAX_AGE_DIGITS_MAX && is_digits(max_age));
        let max_age = Duration::from_secs(seconds.ok_or_else(|| wrong("max_age", max_age))?);
        let mx: Vec<Pattern> =
            fields.mx.into_iter().map(|host| host.parse().map_err(|_| wrong("mx", host))).collect::<Result<_, _>>()?;
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::Missing("mx"));
        }
        Ok(Self::new(mode, mx, max_age))
    }

    /// Whether the policy allows a mail host. One of mode `none` allows all.
    #[must_use]
    pub fn allows(&self, host: &Domain) -> bool {
        self.mode == Mode::None || self.mx.iter().any(|pattern| pattern.matches(host))
    }

    /// A name for this form of the policy, for the `id` of its record: another policy has another.
    #[must_use]
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.to_string().as_bytes());
        hash.finish().iter().take(ID_OCTETS).map(|octet| format!("{octet:02x}")).collect()
    }
}

/// The text to serve, with CRLF at the end of each line.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version: STSv1\r\nmode: {}\r\n", self.mode)?;
        self.mx.iter().try_for_each(|pattern| write!(f, "mx: {pattern}\r\n"))?;
        write!(f, "max_age: {}\r\n", self.max_age.as_secs())
    }
}

/// As a policy writes it.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        })
    }
}

impl<'a> Fields<'a> {
    fn of(text: &'a str) -> Result<Self, PolicyError> {
        let mut fields = Self::default();
        // `sts-policy-term = LF / CRLF`
        for (place, line) in text.split('\n').enumerate() {
            if place >= LINES_MAX {
                return Err(PolicyError::TooMany("4096 lines"));
            }
            let line = line.strip_suffix('\r').unwrap_or(line);
            let content = line.trim_end_matches([' ', '\t']);
            // The grammar has no empty line but the end of the last one; servers add some, and they say nothing.
            if content.is_empty() {
                continue;
            }
            let broken = || PolicyError::Line { line: place + 1, text: shown(content) };
            let (name, value) = content.split_once(':').ok_or_else(broken)?;
            let value = value.trim_start_matches([' ', '\t']);
            if !is_name(name) || value.is_empty() || value.chars().any(char::is_control) {
                return Err(broken());
            }
            match name {
                "version" => drop(fields.version.get_or_insert(value)),
                "mode" => drop(fields.mode.get_or_insert(value)),
                "max_age" => drop(fields.max_age.get_or_insert(value)),
                "mx" if fields.mx.len() >= PATTERNS_MAX => return Err(PolicyError::TooMany("1000 hosts")),
                "mx" => fields.mx.push(value),
                _ => {}
            }
        }
        Ok(fields)
    }
}

fn wrong(field: &'static str, value: &str) -> PolicyError {
    PolicyError::Value { field, value: shown(value) }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_digit())
}
