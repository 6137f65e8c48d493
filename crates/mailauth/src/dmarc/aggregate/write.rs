//! The report as XML, in the order that the schema of RFC 9990 (appendix A) asks for.

use std::fmt::Write as _;

use super::{Policy, Published, Report, Row};

/// The name of the format.
const NAMESPACE: &str = "urn:ietf:params:xml:ns:dmarc-2.0";

impl Report {
    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = Xml(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feedback xmlns=\"{NAMESPACE}\">\n"));
        xml.leaf("version", "1.0");
        xml.within("report_metadata", |xml| {
            xml.leaf("org_name", &self.organization);
            xml.leaf("email", &self.email);
            xml.leaf("report_id", &self.report_id);
            xml.within("date_range", |xml| {
                xml.leaf("begin", &self.begins.to_string());
                xml.leaf("end", &self.ends.to_string());
            });
            xml.leaf("generator", concat!("Posthouse ", env!("CARGO_PKG_VERSION")));
        });
        xml.within("policy_published", |xml| published(xml, &self.published));
        for (row, count) in &self.rows {
            xml.within("record", |xml| record(xml, row, *count));
        }
        xml.0.push_str("</feedback>\n");
        xml.0
    }
}

fn published(xml: &mut Xml, published: &Published) {
    let mode = |strict| if strict { "s" } else { "r" };
    let below = published.subdomains.unwrap_or(published.policy);
    xml.leaf("domain", &published.domain);
    xml.leaf("discovery_method", "treewalk");
    xml.leaf("p", &published.policy.to_string());
    xml.leaf("sp", &below.to_string());
    xml.leaf("np", &published.nonexistent.unwrap_or(below).to_string());
    if let Some(options) = &published.failure_options {
        xml.leaf("fo", options);
    }
    xml.leaf("adkim", mode(published.strict_dkim));
    xml.leaf("aspf", mode(published.strict_spf));
    xml.leaf("testing", if published.testing { "y" } else { "n" });
}

fn record(xml: &mut Xml, row: &Row, count: u64) {
    let mark = |aligned| if aligned { "pass" } else { "fail" };
    xml.within("row", |xml| {
        xml.leaf("source_ip", &row.source.to_string());
        xml.leaf("count", &count.to_string());
        xml.within("policy_evaluated", |xml| {
            xml.leaf("disposition", disposition(row.disposition));
            xml.leaf("dkim", mark(row.dkim_aligned));
            xml.leaf("spf", mark(row.spf_aligned));
            for reason in &row.reasons {
                xml.within("reason", |xml| {
                    xml.leaf("type", &reason.kind);
                    if let Some(comment) = &reason.comment {
                        xml.leaf("comment", comment);
                    }
                });
            }
        });
    });
    xml.within("identifiers", |xml| {
        xml.leaf("header_from", &row.header_from);
        if let Some(from) = &row.envelope_from {
            xml.leaf("envelope_from", from);
        }
    });
    xml.within("auth_results", |xml| {
        for one in &row.signatures {
            xml.within("dkim", |xml| {
                xml.leaf("domain", &one.domain);
                xml.leaf("selector", &one.selector);
                xml.leaf("result", &one.result);
            });
        }
        if let Some(spf) = &row.spf {
            xml.within("spf", |xml| {
                xml.leaf("domain", &spf.domain);
                // §3.1.1.13: DMARC looks at this one alone.
                xml.leaf("scope", "mfrom");
                xml.leaf("result", &spf.result);
            });
        }
    });
}

/// The standard also has `pass`, for letters that pass where a policy would have stopped them; readers of RFC 7489 know `none` alone, which is as right.
fn disposition(policy: Policy) -> &'static str {
    match policy {
        Policy::None => "none",
        Policy::Quarantine => "quarantine",
        Policy::Reject => "reject",
    }
}

struct Xml(String);

impl Xml {
    fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "<{name}>");
        content(self);
        let _ = writeln!(self.0, "</{name}>");
    }

    fn leaf(&mut self, name: &str, text: &str) {
        let _ = write!(self.0, "<{name}>");
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // XML 1.0 §2.2: most controls are no characters, however they are written.
                c if c.is_control() => {}
                c => self.0.push(c),
            }
        }
        let _ = writeln!(self.0, "</{name}>");
    }
}
