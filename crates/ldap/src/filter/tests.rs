use super::*;

fn encoded(filter: &str, login: &str) -> Vec<u8> {
    Filter::parse(filter).unwrap().encode(login)
}

#[test]
fn filters_become_what_rfc_4511_says() {
    let equal = [&[0xa3, 0x0c, 4, 3][..], b"uid", &[4, 5], b"alice"].concat();
    assert_eq!(encoded("(uid=%n)", "alice@a.test"), equal);
    let not = [&[0xa2, 0x0e][..], &equal].concat();
    assert_eq!(encoded("(!(uid=alice))", ""), not);
    let and = [&[0xa0, 0x1b][..], &equal, &[0x87, 0x0b], b"objectClass"].concat();
    assert_eq!(encoded("(&(uid=alice)(objectClass=*))", ""), and);
    assert_eq!(encoded("(|(uid=alice))", "")[0], 0xa1);
    let substrings =
        [&[0xa4, 0x13][..], &[4, 2], b"cn", &[0x30, 0x0d, 0x80, 1], b"a", &[0x81, 1], b"b", &[0x81, 1], b"c", &[0x82, 2], b"de"];
    assert_eq!(encoded("(cn=a*b*c*de)", ""), substrings.concat());
    for (filter, tag) in [("(a>=1)", 0xa5), ("(a<=1)", 0xa6), ("(a~=1)", 0xa8), ("(a:dn:2.4.6:=x)", 0xa9), ("(:1.2.3:=x)", 0xa9)]
    {
        assert_eq!(encoded(filter, "")[0], tag, "{filter}");
    }
}

#[test]
fn a_login_cannot_make_another_filter() {
    // RFC 4515 §3 would have these escaped; here they are octets of one value, whatever they are.
    for login in ["*", "alice)(objectClass=*", "*)(uid=*))(|(uid=*", "alice\0", "\\2a", "%d", "(&)", "\u{fc}*@a.test"] {
        let filter = encoded("(&(mail=%u)(objectClass=person))", login);
        let value = ber::element(OCTETS, login.as_bytes());
        let equal = ber::element(0xa3, &[ber::element(OCTETS, b"mail"), value].concat());
        let class = ber::element(0xa3, &[ber::element(OCTETS, b"objectClass"), ber::element(OCTETS, b"person")].concat());
        assert_eq!(filter, ber::element(0xa0, &[equal, class].concat()), "{login:?}");
    }
}

#[test]
fn escapes_and_places_are_read() {
    let filled = |value: &str| Value::parse(value).unwrap().fill("al%ice@a.test");
    assert_eq!(filled("\\2a\\28\\00"), b"*(\0");
    assert_eq!(filled("x%u%%y"), b"xal%ice@a.test%y");
    assert_eq!((filled("%n"), filled("%d")), (b"al%ice".to_vec(), b"a.test".to_vec()));
    for bad in ["\\", "\\2", "\\2g", "%", "%x", "a\0"] {
        assert!(Value::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    let deep = format!("{}(a=b){}", "(!".repeat(20), ")".repeat(20));
    for bad in [
        "",
        "a=b",
        "(a=b",
        "(a=b))",
        "(&)",
        "(&(a=b)",
        "(a)",
        "(=b)",
        "(a b=c)",
        "()",
        "(!(a=b)(c=d))",
        "(:=x)",
        "(a:b:c:d:=x)",
        &deep,
    ] {
        assert!(Filter::parse(bad).is_err(), "{bad}");
    }
    assert!(Filter::parse(&format!("(a={})", "b".repeat(FILTER_BYTES_MAX))).is_err());
}

#[test]
fn a_filter_without_the_login_finds_anybody_and_is_told() {
    for (filter, names) in
        [("(mail=%u)", true), ("(|(a=b)(uid=%n))", true), ("(cn=*%n*)", true), ("(o=%d)", false), ("(!(mail=%u))", false)]
    {
        assert_eq!(Filter::parse(filter).unwrap().names_login(), names, "{filter}");
    }
}
