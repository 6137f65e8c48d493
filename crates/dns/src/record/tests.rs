use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

#[test]
fn a_name_keeps_what_a_host_may_not_have() {
    for text in ["_dmarc.example.org", "a b.example", "foo:bar/baz.example", "x%.example", "\u{fc}.example"] {
        assert_eq!(name(text).as_str(), text);
    }
    assert_eq!(name("WWW.Example.ORG."), name("www.example.org"));
}

#[test]
fn what_the_dns_cannot_hold_is_no_name() {
    let long = "a.".repeat(128);
    for text in ["", ".", "a..b", ".a", "a\nb.test", &"x".repeat(64), &long] {
        assert_eq!(text.parse::<Name>(), Err(NameError), "{text:?}");
    }
    assert!(name(&long[..253]).below("b").is_err());
}

#[test]
fn labels_are_counted_from_the_right() {
    let deep = name("a.b.example.org");
    assert_eq!(deep.label_count(), 4);
    assert_eq!(deep.last_labels(2), name("example.org"));
    assert_eq!(deep.last_labels(9), deep);
    assert_eq!(deep.last_labels(0), name("org"));
    assert!(deep.is_within(&name("example.org")) && deep.is_within(&deep));
    assert!(!name("badexample.org").is_within(&name("example.org")));
}

#[test]
fn the_names_of_an_address_stand_in_its_reverse_tree() {
    assert_eq!(Name::reverse("192.0.2.3".parse().unwrap()).as_str(), "3.2.0.192.in-addr.arpa");
    assert_eq!(Name::reverse("::ffff:192.0.2.3".parse().unwrap()).as_str(), "3.2.0.192.in-addr.arpa");
    let v6 = Name::reverse("2001:db8::1".parse().unwrap());
    assert_eq!(v6.as_str(), "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}
