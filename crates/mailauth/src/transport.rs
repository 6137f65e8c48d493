//! How safely a letter must travel to one mail host: the one place where that is decided.
//!
//! [`decide`] is a pure function of what is known of a host before it is connected to. It is never weaker than what was promised and never
//! stronger than what was asked: a letter is lost by the one as by the other. The table of its answers is `docs/design/tls-policy.md`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use posthouse_mail::{Domain, TlsWish};
use thiserror::Error;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::crypto;
use crate::dane::{Dane, Records};
use crate::mta_sts::{Mode, Pattern, Policy};

/// The SHA-256 hash of a key (its SubjectPublicKeyInfo in DER form) that a host must show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin(pub [u8; 32]);

/// A text that is not a [`Pin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a pin is the SHA-256 hash of a public key: 64 hexadecimal digits")]
pub struct PinError;

/// What an operator asks of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Demand {
    /// Never TLS.
    Clear,
    /// TLS where it works, whatever the destination promises.
    Opportunistic,
    /// TLS; more where the destination promises more.
    Require,
    /// TLS with a verified certificate, and a host that is one of these or that the destination vouches for.
    Verify(Vec<Pattern>),
    /// TLS with one of these keys, and nothing else counts.
    Pin(Arc<[Pin]>),
}

/// What is known of one host before it is connected to.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The host.
    pub host: &'a Domain,
    /// Whether it is beyond doubt that letters for the destination belong there: by DNSSEC, or because no MX record was needed to find it.
    pub is_vouched: bool,
    /// What the operator set for the destination.
    pub demand: Option<&'a Demand>,
    /// What the DNS says of the host's certificate.
    pub dane: &'a Dane,
    /// What the destination promises by MTA-STS.
    pub sts: Option<&'a Policy>,
    /// What the letter's sender asks.
    pub wish: TlsWish,
}

/// What is asked of the connection to one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsPolicy {
    /// In clear, even where TLS is offered.
    Clear,
    /// TLS where it is offered and works, else in clear (RFC 7435).
    Opportunistic,
    /// TLS or nothing; to whom is not known.
    Encrypted,
    /// TLS with a certificate for the host's name from an authority that is trusted here.
    Verified,
    /// TLS with certificates that fit these records.
    Dane(Arc<Records>),
    /// TLS with one of these keys.
    Pinned(Arc<[Pin]>),
    /// This host is not used.
    Refused(Refusal),
}

/// Why a host is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The MTA-STS policy does not name it.
    NotNamed,
    /// Its TLSA records cannot be read now, or somebody tampers with them.
    DaneTrouble(String),
    /// The letter requires TLS on its whole way (RFC 8689), and that the host is the right one cannot be verified. For good, if no other host does.
    TlsRequired,
    /// The operator wants it verified, and nothing says that letters for the destination belong there.
    NotVouched,
}

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nobody: nothing is promised and nothing was set.
    Nobody,
    /// The letter's sender.
    Sender,
    /// The operator.
    Operator,
    /// The host, by DANE.
    Dane,
    /// The destination, by MTA-STS.
    MtaSts,
    /// The destination tries an MTA-STS policy out.
    MtaStsTesting,
}

/// What is asked of the connection to one host, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What is asked.
    pub policy: TlsPolicy,
    /// Who asked.
    pub reason: Reason,
    /// Whether the certificate is verified although nothing follows from it, so that the result can be reported (RFC 8461 §5).
    pub is_trial: bool,
}

/// Decides. The table: `docs/design/tls-policy.md`.
#[must_use]
pub fn decide(known: &Known<'_>) -> Decision {
    match (known.wish, known.demand) {
        (TlsWish::AsPromised | TlsWish::Optional, _) => by_operator(known),
        // What is set to make letters arrive is no reason to break this one's condition.
        (TlsWish::Required, Some(Demand::Clear | Demand::Opportunistic)) => {
            required(known, by_operator(&Known { demand: None, ..*known }))
        }
        (TlsWish::Required, _) => required(known, by_operator(known)),
    }
}

/// RFC 8689 §4.2.1: a host that is beyond doubt the right one, and verified.
fn required(known: &Known<'_>, decision: Decision) -> Decision {
    let is_named = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(known.host));
    let by_operator = matches!(known.demand, Some(Demand::Verify(hosts)) if is_named(hosts));
    let by_sts = known.sts.is_some_and(|sts| sts.mode != Mode::None && is_named(&sts.mx));
    let is_right = known.is_vouched || by_operator || by_sts;
    let sender = |policy| Decision { policy, reason: Reason::Sender, is_trial: false };
    match decision.policy {
        TlsPolicy::Pinned(_) | TlsPolicy::Refused(_) => decision,
        TlsPolicy::Verified | TlsPolicy::Dane(_) if is_right => decision,
        TlsPolicy::Opportunistic | TlsPolicy::Encrypted if is_right => sender(TlsPolicy::Verified),
        TlsPolicy::Clear | TlsPolicy::Opportunistic | TlsPolicy::Encrypted | TlsPolicy::Verified | TlsPolicy::Dane(_) => {
            sender(TlsPolicy::Refused(Refusal::TlsRequired))
        }
    }
}

