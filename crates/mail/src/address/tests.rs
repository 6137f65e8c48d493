use super::*;

/// The local part and the domain, or why not.
fn read(text: &str) -> Result<(String, String), AddressError> {
    let address: Address = text.parse()?;
    Ok((address.local().as_str().to_owned(), address.domain().as_str().to_owned()))
}

#[test]
fn addresses_are_read_without_their_quotes_and_written_with_those_they_need() {
    for (case, text, local, written) in [
        ("plain", "alice@example.org", "alice", "alice@example.org"),
        ("every character of an atom", "!#$%&'*+-/=?^_`{|}~@x.test", "!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~@x.test"),
        ("dots", "a.b.c@x.test", "a.b.c", "a.b.c@x.test"),
        ("the case of the local part stays, that of the domain goes", "Alice@X.Test", "Alice", "Alice@x.test"),
        ("quotes that are not needed", "\"alice\"@x.test", "alice", "alice@x.test"),
        ("a space", "\"a b\"@x.test", "a b", "\"a b\"@x.test"),
        ("an at", "\"a@b\"@x.test", "a@b", "\"a@b\"@x.test"),
        ("escapes", r#""a\"b\\c\d"@x.test"#, r#"a"b\cd"#, r#""a\"b\\cd"@x.test"#),
        ("dots that need quotes", "\".a..b.\"@x.test", ".a..b.", "\".a..b.\"@x.test"),
        ("not ASCII", "иван@пример.test", "иван", "иван@xn--e1afmkfd.test"),
        ("an IPv4 literal", "a@[192.0.2.1]", "a", "a@[192.0.2.1]"),
        ("an IPv6 literal", "a@[ipv6:2001:DB8::1]", "a", "a@[IPv6:2001:db8::1]"),
        ("64 octets", &format!("{}@x.test", "a".repeat(64)), &"a".repeat(64), &format!("{}@x.test", "a".repeat(64))),
    ] {
        let address: Address = text.parse().unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(address.local().as_str(), local, "{case}");
        assert_eq!(address.to_string(), written, "{case}");
        assert_eq!(written.parse(), Ok(address), "{case}: what is written is read back");
    }
}

#[test]
fn what_is_no_address_is_refused_with_its_reason() {
    for (case, text, expected) in [
        ("nothing", "", AddressError::NoAt),
        ("no at", "alice", AddressError::NoAt),
        ("no local part", "@example.org", AddressError::EmptyLocal),
        ("an empty quoted local part", "\"\"@example.org", AddressError::EmptyLocal),
        ("no domain", "alice@", AddressError::Domain(DomainError::Empty)),
        ("two ats", "a@b@c.test", AddressError::Domain(DomainError::Label("b@c".into()))),
        ("65 octets", &format!("{}@x.test", "a".repeat(65)), AddressError::LocalTooLong),
        ("65 octets in 33 characters", &format!("{}x@x.test", "é".repeat(32)), AddressError::LocalTooLong),
        ("a dot first", ".a@x.test", AddressError::Dots),
        ("a dot last", "a.@x.test", AddressError::Dots),
        ("two dots", "a..b@x.test", AddressError::Dots),
        ("a space", "a b@x.test", AddressError::LocalChar(' ')),
        ("a bracket", "<a@x.test", AddressError::LocalChar('<')),
        ("a source route", "@a.test,@b.test:c@d.test", AddressError::EmptyLocal),
        ("quotes that do not close", "\"a@x.test", AddressError::Quotes),
        ("text behind the quotes", "\"a\"b@x.test", AddressError::Quotes),
        ("quotes within", "a\"b\"@x.test", AddressError::LocalChar('"')),
        ("an escape at the end", "\"a\\", AddressError::Quotes),
        ("an IPv6 zone", "a@[IPv6:fe80::1%eth0]", AddressError::Domain(DomainError::Literal("[IPv6:fe80::1%eth0]".into()))),
        ("a bracket that does not close", "a@[192.0.2.1", AddressError::Domain(DomainError::Literal("[192.0.2.1".into()))),
    ] {
        assert_eq!(read(text), Err(expected), "{case}");
    }
}

/// THREATS 19 and 21: nothing that some program takes for the end of a line, in quotes or out of them, escaped or not.
#[test]
fn no_line_can_be_broken_by_an_address() {
    for bad in ['\r', '\n', '\0', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}'] {
        for text in [format!("a{bad}b@x.test"), format!("\"a{bad}b\"@x.test"), format!("\"a\\{bad}b\"@x.test")] {
            assert!(matches!(read(&text), Err(AddressError::LocalChar(c)) if c == bad), "{text:?}: {:?}", read(&text));
        }
        assert!(read(&format!("a@x{bad}.test")).is_err(), "{bad:?} in the domain");
        assert_eq!(LocalPart::new(&format!("a{bad}")), Err(AddressError::LocalChar(bad)));
    }
}

/// THREATS 16 and 18: what a shell, an expander or a logger would run is text like any other.
#[test]
fn what_others_would_run_is_text() {
    for local in ["$(id)", "`id`", ";id", "|id", "${run{/bin/sh}}", "${jndi:ldap://x}", "../../etc/passwd", "a'--"] {
        let address = Address::new(LocalPart::new(local).unwrap(), "x.test".parse().unwrap());
        assert_eq!(address.local().as_str(), local);
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}

/// THREATS 22: whatever stands in quotes, the domain is what stands behind them.
#[test]
fn quotes_cannot_move_the_domain() {
    for (text, local) in [
        ("\"a@evil.test x\"@good.test", "a@evil.test x"),
        ("\"a@evil.test\\\" <b\"@good.test", "a@evil.test\" <b"),
        ("\"@evil.test:a\"@good.test", "@evil.test:a"),
        ("\"a%evil.test\"@good.test", "a%evil.test"),
    ] {
        assert_eq!(read(text), Ok((local.to_owned(), "good.test".to_owned())));
    }
}

#[test]
fn smtputf8_is_needed_for_the_local_part_alone() {
    for (text, needed) in [("иван@x.test", true), ("ivan@пример.test", false), ("\"é\"@x.test", true), ("a@x.test", false)]
    {
        assert_eq!(text.parse::<Address>().unwrap().needs_smtputf8(), needed, "{text}");
    }
}
