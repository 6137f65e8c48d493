//! What a server says it can do, from its reply to EHLO.
//!
//! Unknown keywords are ignored, broken parameters count as absent: a server that cannot spell an extension is not trusted with it.

use posthouse_mail::Reply;
use posthouse_sasl::Method;

use crate::syntax::FutureRelease;

/// `ehlo-line` by `ehlo-line` (RFC 5321 §4.1.1.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// What the server calls itself: the first word of its reply.
    pub name: String,
    /// `SIZE` (RFC 1870): whether it may be announced.
    pub size: bool,
    /// The octets a letter may have; `None` without a limit or when the server does not tell.
    pub size_max: Option<u64>,
    /// `8BITMIME` (RFC 6152).
    pub eight_bit_mime: bool,
    /// `BINARYMIME` (RFC 3030); only together with CHUNKING.
    pub binary_mime: bool,
    /// `CHUNKING` (RFC 3030): BDAT.
    pub chunking: bool,
    /// `SMTPUTF8` (RFC 6531).
    pub smtputf8: bool,
    /// `DSN` (RFC 3461).
    pub dsn: bool,
    /// `PIPELINING` (RFC 2920).
    pub pipelining: bool,
    /// `ENHANCEDSTATUSCODES` (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `STARTTLS` (RFC 3207).
    pub start_tls: bool,
    /// `AUTH` (RFC 4954): the methods that we know.
    pub auth: Vec<Method>,
    /// The same in the server's words, for an error's text.
    pub auth_text: String,
    /// `LIMITS` (RFC 9422).
    pub limits: Limits,
    /// `MT-PRIORITY` (RFC 6710).
    pub mt_priority: bool,
    /// `DELIVERBY` (RFC 2852).
    pub deliver_by: bool,
    /// The seconds a letter must have to be returned if it is late; `None` when the server does not tell.
    pub deliver_by_seconds_min: Option<u32>,
    /// `REQUIRETLS` (RFC 8689).
    pub require_tls: bool,
    /// `FUTURERELEASE` (RFC 4865).
    pub future_release: Option<FutureRelease>,
}

/// `LIMITS` (RFC 9422 §4); `None` where nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// `MAILMAX`: letters per connection.
    pub letters_max: Option<usize>,
    /// `RCPTMAX`: recipients per letter.
    pub recipients_max: Option<usize>,
    /// `RCPTDOMAINMAX`: domains of recipients per connection.
    pub recipient_domains_max: Option<usize>,
}

impl Capabilities {
    /// Reads the reply to EHLO or LHLO. The first line is the server's name and greeting.
    #[must_use]
    pub(super) fn parse(reply: &Reply) -> Self {
        let mut found = Self::default();
        let first = reply.lines().first().map(String::as_str).unwrap_or_default();
        first.split_ascii_whitespace().next().unwrap_or_default().clone_into(&mut found.name);
        for line in reply.lines().iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            // `AUTH=PLAIN LOGIN` is what servers said before RFC 2554; it is a keyword of its own by the grammar.
            match keyword.strip_prefix("AUTH=") {
                Some(first) => found.mechanisms([first].into_iter().chain(words)),
                None => found.keyword(&keyword, words),
            }
        }
        // RFC 3030 §3: BINARYMIME without CHUNKING means nothing.
        found.binary_mime &= found.chunking;
        found
    }

    /// RFC 3030 §3: BINARYMIME needs CHUNKING.
    pub(super) fn without_chunks(&mut self) {
        (self.chunking, self.binary_mime) = (false, false);
    }

    fn keyword<'a>(&mut self, keyword: &str, mut parameters: impl Iterator<Item = &'a str>) {
        match keyword {
            "SIZE" => {
                self.size = true;
                // RFC 1870 §4: zero is no limit.
                self.size_max = parameters.next().and_then(|size| size.parse().ok()).filter(|&size| size > 0);
            }
            "8BITMIME" => self.eight_bit_mime = true,
            "BINARYMIME" => self.binary_mime = true,
            "CHUNKING" => self.chunking = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "PIPELINING" => self.pipelining = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "STARTTLS" => self.start_tls = true,
            "AUTH" => self.mechanisms(parameters),
            "LIMITS" => self.limits(parameters),
            // RFC 6710 §4: the profile behind it names levels; all of them are numbers.
            "MT-PRIORITY" => self.mt_priority = true,
            "DELIVERBY" => {
                self.deliver_by = true;
                // RFC 2852 §3: behind a comma there may be extensions.
                self.deliver_by_seconds_min = parameters.next().and_then(|min| min.split(',').next()?.parse().ok());
            }
            "REQUIRETLS" => self.require_tls = true,
            "FUTURERELEASE" => self.future_release = FutureRelease::parse(parameters),
            _ => {}
        }
    }

    fn mechanisms<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        for name in names {
            if !self.auth_text.is_empty() {
                self.auth_text.push(' ');
            }
            self.auth_text.push_str(name);
            if let Ok(mechanism) = name.parse()
                && !self.auth.contains(&mechanism)
            {
                self.auth.push(mechanism);
            }
        }
    }

    fn limits<'a>(&mut self, parameters: impl Iterator<Item = &'a str>) {
        for parameter in parameters {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            // RFC 9422 §4: digits, never zero; anything else is ignored.
            let value = value.parse().ok().filter(|&value: &usize| value > 0);
            match name.to_ascii_uppercase().as_str() {
                "MAILMAX" => self.limits.letters_max = value,
                "RCPTMAX" => self.limits.recipients_max = value,
                "RCPTDOMAINMAX" => self.limits.recipient_domains_max = value,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
