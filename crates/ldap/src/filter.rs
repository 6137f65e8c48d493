//! Search filters (RFC 4515) as an operator writes them, with places for what somebody has typed.
//!
//! A filter is read once, when the configuration is. What was typed goes into the finished filter as octets of a value, never as text: there is nothing to escape, and no login can
//! make another filter of it.

use crate::ber::{self, OCTETS};

/// The operations within each other.
const DEPTH_MAX: usize = 10;
/// The octets of a filter.
pub(crate) const FILTER_BYTES_MAX: usize = 4096;

/// A filter. Its form is that of RFC 4511 §4.5.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    /// `=`, `>=`, `<=`, `~=`: the tag of each.
    Compare(u8, String, Value),
    Substrings {
        attribute: String,
        initial: Option<Value>,
        any: Vec<Value>,
        last: Option<Value>,
    },
    Present(String),
    /// `attribute:dn:rule:=value`.
    Extensible {
        attribute: Option<String>,
        dn: bool,
        rule: Option<String>,
        value: Value,
    },
}

/// An assertion value: octets, and places to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Octets(Vec<u8>),
    /// `%u`: the whole login.
    Login,
    /// `%n`: what stands before the `@`.
    Local,
    /// `%d`: what stands behind it.
    Domain,
}

const EQUAL: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER: u8 = 0xa5;
const LESS: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const ALIKE: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(format!("a filter has at most {FILTER_BYTES_MAX} octets"));
        }
        let mut parser = Parser { rest: text };
        let filter = parser.filter(0)?;
        if parser.rest.is_empty() { Ok(filter) } else { Err(format!("`{}` stands behind the filter's end", parser.rest)) }
    }

    /// Whether the login, or its part before the `@`, stands anywhere in it.
    pub(crate) fn names_login(&self) -> bool {
        let names = |value: &Value| value.0.iter().any(|piece| matches!(piece, Piece::Login | Piece::Local));
        match self {
            Self::And(all) | Self::Or(all) => all.iter().any(Self::names_login),
            Self::Not(_) | Self::Present(_) => false,
            Self::Compare(_, _, value) | Self::Extensible { value, .. } => names(value),
            Self::Substrings { initial, any, last, .. } => initial.iter().chain(any).chain(last).any(names),
        }
    }

    /// The filter in BER, for one login.
    pub(crate) fn encode(&self, login: &str) -> Vec<u8> {
        let all = |filters: &[Self]| filters.iter().flat_map(|filter| filter.encode(login)).collect::<Vec<u8>>();
        match self {
            Self::And(filters) => ber::element(0xa0, &all(filters)),
            Self::Or(filters) => ber::element(0xa1, &all(filters)),
            Self::Not(filter) => ber::element(0xa2, &filter.encode(login)),
            Self::Compare(tag, attribute, value) => {
                let pair = [ber::element(OCTETS, attribute.as_bytes()), ber::element(OCTETS, &value.fill(login))];
                ber::element(*tag, &pair.concat())
            }
            Self::Present(attribute) => ber::element(PRESENT, attribute.as_bytes()),
            Self::Substrings { attribute, initial, any, last } => {
                let mut parts = Vec::new();
                parts.extend(initial.iter().flat_map(|value| ber::element(0x80, &value.fill(login))));
                parts.extend(any.iter().flat_map(|value| ber::element(0x81, &value.fill(login))));
                parts.extend(last.iter().flat_map(|value| ber::element(0x82, &value.fill(login))));
                let content = [ber::element(OCTETS, attribute.as_bytes()), ber::element(ber::SEQUENCE, &parts)];
                ber::element(SUBSTRINGS, &content.concat())
            }
            Self::Extensible { attribute, dn, rule, value } => {
                let mut content = Vec::new();
                content.extend(rule.iter().flat_map(|rule| ber::element(0x81, rule.as_bytes())));
                content.extend(attribute.iter().flat_map(|name| ber::element(0x82, name.as_bytes())));
                content.extend(ber::element(0x83, &value.fill(login)));
                if *dn {
                    content.extend(ber::element(0x84, &[0xff]));
                }
                ber::element(EXTENSIBLE, &content)
            }
        }
    }
}

