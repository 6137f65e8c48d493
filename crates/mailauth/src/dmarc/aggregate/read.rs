//! Reading what strangers send as reports. There are many who write them, each in a way of its own: elements come in any order, in any
//! namespace, some are missing, unknown ones mean nothing. What could do harm is refused: document types, entities of the document's own, depth, number.

use std::collections::HashSet;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::{Override, Policy, Published, REPORT_BYTES_MAX, ROWS_MAX, Report, ReportError, Row, SignatureResult, SpfOutcome};
use crate::packed;

/// How deep elements may nest; a report needs seven.
const DEPTH_MAX: usize = 16;
/// The characters of a text that are kept.
const TEXT_CHARS_MAX: usize = 500;
/// What is kept of one row besides its counts.
const SIGNATURES_MAX: usize = 20;
const REASONS_MAX: usize = 5;
/// Elements in a row's worth of elements, extensions included.
const ELEMENTS_MAX: usize = ROWS_MAX * 60;
/// The letters of a row; more are no truth.
const COUNT_MAX: u64 = 1_000_000_000_000;

impl Report {
    /// Reads a report, packed or not: which, its first octets say.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn read(octets: &[u8]) -> Result<Self, ReportError> {
        let unpacked = packed::unpack(octets, REPORT_BYTES_MAX)?;
        // Whatever encoding it claims: what a report says is ASCII, but for names of organizations.
        let text = String::from_utf8_lossy(&unpacked);
        let mut reading = Reading::default();
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}').trim_start());
        loop {
            match reader.read_event().map_err(|error| ReportError::Xml(error.to_string()))? {
                Event::Start(element) => reading.open(&element)?,
                Event::Empty(element) => {
                    reading.open(&element)?;
                    reading.close()?;
                }
                Event::End(_) => reading.close()?,
                Event::Text(text) => reading.text(&text.xml10_content()),
                Event::CData(text) => reading.text(&text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let name: &str = &reference;
                    let character = if name.starts_with('#') {
                        reference.resolve_char_ref().map_err(|error| ReportError::Xml(error.to_string()))?.map(String::from)
                    } else {
                        resolve_predefined_entity(name).map(str::to_owned)
                    };
                    reading.text(&character.ok_or(ReportError::Forbidden("an entity of its own"))?);
                }
                Event::DocType(_) => return Err(ReportError::Forbidden("a document type")),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => return reading.finish(),
            }
        }
    }
}

/// A report as far as it was read.
#[derive(Default)]
struct Reading {
    /// The names of the open elements.
    path: Vec<String>,
    elements: usize,
    text: String,
    has_root: bool,
    report: Draft,
    record: Record,
}

#[derive(Default)]
struct Draft {
    organization: String,
    email: String,
    report_id: String,
    begins: Option<u64>,
    ends: Option<u64>,
    domain: String,
    policy: Option<Policy>,
    subdomains: Option<Policy>,
    nonexistent: Option<Policy>,
    strict_dkim: bool,
    strict_spf: bool,
    testing: bool,
    failure_options: Option<String>,
    rows: Vec<(Row, u64)>,
}

/// One `record`.
#[derive(Default)]
struct Record {
    source: String,
    count: u64,
    disposition: Option<Policy>,
    dkim_aligned: bool,
    spf_aligned: bool,
    reasons: Vec<Override>,
    header_from: String,
    envelope_from: Option<String>,
    signatures: Vec<SignatureResult>,
    spf: Option<SpfOutcome>,
}

impl Reading {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), ReportError> {
        if self.path.len() >= DEPTH_MAX {
            return Err(ReportError::TooMany("elements within each other"));
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(ReportError::TooMany("elements"));
        }
        let name: String = element.local_name().as_ref().chars().take(TEXT_CHARS_MAX).collect();
        if self.path.is_empty() {
            // A document has one root (XML 1.0 §2.1), and a report this one.
            if self.has_root || name != "feedback" {
                return Err(ReportError::Xml("it is no DMARC report: its root is not `feedback`".to_owned()));
            }
            self.has_root = true;
        }
        self.path.push(name);
        self.text.clear();
        let record = &mut self.record;
        let path: Vec<&str> = self.path.iter().skip(1).map(String::as_str).collect();
        match path.as_slice() {
            ["record"] => *record = Record::default(),
            ["record", "row", "policy_evaluated", "reason"] if record.reasons.len() < REASONS_MAX => {
                record.reasons.push(Override { kind: String::new(), comment: None });
            }
            ["record", "auth_results", "dkim"] if record.signatures.len() < SIGNATURES_MAX => {
                let (domain, selector, result) = (String::new(), String::new(), String::new());
                record.signatures.push(SignatureResult { domain, selector, result });
            }
            ["record", "auth_results", "spf"] if record.spf.is_none() => {
                record.spf = Some(SpfOutcome { domain: String::new(), result: String::new() });
            }
            _ => {}
        }
        Ok(())
    }

    /// What a stranger writes carries no controls, and is not longer than it need be.
    fn text(&mut self, text: &str) {
        let room = TEXT_CHARS_MAX.saturating_sub(self.text.len());
        self.text.extend(text.chars().filter(|c| !c.is_control() || c.is_whitespace()).take(room));
    }

    fn close(&mut self) -> Result<(), ReportError> {
        let text: String = self.text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.text.clear();
        let path: Vec<&str> = self.path.iter().skip(1).map(String::as_str).collect();
        match path.as_slice() {
            ["record"] => {
                let row = std::mem::take(&mut self.record).finish()?;
                if self.report.rows.len() >= ROWS_MAX {
                    return Err(ReportError::TooMany("rows"));
                }
                self.report.rows.push(row);
            }
            ["record", rest @ ..] => self.record.take(rest, text),
            ["report_metadata", rest @ ..] => self.report.metadata(rest, text),
            ["policy_published", name] => self.report.published(name, text),
            _ => {}
        }
        self.path.pop();
        Ok(())
    }

    fn finish(self) -> Result<Report, ReportError> {
        if !self.has_root {
            return Err(ReportError::Xml("it is empty".to_owned()));
        }
        if !self.path.is_empty() {
            return Err(ReportError::Xml("it ends in the middle".to_owned()));
        }
        self.report.finish()
    }
}

