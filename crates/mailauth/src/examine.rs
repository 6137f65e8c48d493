//! Everything about one letter together.

use posthouse_dns::Resolve;
use posthouse_mail::header::Header;
use serde::Serialize;

use crate::arc::{Arc, ArcVerification};
use crate::dkim::{Dkim, Keys, Verification};
use crate::dmarc::{self, Author, AuthorError, Dmarc};
use crate::iprev::Iprev;
use crate::spf::Spf;

/// A letter under examination: made from its header, fed with its body, closed with what is known of its sender.
pub struct Examination {
    dkim: Verification,
    arc: ArcVerification,
    author: Result<Author, AuthorError>,
}

/// All verdicts on a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// May the address send in this name?
    pub spf: Spf,
    /// The signatures, from the top.
    pub dkim: Vec<Dkim>,
    /// Is the author who it says?
    pub dmarc: Dmarc,
    /// What servers on the way saw.
    pub arc: Arc,
    /// Has the address a name?
    pub iprev: Iprev,
}

impl Examination {
    /// Begins with the header. `now` is in seconds since 1970.
    #[must_use]
    pub fn new(header: Header<'_>, now: u64) -> Self {
        Self { dkim: Verification::new(header, now), arc: ArcVerification::new(header), author: Author::of(header) }
    }

    /// Takes the next octets of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.dkim.body(octets);
        self.arc.body(octets);
    }

    /// The verdicts. It asks the DNS for keys and policies, each within the resolver's time.
    pub async fn finish(self, resolver: &dyn Resolve, spf: Spf, iprev: Iprev) -> Verdicts {
        let mut names = self.dkim.key_names();
        names.extend(self.arc.key_names());
        names.sort_unstable();
        names.dedup();
        let keys = Keys::fetch(resolver, names).await;
        let dkim = self.dkim.finish(&keys);
        let dmarc = dmarc::check(resolver, &self.author, &spf, &dkim).await;
        Verdicts { arc: self.arc.finish(&keys), spf, dkim, dmarc, iprev }
    }
}
