//! `MAIL` and its parameters.

use std::fmt;

use posthouse_mail::{BodyKind, Priority, Ret, ReversePath};

use super::parameter::{once, parameters};
use super::path::reverse_path;
use super::{ArgumentError, By, Hold, take_path, xtext};

/// `envid` has at most 100 characters (RFC 3461 §4.4).
const ENVID_BYTES_MAX: usize = 100;

/// `mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]` (RFC 5321 §4.1.1.2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mail {
    /// Who is told of a failure.
    pub path: ReversePath,
    /// `SIZE=`: the octets the letter will have (RFC 1870 §4).
    pub size: Option<u64>,
    /// `BODY=`.
    pub body: Option<BodyKind>,
    /// `SMTPUTF8` (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `RET=` (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded.
    pub envid: Option<String>,
    /// `AUTH=`, decoded; `<>` when the sender is not known (RFC 4954 §5).
    pub auth: Option<String>,
    /// `MT-PRIORITY=` (RFC 6710 §4).
    pub priority: Option<Priority>,
    /// `HOLDFOR=` or `HOLDUNTIL=`, of which there is one at most (RFC 4865 §5).
    pub hold: Option<Hold>,
    /// `BY=` (RFC 2852 §4).
    pub by: Option<By>,
    /// `REQUIRETLS` (RFC 8689 §2).
    pub require_tls: bool,
}

impl Mail {
    /// Reads what stands behind the verb.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn parse(arguments: &str) -> Result<Self, ArgumentError> {
        const FORM: ArgumentError = ArgumentError::Form("the form is MAIL FROM:<address> [parameters]");
        let behind = arguments.get(..5).filter(|word| word.eq_ignore_ascii_case("FROM:")).and(arguments.get(5..)).ok_or(FORM)?;
        // A deviation: the grammar has no space behind the colon, many programs do.
        let (inside, rest) = take_path(behind.trim_start_matches(' '))?;
        let mut mail = Self { path: reverse_path(inside)?, ..Self::default() };
        for parameter in parameters(rest) {
            let (keyword, value) = parameter?;
            mail.set(keyword, value)?;
        }
        // RFC 6531 §3.3: also a domain of U-labels needs the parameter.
        if !mail.smtputf8 && !arguments.is_ascii() {
            return Err(ArgumentError::NeedsSmtpUtf8);
        }
        Ok(mail)
    }

    /// Whether any parameter was given.
    #[must_use]
    pub fn has_parameters(&self) -> bool {
        *self != Self { path: self.path.clone(), ..Self::default() }
    }

    fn set(&mut self, keyword: &str, value: Option<&str>) -> Result<(), ArgumentError> {
        match keyword.to_ascii_uppercase().as_str() {
            "SIZE" => once(&mut self.size, "SIZE", value.and_then(size)),
            "BODY" => once(&mut self.body, "BODY", value.and_then(body)),
            "SMTPUTF8" if value.is_none() && !self.smtputf8 => {
                self.smtputf8 = true;
                Ok(())
            }
            "SMTPUTF8" => Err(ArgumentError::Parameter("SMTPUTF8")),
            "REQUIRETLS" if value.is_none() && !self.require_tls => {
                self.require_tls = true;
                Ok(())
            }
            "REQUIRETLS" => Err(ArgumentError::Parameter("REQUIRETLS")),
            "RET" => once(&mut self.ret, "RET", value.and_then(ret)),
            "ENVID" => {
                let envid = value.and_then(xtext::decode).filter(|envid| envid.len() <= ENVID_BYTES_MAX);
                once(&mut self.envid, "ENVID", envid)
            }
            "AUTH" => once(&mut self.auth, "AUTH", value.and_then(xtext::decode)),
            "MT-PRIORITY" => once(&mut self.priority, "MT-PRIORITY", value.and_then(priority)),
            "HOLDFOR" => once(&mut self.hold, "HOLDFOR", value.and_then(Hold::parse_for)),
            "HOLDUNTIL" => once(&mut self.hold, "HOLDUNTIL", value.and_then(Hold::parse_until)),
            "BY" => once(&mut self.by, "BY", value.and_then(By::parse)),
            _ => Err(ArgumentError::UnknownParameter(keyword.to_ascii_uppercase())),
        }
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MAIL FROM:<{}>", self.path)?;
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            let name = match body {
                BodyKind::SevenBit => "7BIT",
                BodyKind::EightBitMime => "8BITMIME",
                BodyKind::BinaryMime => "BINARYMIME",
            };
            write!(f, " BODY={name}")?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        if let Some(ret) = self.ret {
            f.write_str(match ret {
                Ret::Full => " RET=FULL",
                Ret::Headers => " RET=HDRS",
            })?;
        }
        if let Some(envid) = &self.envid {
            write!(f, " ENVID={}", xtext::encode(envid))?;
        }
        match self.auth.as_deref() {
            // RFC 4954 §5: the two characters themselves, not xtext.
            Some("<>") => f.write_str(" AUTH=<>")?,
            Some(auth) => write!(f, " AUTH={}", xtext::encode(auth))?,
            None => {}
        }
        if let Some(priority) = self.priority {
            write!(f, " MT-PRIORITY={priority}")?;
        }
        if let Some(hold) = self.hold {
            write!(f, " {hold}")?;
        }
        if let Some(by) = self.by {
            write!(f, " {by}")?;
        }
        if self.require_tls { f.write_str(" REQUIRETLS") } else { Ok(()) }
    }
}

/// `size-value ::= 1*20DIGIT` (RFC 1870 §4). What does not fit into 64 bits is larger than any letter.
fn size(value: &str) -> Option<u64> {
    let right = (1..=20).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    right.then(|| value.parse().unwrap_or(u64::MAX))
}

fn body(value: &str) -> Option<BodyKind> {
    let kinds = [("7BIT", BodyKind::SevenBit), ("8BITMIME", BodyKind::EightBitMime), ("BINARYMIME", BodyKind::BinaryMime)];
    kinds.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
}

fn ret(value: &str) -> Option<Ret> {
    let kinds = [("FULL", Ret::Full), ("HDRS", Ret::Headers)];
    kinds.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
}

/// `priority-value = (["-"] NZDIGIT) / "0"` (RFC 6710 §4).
fn priority(value: &str) -> Option<Priority> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let right = value == "0" || matches!(digits.as_bytes(), [b'1'..=b'9']);
    right.then(|| value.parse().ok().and_then(Priority::new))?
}
