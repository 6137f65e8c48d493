//! DNS questions as mail asks them: MX, addresses, TXT, and whether an answer is authenticated.
//!
//! [`Resolve`] is the question, [`real`] the resolver over the network, [`Zone`] one in memory, for tests and for
//! trying a case out with a master file. [`Updates`] changes zones that are ours. The difference between
//! "it does not exist" ([`DnsError::NoSuchDomain`], [`DnsError::NoData`]) and "nobody could tell" ([`DnsError::Temporary`]) is kept
//! exactly: the former may end a letter, the latter may only delay it.
//!
//! It validates no DNSSEC itself (a validator in this process would be a way to exhaust it: CVE-2023-50387, CVE-2023-50868): it
//! believes the AD bit of a resolver that it was told to believe. It reads no hosts file, appends no search domain, and makes up no
//! implicit MX: that is delivery's decision.

mod answer;
mod cache;
mod master;
mod read;
mod real;
mod record;
mod settings;
mod update;
mod zone;

pub use answer::{Answer, DnsError, Lookup, Mx, MxAnswer, Resolve, Resolver};
pub use real::{ResolverError, real};
pub use record::{Kind, Name, NameError, Record, Tlsa};
pub use settings::Settings;
pub use update::{Change, Data, TsigAlgorithm, UpdateError, UpdateSettings, Updates};
pub use zone::{Zone, ZoneError};