impl Value {
    fn fill(&self, login: &str) -> Vec<u8> {
        let (local, domain) = login.rsplit_once('@').unwrap_or((login, ""));
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Octets(octets) => out.extend_from_slice(octets),
                Piece::Login => out.extend_from_slice(login.as_bytes()),
                Piece::Local => out.extend_from_slice(local.as_bytes()),
                Piece::Domain => out.extend_from_slice(domain.as_bytes()),
            }
        }
        out
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `assertionvalue`: `\2a` for the octet, `%u` for a place.
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut octets = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let piece = match byte {
                b'\\' => {
                    let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                    let octet = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                    octets.push(octet.ok_or_else(|| format!("in `{text}` two hexadecimal digits must follow the `\\`"))?);
                    continue;
                }
                b'%' => match bytes.next() {
                    Some(b'u') => Piece::Login,
                    Some(b'n') => Piece::Local,
                    Some(b'd') => Piece::Domain,
                    Some(b'%') => {
                        octets.push(b'%');
                        continue;
                    }
                    _ => return Err(format!("in `{text}` a `%` is followed by u, n, d or %")),
                },
                0 => return Err("a NUL is written \\00".to_owned()),
                byte => {
                    octets.push(byte);
                    continue;
                }
            };
            if !octets.is_empty() {
                pieces.push(Piece::Octets(std::mem::take(&mut octets)));
            }
            pieces.push(piece);
        }
        if !octets.is_empty() {
            pieces.push(Piece::Octets(octets));
        }
        Ok(Self(pieces))
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn filter(&mut self, depth: usize) -> Result<Filter, String> {
        if depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} filters stand within each other"));
        }
        self.expect('(')?;
        let filter = match self.rest.chars().next() {
            Some('&') => Filter::And(self.list(depth)?),
            Some('|') => Filter::Or(self.list(depth)?),
            Some('!') => {
                self.rest = self.rest.get(1..).unwrap_or_default();
                Filter::Not(Box::new(self.filter(depth + 1)?))
            }
            _ => {
                let end = self.rest.find(['(', ')']).unwrap_or(self.rest.len());
                let (item, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
                self.rest = rest;
                item_of(item)?
            }
        };
        self.expect(')')?;
        Ok(filter)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Filter>, String> {
        self.rest = self.rest.get(1..).unwrap_or_default();
        let mut filters = vec![self.filter(depth + 1)?];
        while self.rest.starts_with('(') {
            filters.push(self.filter(depth + 1)?);
        }
        Ok(filters)
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        let rest = self.rest.strip_prefix(wanted);
        let seen = self.rest.chars().next().map_or("the end".to_owned(), |c| format!("`{c}`"));
        self.rest = rest.ok_or_else(|| format!("a `{wanted}` is expected where {seen} stands"))?;
        Ok(())
    }
}

/// `attribute=value` and its kin.
fn item_of(item: &str) -> Result<Filter, String> {
    let (name, value) = item.split_once('=').ok_or_else(|| format!("there is no `=` in `{item}`"))?;
    if let Some(name) = name.strip_suffix(':') {
        return extensible(name, value);
    }
    for (sign, tag) in [('>', GREATER), ('<', LESS), ('~', ALIKE)] {
        if let Some(name) = name.strip_suffix(sign) {
            return Ok(Filter::Compare(tag, attribute(name)?, Value::parse(value)?));
        }
    }
    let attribute = attribute(name)?;
    if value == "*" {
        return Ok(Filter::Present(attribute));
    }
    let Some((initial, rest)) = value.split_once('*') else {
        return Ok(Filter::Compare(EQUAL, attribute, Value::parse(value)?));
    };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let any: Vec<Value> = middle.split('*').map(Value::parse).collect::<Result<_, _>>()?;
    let some = |value: Value| (!value.is_empty()).then_some(value);
    Ok(Filter::Substrings {
        attribute,
        initial: some(Value::parse(initial)?),
        any: any.into_iter().filter_map(some).collect(),
        last: some(Value::parse(last)?),
    })
}

fn extensible(name: &str, value: &str) -> Result<Filter, String> {
    let mut parts = name.split(':');
    let named = parts.next().filter(|name| !name.is_empty()).map(attribute).transpose()?;
    let rest: Vec<&str> = parts.collect();
    let (dn, rule) = match rest.as_slice() {
        [] => (false, None),
        ["dn"] => (true, None),
        ["dn", rule] => (true, Some(attribute(rule)?)),
        [rule] => (false, Some(attribute(rule)?)),
        _ => return Err(format!("`{name}:=` is no form of a filter")),
    };
    if named.is_none() && rule.is_none() {
        return Err("a filter with `:=` names an attribute or a rule".to_owned());
    }
    Ok(Filter::Extensible { attribute: named, dn, rule, value: Value::parse(value)? })
}

/// `attributedescription` (RFC 4512 §2.5): letters, digits, `-`, `.` of an object identifier, `;` of an option.
pub(crate) fn attribute(name: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b';' | b'_');
    let right = !name.is_empty() && name.len() <= 128 && name.bytes().all(fits);
    if right { Ok(name.to_owned()) } else { Err(format!("`{name}` is not the name of an attribute")) }
}

#[cfg(test)]
mod tests;
