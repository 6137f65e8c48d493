//! Everything about one letter together.

use posthouse_dns::{Name, Resolve};
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
    is_report: bool,
    kept: Option<Vec<u8>>,
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
        Self {
            dkim: Verification::new(header, now),
            arc: ArcVerification::new(header),
            author: Author::of(header),
            is_report: is_report(header),
            kept: None,
        }
    }

    /// Keeps the beginning of the header for a report on this letter alone, if it should fail (RFC 9991); not that of one that is such a report, or a bounce.
    pub fn keep(&mut self, header: Header<'_>) {
        self.kept = (!self.is_report && !is_of_a_program(header)).then(|| dmarc::beginning(header));
    }

    /// What was kept; once.
    pub fn kept(&mut self) -> Option<Vec<u8>> {
        self.kept.take()
    }

    /// Takes the next octets of the body.
    pub fn body(&mut self, octets: &[u8]) {
        self.dkim.body(octets);
        self.arc.body(octets);
    }

    /// Whether the letter is a report on DMARC or TLS (RFC 9990 §3.5.2, RFC 8460 §5.3), by its subject: on such a letter nobody reports, or two
    /// servers would write to each other for ever.
    #[must_use]
    pub fn is_report(&self) -> bool {
        self.is_report
    }

    /// The names of the keys that are needed.
    #[must_use]
    pub fn key_names(&self) -> Vec<Name> {
        let mut names = self.dkim.key_names();
        names.extend(self.arc.key_names());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The letter has come: the verdicts on its signatures and its chain, and the author that [`dmarc::check`] asks for.
    pub fn close(self, keys: &Keys) -> (Vec<Dkim>, Arc, Result<Author, AuthorError>) {
        (self.dkim.finish(keys), self.arc.finish(keys), self.author)
    }

    /// The verdicts. It asks the DNS for keys and policies, each within the resolver's time.
    pub async fn finish(self, resolver: &dyn Resolve, spf: Spf, iprev: Iprev) -> Verdicts {
        let keys = Keys::fetch(resolver, self.key_names()).await;
        let (dkim, arc, author) = self.close(&keys);
        let dmarc = dmarc::check(resolver, &author, &spf, &dkim).await;
        Verdicts { spf, dkim, dmarc, arc, iprev }
    }
}

/// RFC 6522: `multipart/report`, whatever it reports.
fn is_of_a_program(header: Header<'_>) -> bool {
    let kinds = header.named("Content-Type").map(|field| field.value().trim_start().to_ascii_lowercase());
    kinds.into_iter().any(|kind| kind.starts_with("multipart/report"))
}

/// `Report Domain: a.test Submitter: b.test`; some write `Report domain`.
fn is_report(header: Header<'_>) -> bool {
    let subject = header.first("Subject").map(|field| field.value()).unwrap_or_default().to_ascii_lowercase();
    subject.trim_start().starts_with("report domain:") && subject.contains("submitter:")
}