/// What holds whatever the letter's sender asks.
fn by_operator(known: &Known<'_>) -> Decision {
    let promised = promised(known);
    let is_trial = promised.is_trial;
    let operators = |policy| Decision { policy, reason: Reason::Operator, is_trial: false };
    match known.demand {
        Some(Demand::Clear) => operators(TlsPolicy::Clear),
        Some(Demand::Opportunistic) => operators(TlsPolicy::Opportunistic),
        Some(Demand::Pin(pins)) => operators(TlsPolicy::Pinned(Arc::clone(pins))),
        Some(Demand::Require) => match promised.policy {
            TlsPolicy::Clear | TlsPolicy::Opportunistic => Decision { is_trial, ..operators(TlsPolicy::Encrypted) },
            TlsPolicy::Encrypted | TlsPolicy::Verified | TlsPolicy::Dane(_) | TlsPolicy::Pinned(_) | TlsPolicy::Refused(_) => {
                promised
            }
        },
        Some(Demand::Verify(hosts)) => match promised.policy {
            TlsPolicy::Clear | TlsPolicy::Opportunistic | TlsPolicy::Encrypted => {
                let is_expected = known.is_vouched || hosts.iter().any(|pattern| pattern.matches(known.host));
                operators(if is_expected { TlsPolicy::Verified } else { TlsPolicy::Refused(Refusal::NotVouched) })
            }
            TlsPolicy::Verified | TlsPolicy::Dane(_) | TlsPolicy::Pinned(_) | TlsPolicy::Refused(_) => promised,
        },
        None => promised,
    }
}

/// What the destination itself promises.
fn promised(known: &Known<'_>) -> Decision {
    if known.wish == TlsWish::Optional {
        // RFC 8689 §4.1: neither DANE nor MTA-STS is insisted on.
        return Decision { policy: TlsPolicy::Opportunistic, reason: Reason::Sender, is_trial: false };
    }
    let by_dane = |policy| Decision { policy, reason: Reason::Dane, is_trial: false };
    let without = match known.dane {
        // RFC 8461 §2: MTA-STS never overrides what DANE says, in neither direction.
        Dane::Records(records) => return by_dane(TlsPolicy::Dane(Arc::clone(records))),
        Dane::Trouble(why) => return by_dane(TlsPolicy::Refused(Refusal::DaneTrouble(why.clone()))),
        Dane::Unusable => by_dane(TlsPolicy::Encrypted),
        Dane::Nothing(_) => Decision { policy: TlsPolicy::Opportunistic, reason: Reason::Nobody, is_trial: false },
    };
    let Some(sts) = known.sts else { return without };
    match sts.mode {
        Mode::Enforce => {
            // RFC 8461 §4.1, §5.
            let is_named = sts.mx.iter().any(|pattern| pattern.matches(known.host));
            let policy = if is_named { TlsPolicy::Verified } else { TlsPolicy::Refused(Refusal::NotNamed) };
            Decision { policy, reason: Reason::MtaSts, is_trial: false }
        }
        Mode::Testing if without.reason == Reason::Dane => Decision { is_trial: true, ..without },
        Mode::Testing => Decision { reason: Reason::MtaStsTesting, is_trial: true, ..without },
        Mode::None => without,
    }
}

/// Hexadecimal digits; colons between them, as tools print them, say nothing.
impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let digits: Option<Vec<u8>> =
            text.chars().filter(|c| *c != ':').map(|c| Some(c.to_digit(16)?.to_le_bytes()[0])).collect();
        let digits: [u8; 64] = digits.and_then(|digits| digits.try_into().ok()).ok_or(PinError)?;
        let (pairs, _) = digits.as_chunks::<2>();
        let mut octets = [0; 32];
        octets.iter_mut().zip(pairs).for_each(|(octet, [high, low])| *octet = high << 4 | low);
        Ok(Self(octets))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DaneTrouble(why) => why,
            Self::TlsRequired => "the letter requires TLS on its whole way, and nothing vouches for this host",
            Self::NotNamed => "the domain's MTA-STS policy does not name this host",
            Self::NotVouched => "nothing vouches for this host: the domain's MX records are not signed; name it in `tls-hosts`",
        })
    }
}

/// A word for the policy, and who asked: `verified, as the operator asks`.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.policy {
            TlsPolicy::Clear => "in clear",
            TlsPolicy::Opportunistic => "opportunistic",
            TlsPolicy::Encrypted => "encrypted",
            TlsPolicy::Verified => "verified",
            TlsPolicy::Dane(_) => "dane",
            TlsPolicy::Pinned(_) => "pinned",
            TlsPolicy::Refused(_) => "refused",
        })?;
        match &self.reason {
            Reason::Nobody => Ok(()),
            Reason::Sender => f.write_str(", as the letter's sender asks"),
            Reason::Operator => f.write_str(", as the operator asks"),
            Reason::Dane => match &self.policy {
                TlsPolicy::Dane(records) => write!(f, ", by {records}"),
                TlsPolicy::Encrypted => f.write_str(", because none of the host's TLSA records can be used"),
                TlsPolicy::Clear
                | TlsPolicy::Opportunistic
                | TlsPolicy::Verified
                | TlsPolicy::Pinned(_)
                | TlsPolicy::Refused(_) => Ok(()),
            },
            Reason::MtaSts => f.write_str(", as the domain's MTA-STS policy asks"),
            Reason::MtaStsTesting => f.write_str(", while the domain tests its MTA-STS policy"),
        }
    }
}

/// Whether a certificate (in DER form) shows one of these keys.
///
/// # Errors
/// What it shows instead, for people.
pub fn check_pins(certificate: &[u8], pins: &[Pin]) -> Result<(), String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| format!("it cannot be read: {error}"))?;
    let shown = Pin(crypto::sha256(parsed.tbs_certificate.subject_pki.raw));
    if pins.contains(&shown) { Ok(()) } else { Err(format!("its key is not one of those that are pinned; its hash is {shown}")) }
}

#[cfg(test)]
mod tests;
