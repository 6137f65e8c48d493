//! Where a connection comes from, as far as it tells people apart.

use std::net::IpAddr;

/// One host: an IPv4 address, an IPv6 /64, of which one host has every address at will.
#[must_use]
pub fn host(address: IpAddr) -> IpAddr {
    masked(address, 32, 64)
}

/// One network that somebody is given as a whole: an IPv4 /24, an IPv6 /48.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    masked(address, 24, 48)
}

/// An IPv4 address written as an IPv6 one is the IPv4 address.
fn masked(address: IpAddr, v4_bits: u32, v6_bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & (u32::MAX << (32 - v4_bits))).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & (u128::MAX << (128 - v6_bits))).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_and_neighbours_are_one() {
        let rows = [
            ("192.0.2.9", "192.0.2.9", "192.0.2.0"),
            ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1::"),
        ];
        for (address, one, many) in rows {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!((host(address).to_string().as_str(), network(address).to_string().as_str()), (one, many));
        }
    }
}
