use super::*;

fn said(address: &str, error: ErrorKind) -> String {
    let listener = config::Listener { kind: Kind::Mx, address: address.parse().unwrap() };
    let failure = refused(&listener, &io::Error::from(error));
    assert_eq!(failure.exit(), Exit::Os);
    failure.to_string()
}

#[test]
fn a_low_port_without_the_right_to_it_says_how_to_get_it() {
    let words = said("0.0.0.0:25", ErrorKind::PermissionDenied);
    assert!(words.starts_with("cannot listen on 0.0.0.0:25 (mx): "), "{words}");
    assert!(words.contains("CAP_NET_BIND_SERVICE") && words.contains("another port than 25"), "{words}");
}

#[test]
fn a_high_port_that_is_refused_has_the_systems_words() {
    assert!(!said("0.0.0.0:2525", ErrorKind::PermissionDenied).contains("CAP_NET_BIND_SERVICE"));
}

#[test]
fn a_taken_port_and_a_foreign_address_are_told_apart() {
    assert!(said("127.0.0.1:2525", ErrorKind::AddrInUse).ends_with("port 2525 is in use by another program"));
    assert!(said("192.0.2.1:25", ErrorKind::AddrNotAvailable).ends_with("this host does not have that address"));
}

#[test]
fn one_address_that_cannot_be_had_leaves_none_bound() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let free = first.local_addr();
    drop(first);
    let taken = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let wanted = [free, taken.local_addr()].map(|address| config::Listener { kind: Kind::Mx, address });
    bind(&wanted).unwrap_err();
    Listener::bind(free).unwrap();
}