impl Draft {
    fn metadata(&mut self, path: &[&str], text: String) {
        match path {
            ["org_name"] => self.organization = text,
            ["email"] => self.email = text,
            ["report_id"] => self.report_id = text,
            ["date_range", "begin"] => self.begins = number(&text),
            ["date_range", "end"] => self.ends = number(&text),
            _ => {}
        }
    }

    fn published(&mut self, name: &str, text: String) {
        match name {
            "domain" => self.domain = text.to_ascii_lowercase(),
            "p" => self.policy = policy(&text),
            "sp" => self.subdomains = policy(&text),
            "np" => self.nonexistent = policy(&text),
            "adkim" => self.strict_dkim = text == "s",
            "aspf" => self.strict_spf = text == "s",
            "testing" => self.testing = text == "y",
            "fo" => self.failure_options = Some(text),
            _ => {}
        }
    }

    fn finish(self) -> Result<Report, ReportError> {
        let begins = self.begins.ok_or(ReportError::Lacks("date"))?;
        let ends = self.ends.filter(|ends| *ends >= begins).ok_or(ReportError::Lacks("date"))?;
        if self.domain.is_empty() {
            return Err(ReportError::Lacks("domain"));
        }
        if self.report_id.is_empty() {
            return Err(ReportError::Lacks("name"));
        }
        Ok(Report {
            organization: self.organization,
            email: self.email,
            report_id: self.report_id,
            begins,
            ends,
            published: Published {
                domain: self.domain,
                policy: self.policy.unwrap_or(Policy::None),
                subdomains: self.subdomains,
                nonexistent: self.nonexistent,
                strict_dkim: self.strict_dkim,
                strict_spf: self.strict_spf,
                testing: self.testing,
                failure_options: self.failure_options,
                wants_aggregate: true,
                wants_failures: false,
            },
            rows: self.rows,
        })
    }
}

impl Record {
    fn take(&mut self, path: &[&str], text: String) {
        match path {
            ["row", "source_ip"] => self.source = text,
            ["row", "count"] => self.count = number(&text).unwrap_or_default().min(COUNT_MAX),
            ["row", "policy_evaluated", "disposition"] => self.disposition = policy(&text),
            ["row", "policy_evaluated", "dkim"] => self.dkim_aligned = text.eq_ignore_ascii_case("pass"),
            ["row", "policy_evaluated", "spf"] => self.spf_aligned = text.eq_ignore_ascii_case("pass"),
            ["row", "policy_evaluated", "reason", name] => {
                let Some(last) = self.reasons.last_mut() else { return };
                match *name {
                    "type" => last.kind = text,
                    "comment" => last.comment = Some(text).filter(|text| !text.is_empty()),
                    _ => {}
                }
            }
            // Some write `identities`, after the first drafts.
            ["identifiers" | "identities", "header_from"] => self.header_from = text.to_ascii_lowercase(),
            ["identifiers" | "identities", "envelope_from"] => self.envelope_from = Some(text.to_ascii_lowercase()),
            ["auth_results", "dkim", name] => {
                let Some(last) = self.signatures.last_mut() else { return };
                match *name {
                    "domain" => last.domain = text.to_ascii_lowercase(),
                    "selector" => last.selector = text,
                    "result" => last.result = text.to_ascii_lowercase(),
                    _ => {}
                }
            }
            ["auth_results", "spf", name] => {
                let Some(spf) = &mut self.spf else { return };
                match *name {
                    "domain" => spf.domain = text.to_ascii_lowercase(),
                    "result" => spf.result = text.to_ascii_lowercase(),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn finish(self) -> Result<(Row, u64), ReportError> {
        let source = self.source.parse().map_err(|_| ReportError::Lacks("address of a source"))?;
        let mut seen = HashSet::new();
        let row = Row {
            source,
            disposition: self.disposition.unwrap_or(Policy::None),
            dkim_aligned: self.dkim_aligned,
            spf_aligned: self.spf_aligned,
            reasons: self.reasons.into_iter().filter(|reason| !reason.kind.is_empty()).collect(),
            header_from: self.header_from,
            envelope_from: self.envelope_from,
            signatures: self.signatures.into_iter().filter(|one| seen.insert(one.clone())).collect(),
            spf: self.spf.filter(|spf| !spf.result.is_empty()),
        };
        Ok((row, self.count))
    }
}

/// `pass` is what RFC 9990 has for letters that a policy would have stopped had they failed.
fn policy(text: &str) -> Option<Policy> {
    if text.eq_ignore_ascii_case("pass") { Some(Policy::None) } else { Policy::parse(&text.to_ascii_lowercase()) }
}

/// Some write a fraction of a second.
fn number(text: &str) -> Option<u64> {
    text.split('.').next()?.parse().ok()
}
