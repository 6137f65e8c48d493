use super::*;

fn said(address: &str, error: ErrorKind) -> String {
    let listener = config::Listener { kind: Kind::Mx, address: address.parse().unwrap(), proxy_from: Vec::new() };
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
    let wanted = [free, taken.local_addr()].map(|address| config::Listener { kind: Kind::Mx, address, proxy_from: Vec::new() });
    bind(&wanted, Handed::default()).unwrap_err();
    Listener::bind(free).unwrap();
}

fn handed(name: &str) -> HandedOver {
    HandedOver { name: name.to_owned(), listener: Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap() }
}

#[test]
fn a_socket_goes_to_the_listener_with_its_address_before_one_with_its_name() {
    let (by_address, by_name) = (handed("mx"), handed("mx"));
    let (address, other) = (by_address.listener.local_addr(), by_name.listener.local_addr());
    let anywhere = "127.0.0.1:0".parse().unwrap();
    let wanted = [(Kind::Mx, anywhere), (Kind::Mx, address), (Kind::Pop3, anywhere)];
    let wanted = wanted.map(|(kind, address)| config::Listener { kind, address, proxy_from: Vec::new() });
    let bound = addresses(&bind(&wanted, Handed::Activated(vec![by_name, by_address])).unwrap());
    assert_eq!(bound[..2], [(Kind::Mx, other), (Kind::Mx, address)]);
    assert!(bound[2].0 == Kind::Pop3 && bound[2].1 != other);
}

#[test]
fn a_socket_that_nobody_wants_is_refused_with_its_name() {
    let wanted = [config::Listener { kind: Kind::Mx, address: "127.0.0.1:0".parse().unwrap(), proxy_from: Vec::new() }];
    for sockets in [vec![handed("smtp")], vec![handed("mx"), handed("mx")], vec![handed("")]] {
        let failure = bind(&wanted, Handed::Activated(sockets)).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.to_string().contains("handed over a socket on 127.0.0.1:"), "{failure}");
    }
}

#[test]
fn what_is_inherited_goes_to_its_listener_with_all_its_queues_and_the_rest_is_closed() {
    let (mx, pop3) = (handed("mx"), handed("pop3"));
    let queue = HandedOver { name: "mx".to_owned(), listener: mx.listener.another().unwrap() };
    let (address, gone) = (mx.listener.local_addr(), pop3.listener.local_addr());
    for listener in [address, "127.0.0.1:0".parse().unwrap()] {
        let sockets =
            [&mx, &queue, &pop3].map(|one| HandedOver { name: one.name.clone(), listener: one.listener.try_clone().unwrap() });
        let wanted = [config::Listener { kind: Kind::Mx, address: listener, proxy_from: Vec::new() }];
        let bound = bind(&wanted, Handed::Inherited(sockets.into())).unwrap();
        assert_eq!(addresses(&bound), [(Kind::Mx, address)]);
        assert_eq!(bound[0].sockets.len(), 2);
    }
    // The port of a listener that was changed is not kept.
    let elsewhere = [config::Listener { kind: Kind::Pop3, address: "127.0.0.2:0".parse().unwrap(), proxy_from: Vec::new() }];
    assert_ne!(addresses(&bind(&elsewhere, Handed::Inherited(vec![pop3])).unwrap())[0].1, gone);
}
