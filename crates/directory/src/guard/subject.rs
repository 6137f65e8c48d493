//! Who or what is slowed down.

use std::fmt;
use std::net::IpAddr;

use posthouse_mail::Address;
use posthouse_runtime::origin;
use posthouse_sasl::prepare_login;

use crate::names::fold;

/// What a bucket is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One address; of IPv6 a /64, since whoever has one of its addresses has them all.
    Address,
    /// An IPv4 /24, an IPv6 /48.
    Network,
    /// A login, whether or not anybody has it.
    Account,
    /// A login at an address where it is known.
    Place,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject {
    /// What it is.
    pub kind: Kind,
    /// The login; empty for addresses and networks.
    pub account: String,
    /// The address or network; empty for a login.
    pub place: String,
}

/// The subjects of one try.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    pub(super) address: Subject,
    pub(super) network: Subject,
    pub(super) account: Subject,
    pub(super) place: Subject,
}

impl Kind {
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Address => 1,
            Self::Network => 2,
            Self::Account => 3,
            Self::Place => 4,
        }
    }

    pub(super) const fn from_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Address),
            2 => Some(Self::Network),
            3 => Some(Self::Account),
            4 => Some(Self::Place),
            _ => None,
        }
    }

    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Network => "network",
            Self::Account => "account",
            Self::Place => "place",
        }
    }
}

impl Subjects {
    pub(super) fn of(login: &str, peer: IpAddr) -> Self {
        let (account, place) = (account(login), place(peer));
        let network = network(peer);
        let subject = |kind, account: &str, place: &str| Subject { kind, account: account.to_owned(), place: place.to_owned() };
        Self {
            address: subject(Kind::Address, "", &place),
            network: subject(Kind::Network, "", &network),
            account: subject(Kind::Account, &account, ""),
            place: subject(Kind::Place, &account, &place),
        }
    }
}

/// As a sentence about log-ins names it.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Address | Kind::Network => f.write_str(&self.place),
            Kind::Account => f.write_str(&self.account),
            Kind::Place => write!(f, "{} from {}", self.account, self.place),
        }
    }
}

/// One form for all spellings of a login. The name of an app password behind `+` does not make it another.
fn account(login: &str) -> String {
    let Ok(login) = prepare_login(login) else { return String::from("(malformed)") };
    match login.parse::<Address>() {
        Ok(address) => {
            let local = fold(address.local().as_str());
            let base = local.split_once('+').map_or(local.as_str(), |(base, _)| base);
            format!("{base}@{}", address.domain())
        }
        Err(_) => fold(&login),
    }
}

/// The address from which somebody comes, as far as it tells people apart.
pub(super) fn place(peer: IpAddr) -> String {
    match origin::host(peer) {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("{v6}/64"),
    }
}

fn network(peer: IpAddr) -> String {
    match origin::network(peer) {
        IpAddr::V4(v4) => format!("{v4}/24"),
        IpAddr::V6(v6) => format!("{v6}/48"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_login_are_one() {
        for login in ["alice@a.test", "ALICE@A.TEST", "Alice+phone@a.test"] {
            assert_eq!(account(login), "alice@a.test", "{login}");
        }
        assert_eq!(account("root"), account("ROOT"));
        assert_eq!(account("a\u{0}b"), "(malformed)");
    }

    #[test]
    fn an_address_of_a_network_that_one_person_has_is_that_network() {
        let rows = [
            ("192.0.2.9", "192.0.2.9", "192.0.2.0/24"),
            ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.0/24"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ];
        for (peer, address, net) in rows {
            let peer: IpAddr = peer.parse().unwrap();
            assert_eq!((place(peer).as_str(), network(peer).as_str()), (address, net));
        }
    }
}
