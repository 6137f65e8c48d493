//! Which addresses lie outside: a URL that a stranger wrote leads nowhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address belongs to the public network (IANA's registries of special-purpose addresses, RFC 6890). An IPv4 address inside an
/// IPv6 address (RFC 4291 §2.5.5, RFC 6052, RFC 3056) counts as itself.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        // This network, loopback, private, link-local.
        (0 | 10 | 127, _, _) | (172, 16..=31, _) | (192, 168, _) | (169, 254, _) => true,
        // Shared by carriers (RFC 6598), protocol assignments, documentation, benchmarks.
        (100, 64..=127, _) | (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18 | 19, _) => true,
        // 6to4 relays, multicast, reserved, broadcast.
        (192, 88, 99) | (224..=255, _, _) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, _, _, _, g, h] = address.segments();
    let last = Ipv4Addr::from((u32::from(g) << 16) | u32::from(h));
    match (a, b) {
        // The addresses that translate to IPv4 (RFC 6052 §2.1); those of local translators (RFC 8215) are inside.
        (0x64, 0xff9b) if c == 0 => is_public_v4(last),
        // 6to4 (RFC 3056): the IPv4 address of the relay stands in front.
        (0x2002, _) => is_public_v4(Ipv4Addr::from((u32::from(b) << 16) | u32::from(c))),
        // Teredo and other protocol assignments, ORCHID, documentation (RFC 3849, RFC 9637).
        (0x2001, 0..=0x1ff | 0x0db8) | (0x3fff, 0..=0xfff) => false,
        // All that is assigned to the public network (RFC 4291 §2.4). Mapped, loopback, private, link-local, multicast: outside of it.
        (0x2000..=0x3fff, _) => true,
        _ => address.to_ipv4_mapped().is_some_and(is_public_v4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_of_a_private_network_is_public_however_it_is_written() {
        let rows = [
            ("192.0.1.1", true),
            ("8.8.8.8", true),
            ("172.32.0.1", true),
            ("100.128.0.1", true),
            ("2a01:4f8::1", true),
            ("64:ff9b::808:808", true),
            ("2002:808:808::1", true),
            ("::ffff:8.8.8.8", true),
            ("0.0.0.0", false),
            ("127.0.0.1", false),
            ("127.255.255.255", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::127.0.0.1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b:1::808:808", false),
            ("2002:7f00:1::1", false),
            ("2002:a00:1::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("fe80::1", false),
            ("ff02::1", false),
        ];
        for (address, expected) in rows {
            assert_eq!(is_public(address.parse().expect("an address")), expected, "{address}");
        }
    }
}
