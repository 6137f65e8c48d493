use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn gate(in_all: usize, per_address: usize, per_network: usize) -> Gate {
    Gate::new(Limits { in_all, per_address, per_network })
}

#[test]
fn a_place_comes_back_when_its_pass_is_dropped() {
    let gate = gate(2, 2, 2);
    let first = gate.enter(ip("192.0.2.1")).unwrap();
    let second = gate.enter(ip("192.0.2.2")).unwrap();
    assert_eq!(gate.enter(ip("192.0.2.3")).unwrap_err(), Full::InAll);
    drop(first);
    let third = gate.enter(ip("192.0.2.3")).unwrap();
    drop((second, third));
    assert_eq!((gate.open(), gate.turned_away()), (0, 1));
    let open = gate.0.open.lock().unwrap();
    assert!(open.by_address.0.is_empty() && open.by_network.0.is_empty());
}

#[test]
fn one_address_cannot_take_all_places() {
    let gate = gate(10, 1, 10);
    let _pass = gate.enter(ip("192.0.2.1")).unwrap();
    assert_eq!(gate.enter(ip("192.0.2.1")).unwrap_err(), Full::ForAddress);
    assert_eq!(gate.enter(ip("::ffff:192.0.2.1")).unwrap_err(), Full::ForAddress);
    gate.enter(ip("192.0.2.2")).unwrap();
}

#[test]
fn a_host_with_a_network_of_its_own_is_one_client() {
    let gate = gate(10, 1, 10);
    let _pass = gate.enter(ip("2001:db8::1")).unwrap();
    assert_eq!(gate.enter(ip("2001:db8::ffff:1")).unwrap_err(), Full::ForAddress);
    gate.enter(ip("2001:db8:0:1::1")).unwrap();
}

#[test]
fn a_network_full_of_hosts_cannot_take_all_places() {
    let gate = gate(10, 1, 2);
    let _passes = ["2001:db8:0:1::1", "2001:db8:0:2::1", "192.0.2.1", "192.0.2.2"].map(|text| gate.enter(ip(text)).unwrap());
    for full in ["2001:db8:0:3::1", "192.0.2.3"] {
        assert_eq!(gate.enter(ip(full)).unwrap_err(), Full::ForNetwork, "{full}");
    }
    assert_eq!((gate.open(), gate.turned_away()), (4, 2));
    gate.enter(ip("2001:db8:1::1")).unwrap();
    gate.enter(ip("192.0.3.1")).unwrap();
}

#[test]
fn a_network_has_at_least_what_one_address_of_it_has() {
    let gate = gate(10, 3, 1);
    let _passes = [0, 1, 2].map(|_| gate.enter(ip("192.0.2.1")).unwrap());
    assert_eq!(gate.limits().per_network, 3);
}
