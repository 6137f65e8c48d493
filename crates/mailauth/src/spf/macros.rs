//! Macros (RFC 7208 §7): their grammar and their expansion.

use std::fmt::Write as _;
use std::net::IpAddr;

/// The octets of a domain name; longer ones lose labels on the left (§7.3).
const DOMAIN_BYTES_MAX: usize = 253;
/// What an expansion may come to. The longest honest one is a URL.
const EXPANDED_BYTES_MAX: usize = 4096;

/// A text with macros, read and found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MacroString {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Macro(Macro),
}

/// `%{` letter digits `r` delimiters `}`
#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    /// In lower case.
    letter: char,
    escape: bool,
    keep: Option<usize>,
    reverse: bool,
    delimiters: String,
}

/// What macros stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) local: &'a str,
    pub(super) sender_domain: &'a str,
    pub(super) domain: &'a str,
    pub(super) ip: IpAddr,
    /// The validated name of the address; `unknown` without one.
    pub(super) ptr: &'a str,
    pub(super) helo: &'a str,
    pub(super) receiver: &'a str,
    pub(super) now: u64,
}

impl MacroString {
    /// `macro-string = *( macro-expand / macro-literal )`
    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::read(text, false)
    }

    /// `explain-string = *( macro-string / SP )`; only there `c`, `r` and `t` are macros (§7.2).
    pub(super) fn explanation(text: &str) -> Option<Self> {
        Self::read(text, true)
    }

    /// `domain-spec = macro-string domain-end`, where the end is a top label or a macro.
    pub(super) fn domain_spec(text: &str) -> Option<Self> {
        let parsed = Self::parse(text)?;
        let ends_right = match parsed.parts.last()? {
            Part::Macro(_) => true,
            Part::Literal(_) => {
                let text = text.strip_suffix('.').unwrap_or(text);
                text.rsplit_once('.').is_some_and(|(_, label)| is_top_label(label)) && !text.ends_with("%%")
            }
        };
        ends_right.then_some(parsed)
    }

    /// Whether the name of the address is needed.
    pub(super) fn needs_ptr(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Macro(Macro { letter: 'p', .. })))
    }

    /// The text with every macro replaced.
    pub(super) fn expand(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Macro(one) => text.push_str(&one.expand(values)),
            }
            if text.len() > EXPANDED_BYTES_MAX {
                break;
            }
        }
        text
    }

    /// The same as a domain name, cut from the left to what the DNS can hold, without its last dot.
    pub(super) fn expand_domain(&self, values: &Values<'_>) -> String {
        let whole = self.expand(values);
        let mut name = whole.strip_suffix('.').unwrap_or(&whole);
        while name.len() > DOMAIN_BYTES_MAX {
            let Some((_, rest)) = name.split_once('.') else { break };
            name = rest;
        }
        name.to_owned()
    }

    fn read(text: &str, is_explanation: bool) -> Option<Self> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (before, found) = rest.split_at_checked(at)?;
            literal.push_str(before);
            let (kind, behind) = found.get(1..)?.split_at_checked(1)?;
            rest = behind;
            match kind {
                "%" => literal.push('%'),
                "_" => literal.push(' '),
                "-" => literal.push_str("%20"),
                "{" => {
                    let (inside, behind) = rest.split_once('}')?;
                    rest = behind;
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Macro(Macro::parse(inside, is_explanation)?));
                }
                _ => return None,
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        // macro-literal = %x21-24 / %x26-7E; the space that `%_` made is already in.
        let plain = |c: char| c.is_ascii_graphic() || (is_explanation && c == ' ');
        text.chars().all(plain).then_some(Self { parts })
    }
}

impl Macro {
    fn parse(inside: &str, is_explanation: bool) -> Option<Self> {
        let letter = inside.chars().next()?;
        let letters = if is_explanation { "slodiphvcrt" } else { "slodiphv" };
        if !letters.contains(letter.to_ascii_lowercase()) {
            return None;
        }
        let rest = inside.get(1..)?;
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = rest.get(..rest.len() - behind.len())?;
        // §7.1: zero labels make no name. More than fit into a number are more than there are.
        let keep = match digits {
            "" => None,
            digits if digits.bytes().all(|b| b == b'0') => return None,
            digits => Some(digits.parse().unwrap_or(usize::MAX)),
        };
        let (reverse, delimiters) = match behind.strip_prefix(['r', 'R']) {
            Some(delimiters) => (true, delimiters),
            None => (false, behind),
        };
        if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
            return None;
        }
        Some(Self {
            letter: letter.to_ascii_lowercase(),
            escape: letter.is_ascii_uppercase(),
            keep,
            reverse,
            delimiters: delimiters.to_owned(),
        })
    }

    fn expand(&self, values: &Values<'_>) -> String {
        let value = match self.letter {
            's' => format!("{}@{}", values.local, values.sender_domain),
            'l' => values.local.to_owned(),
            'o' => values.sender_domain.to_owned(),
            'd' => values.domain.to_owned(),
            'i' => dotted(values.ip),
            'p' => values.ptr.to_owned(),
            'h' => values.helo.to_owned(),
            'v' => if values.ip.is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'c' => values.ip.to_string(),
            'r' => values.receiver.to_owned(),
            // Only `t` is left.
            _ => values.now.to_string(),
        };
        let delimiters = if self.delimiters.is_empty() { "." } else { &self.delimiters };
        let mut labels: Vec<&str> = value.split(|c| delimiters.contains(c)).collect();
        if self.reverse {
            labels.reverse();
        }
        let skipped = labels.len().saturating_sub(self.keep.unwrap_or(usize::MAX));
        let text = labels.get(skipped..).unwrap_or_default().join(".");
        if self.escape { escape(&text) } else { text }
    }
}

/// §7.3: IPv4 as it is, IPv6 nibble by nibble, in capitals as the test suite has them.
fn dotted(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.map(|nibble| format!("{nibble:X}")).collect::<Vec<_>>().join(".")
        }
    }
}

/// §7.3: everything but the unreserved characters of a URI (RFC 3986 §2.3).
fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, octet| {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            escaped.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{octet:02X}");
        }
        escaped
    })
}

/// `toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )`
fn is_top_label(label: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(label.chars().next())
        && ends(label.chars().last())
        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !label.chars().all(|c| c.is_ascii_digit())
}
