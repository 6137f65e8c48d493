use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_place_comes_back_when_its_pass_is_dropped() {
    let gate = Gate::new(2, 2);
    let first = gate.enter(ip("192.0.2.1")).unwrap();
    let second = gate.enter(ip("192.0.2.2")).unwrap();
    assert_eq!(gate.enter(ip("192.0.2.3")).unwrap_err(), Full::InAll);
    drop(first);
    let third = gate.enter(ip("192.0.2.3")).unwrap();
    drop((second, third));
    assert_eq!((gate.open(), gate.turned_away()), (0, 1));
    assert!(gate.0.open.lock().unwrap().by_address.is_empty());
}

#[test]
fn one_address_cannot_take_all_places() {
    let gate = Gate::new(10, 1);
    let _pass = gate.enter(ip("192.0.2.1")).unwrap();
    assert_eq!(gate.enter(ip("192.0.2.1")).unwrap_err(), Full::ForAddress);
    assert_eq!(gate.enter(ip("::ffff:192.0.2.1")).unwrap_err(), Full::ForAddress);
    gate.enter(ip("192.0.2.2")).unwrap();
}

#[test]
fn a_host_with_a_network_of_its_own_is_one_client() {
    let gate = Gate::new(10, 1);
    let _pass = gate.enter(ip("2001:db8::1")).unwrap();
    assert_eq!(gate.enter(ip("2001:db8::ffff:1")).unwrap_err(), Full::ForAddress);
    gate.enter(ip("2001:db8:0:1::1")).unwrap();
}
