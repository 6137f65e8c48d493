use super::*;

#[test]
fn an_address_outside_is_not_taken_for_one_inside() {
    for (network, address, inside) in [
        ("192.0.2.0/24", "192.0.2.255", true),
        ("192.0.2.0/24", "192.0.3.0", false),
        ("192.0.2.0/24", "::ffff:192.0.2.7", true),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.6", false),
        ("0.0.0.0/0", "198.51.100.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::", false),
        ("::1", "::1", true),
        ("::/0", "127.0.0.1", false),
        ("::/0", "::ffff:127.0.0.1", false),
    ] {
        assert_eq!(network.parse::<Network>().unwrap().contains(address.parse().unwrap()), inside, "{address} in {network}");
    }
}

#[test]
fn a_network_that_says_two_things_is_refused() {
    assert_eq!(
        "192.0.2.7/24".parse::<Network>().unwrap_err().to_string(),
        "`192.0.2.7/24` has bits set behind the network's; write 192.0.2.0/24"
    );
    for wrong in ["", "192.0.2/24", "192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/-1", "example.org", "192.0.2.0/24/8"] {
        assert!(wrong.parse::<Network>().is_err(), "{wrong}");
    }
}
