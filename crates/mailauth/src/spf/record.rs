//! The grammar of a record (RFC 7208 §12). Pure; a mistake anywhere in it makes the whole record void (§4.6).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::SpfResult;
use super::macros::MacroString;

/// The terms that a record may have. Its length is bounded by the DNS; this bounds what is made of it.
const TERMS_MAX: usize = 500;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpfRecord {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) exp: Option<MacroString>,
}

/// A mechanism and what follows from its match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) result: SpfResult,
    pub(super) mechanism: Mechanism,
    /// As it was written.
    pub(super) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Cidr),
    Mx(Option<MacroString>, Cidr),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u32),
    Ip6(Ipv6Addr, u32),
    Exists(MacroString),
}

/// How many bits of an address count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    pub(super) v4: u32,
    pub(super) v6: u32,
}

/// Whether a text is meant to be an SPF record: `v=spf1` and a space or nothing (§4.5).
pub(super) fn is_record(text: &[u8]) -> bool {
    let (version, rest) = text.split_at_checked(6).unwrap_or((text, b"x"));
    version.eq_ignore_ascii_case(b"v=spf1") && matches!(rest.first(), None | Some(b' '))
}

/// Reads a text for which [`is_record`] holds. The error is the part that is wrong.
pub(super) fn parse(text: &[u8]) -> Result<SpfRecord, String> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii()).ok_or("octets that are not ASCII")?;
    let mut record = SpfRecord { directives: Vec::new(), redirect: None, exp: None };
    let terms = text.split(' ').skip(1).filter(|term| !term.is_empty());
    for (number, term) in terms.enumerate() {
        if number >= TERMS_MAX {
            return Err(format!("more than {TERMS_MAX} terms"));
        }
        read_term(&mut record, term).ok_or_else(|| term.to_owned())?;
    }
    Ok(record)
}

fn read_term(record: &mut SpfRecord, term: &str) -> Option<()> {
    let end = term.find([':', '/', '=']).unwrap_or(term.len());
    let (name, rest) = term.split_at_checked(end)?;
    let Some(value) = rest.strip_prefix('=') else {
        record.directives.push(directive(term, name, rest)?);
        return Some(());
    };
    // name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !named || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        return None;
    }
    let place = match name.to_ascii_lowercase().as_str() {
        "redirect" => &mut record.redirect,
        "exp" => &mut record.exp,
        // Unknown modifiers mean nothing, but their form must be right (§6).
        _ => return MacroString::parse(value).map(drop),
    };
    // §6: once at most.
    if place.is_some() {
        return None;
    }
    *place = Some(MacroString::domain_spec(value)?);
    Some(())
}

fn directive(term: &str, name: &str, rest: &str) -> Option<Directive> {
    let (result, name) = match name.split_at_checked(1)? {
        ("+", name) => (SpfResult::Pass, name),
        ("-", name) => (SpfResult::Fail, name),
        ("?", name) => (SpfResult::Neutral, name),
        ("~", name) => (SpfResult::Softfail, name),
        _ => (SpfResult::Pass, name),
    };
    let required = || MacroString::domain_spec(rest.strip_prefix(':')?);
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(required()?),
        "exists" => Mechanism::Exists(required()?),
        "a" => host(rest).map(|(domain, cidr)| Mechanism::A(domain, cidr))?,
        "mx" => host(rest).map(|(domain, cidr)| Mechanism::Mx(domain, cidr))?,
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(required()?)),
        "ip4" => {
            let (address, bits) = network(rest, 32)?;
            Mechanism::Ip4(address.parse().ok()?, bits)
        }
        "ip6" => {
            let (address, bits) = network(rest, 128)?;
            Mechanism::Ip6(address.parse().ok()?, bits)
        }
        _ => return None,
    };
    Some(Directive { result, mechanism, text: term.to_owned() })
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`
fn host(rest: &str) -> Option<(Option<MacroString>, Cidr)> {
    let (rest, v6) = match split_number(rest, "//") {
        Some((rest, number)) => (rest, prefix(number, 128)?),
        None => (rest, 128),
    };
    let (rest, v4) = match split_number(rest, "/") {
        Some((rest, number)) => (rest, prefix(number, 32)?),
        None => (rest, 32),
    };
    let domain = match rest {
        "" => None,
        _ => Some(MacroString::domain_spec(rest.strip_prefix(':')?)?),
    };
    Some((domain, Cidr { v4, v6 }))
}

/// What stands before `mark` and the digits behind it, if the text ends so.
fn split_number<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let rest = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = text.get(rest.len()..)?;
    let before = rest.strip_suffix(mark)?;
    (!digits.is_empty()).then_some((before, digits))
}

fn network(rest: &str, max: u32) -> Option<(&str, u32)> {
    let value = rest.strip_prefix(':')?;
    match value.split_once('/') {
        Some((address, bits)) => Some((address, prefix(bits, max)?)),
        None => Some((value, max)),
    }
}

/// `"0" / %x31-39 0*2DIGIT`
fn prefix(digits: &str, max: u32) -> Option<u32> {
    let right = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|b| b.is_ascii_digit());
    if !right || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    digits.parse().ok().filter(|&bits| bits <= max)
}
