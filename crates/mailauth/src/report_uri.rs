//! Where reports go, as records write it: `mailto:` and an address (RFC 6068), which may be followed by a size (`!10m`).

use posthouse_mail::Address;

/// The address of a `mailto:` URI.
pub(crate) fn mail_address(uri: &str) -> Option<Address> {
    let (scheme, rest) = uri.split_once(':')?;
    // RFC 3986 §3.1: schemes know no case.
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    // RFC 6068 §2: header fields behind `?` are not for a report to take over.
    let address = rest.split('?').next().unwrap_or(rest);
    decoded(address)?.parse().ok()
}

/// The `mailto:` URI of an address.
pub(crate) fn mail_uri(address: &Address) -> String {
    format!("mailto:{}", encoded(&address.to_string()))
}

/// RFC 3986 §2.1. `None` for an escape that is broken, or a text that comes out as none.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        if octet == b'%' {
            let digits =
                std::str::from_utf8(tail.get(..2)?).ok().filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()))?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = tail.get(2..)?;
        } else {
            octets.push(octet);
            rest = tail;
        }
    }
    String::from_utf8(octets).ok()
}

/// What RFC 6068 §2 and RFC 8460 §3 want written as `%` and two digits in an address, and what a text of the DNS cannot hold.
fn encoded(address: &str) -> String {
    let plain = |octet: u8| {
        octet.is_ascii_alphanumeric() || matches!(octet, b'@' | b'.' | b'-' | b'_' | b'+' | b'~' | b'$' | b'\'' | b'*')
    };
    let one = |octet: u8| if plain(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    address.bytes().map(one).collect()
}
