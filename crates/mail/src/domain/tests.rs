use super::*;

fn read(text: &str) -> Result<String, DomainError> {
    text.parse::<Domain>().map(|domain| domain.to_string())
}

/// 63 + 63 + 63 + 61 octets and the dots between them: 253.
fn long(last: usize) -> String {
    [63, 63, 63, last].map(|octets| "a".repeat(octets)).join(".")
}

#[test]
fn domains_are_read_into_the_form_of_the_dns() {
    for (case, text, expected) in [
        ("lower case", "Example.ORG", "example.org"),
        ("one label", "localhost", "localhost"),
        ("digits", "123.test", "123.test"),
        ("hyphens within", "a-b--c.test", "a-b--c.test"),
        ("an underscore", "_dmarc.a_b.test", "_dmarc.a_b.test"),
        ("U-labels", "Bücher.example", "xn--bcher-kva.example"),
        ("other dots", "例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("A-labels", "XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("a label of 63 octets", &format!("{}.test", "a".repeat(63)), &format!("{}.test", "a".repeat(63))),
        ("255 octets", &long(63), &long(63)),
        ("IPv4", "[192.0.2.1]", "[192.0.2.1]"),
        ("IPv6", "[IPv6:2001:0DB8:0:0::1]", "[IPv6:2001:db8::1]"),
        ("IPv6 with IPv4 in it", "[IPv6:::ffff:192.0.2.1]", "[IPv6:::ffff:192.0.2.1]"),
    ] {
        assert_eq!(read(text), Ok(expected.to_owned()), "{case}");
        assert_eq!(read(expected), Ok(expected.to_owned()), "{case}: what is written is read back");
    }
}

#[test]
fn what_is_no_domain_is_refused() {
    for (case, text) in [
        ("nothing", ""),
        ("the root", "."),
        ("a dot at the end", "example.org."),
        ("a dot first", ".example.org"),
        ("two dots", "example..org"),
        ("a hyphen first", "-a.test"),
        ("a hyphen last", "a-.test"),
        ("a space", "a b.test"),
        ("a slash", "../x.test"),
        ("a comment", "x.test(comment)"),
        ("a label of 64 octets", &format!("{}.test", "a".repeat(64))),
        ("256 octets", &format!("{}a", long(63))),
        ("256 octets only as A-labels", "é.".repeat(80).trim_end_matches('.')),
        ("a literal without its tag", "[2001:db8::1]"),
        ("a literal with a zone", "[IPv6:fe80::1%1]"),
        ("a short literal", "[192.0.2]"),
        ("a literal with octal", "[192.0.02.1]"),
        ("an empty literal", "[]"),
        ("a general literal", "[x400:c=de]"),
        ("text behind a literal", "[192.0.2.1].test"),
        ("an unclosed literal", "[IPv6:::1"),
        ("a literal split in a character", "[IPv6é::1]"),
    ] {
        assert!(read(text).is_err(), "{case}: {:?}", read(text));
    }
}

/// THREATS 19 and 21.
#[test]
fn no_line_can_be_broken_by_a_domain() {
    for bad in ["\r\n", "\n", "\r", "\0", "\t", "\u{85}", "\u{2028}", "\u{200b}", "\u{ad}."] {
        let read = read(&format!("a.te{bad}st"));
        assert!(read.as_ref().map_or(true, |text| text.bytes().all(|b| b.is_ascii_graphic())), "{bad:?}: {read:?}");
        assert!(!matches!(&read, Ok(text) if text.contains(bad)), "{bad:?}");
    }
    assert!(read("a.test\r\nRCPT TO:<b@x>").is_err());
}

#[test]
fn equality_is_that_of_the_dns() {
    let domain = |text: &str| text.parse::<Domain>().unwrap();
    assert_eq!(domain("BÜCHER.example"), domain("xn--bcher-kva.EXAMPLE"));
    assert_eq!(domain("[IPv6:2001:DB8:0::1]"), domain("[ipv6:2001:db8::1]"));
    assert_ne!(domain("[192.0.2.1]"), domain("[192.0.2.10]"));
}

#[test]
fn a_literal_gives_its_address_and_a_name_none() {
    for (text, address) in [("[192.0.2.1]", Some("192.0.2.1")), ("[IPv6:2001:db8::1]", Some("2001:db8::1")), ("192.0.2.1", None)]
    {
        let domain: Domain = text.parse().unwrap();
        assert_eq!(domain.literal(), address.map(|address| address.parse().unwrap()), "{text}");
        if let Some(address) = domain.literal() {
            assert_eq!(Domain::from_ip(address), domain);
        }
    }
}

#[test]
fn the_domain_above_ends_at_the_last_label() {
    let above = |text: &str| text.parse::<Domain>().unwrap().parent().map(|domain| domain.to_string());
    assert_eq!(above("a.b.c"), Some("b.c".into()));
    assert_eq!(above("c"), None);
    assert_eq!(above("[192.0.2.1]"), None, "a literal has no domain above it");
}

#[test]
fn people_see_their_own_script() {
    let shown = |text: &str| text.parse::<Domain>().unwrap().to_unicode();
    assert_eq!(shown("xn--bcher-kva.example"), "bücher.example");
    assert_eq!(shown("[192.0.2.1]"), "[192.0.2.1]");
}
