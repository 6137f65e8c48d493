//! DNS questions as mail asks them: MX, addresses, TXT, PTR, and whether an answer is authenticated.
//!
//! [`Resolve`] is the question; [`real`] asks servers, [`Zone`] answers from memory in tests. The three ways of having no answer are never
//! mixed up ([`DnsError`]): what does not exist may end a letter, trouble only delays it. It decides nothing about mail.

mod answer;
mod real;
mod settings;
mod zone;

pub use answer::{Answer, DnsError, Lookup, Mx, MxAnswer, Resolve, Resolver};
pub use real::real;
pub use settings::Settings;
pub use zone::{Trouble, Zone};
