use super::*;

fn domain(name: &str) -> Destination {
    Destination { to: Towards::Domain(name.parse().unwrap()), source: None }
}

#[test]
fn a_destination_has_one_number_while_a_letter_names_it() {
    let mut destinations = Destinations::default();
    let a = destinations.enter(&domain("a.test"));
    assert_eq!(destinations.enter(&domain("A.test")), a);
    let b = destinations.enter(&domain("b.test"));
    assert_ne!(a, b);
    destinations.leave(a);
    assert_eq!(destinations.find(&domain("a.test")), Some(a));
    destinations.leave(a);
    assert_eq!(destinations.find(&domain("a.test")), None);
    assert_eq!(destinations.enter(&domain("c.test")), a, "numbers are used again");
    assert_eq!(destinations.iter().count(), 2);
}

#[test]
fn a_domain_and_a_host_of_the_same_name_are_two() {
    let mut destinations = Destinations::default();
    let host = Destination { to: Towards::Host(NextHop { host: "a.test".parse().unwrap(), port: None }), source: None };
    assert_ne!(destinations.enter(&domain("a.test")), destinations.enter(&host));
}

#[test]
fn a_site_holds_for_its_time() {
    let mut destinations = Destinations::default();
    let a = destinations.enter(&domain("a.test"));
    let known = destinations.number(a).unwrap();
    known.place(7, UnixMillis(100));
    assert_eq!((known.site_at(UnixMillis(99)), known.site_at(UnixMillis(100))), (Some(7), None));
}

#[test]
fn a_host_is_written_with_or_without_its_port() {
    for (text, host, port) in [
        ("relay.example.org", "relay.example.org", None),
        ("relay.example.org:2525", "relay.example.org", Some(2525)),
        ("[192.0.2.1]", "[192.0.2.1]", None),
        ("[192.0.2.1]:26", "[192.0.2.1]", Some(26)),
        ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", None),
        ("[IPv6:2001:db8::1]:26", "[IPv6:2001:db8::1]", Some(26)),
    ] {
        let hop: NextHop = text.parse().unwrap();
        assert_eq!((hop.host.as_str(), hop.port), (host, port), "{text}");
        assert_eq!(hop.to_string(), text);
    }
    for text in ["", "a b", "relay:port", "relay:99999"] {
        assert!(text.parse::<NextHop>().is_err(), "{text}");
    }
}
