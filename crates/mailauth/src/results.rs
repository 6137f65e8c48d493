//! The field `Authentication-Results` (RFC 8601): writing ours, and knowing those that only claim to be.

use std::net::IpAddr;

use posthouse_mail::Domain;

use crate::examine::Verdicts;

/// How deep comments may nest before the field is taken for a trick.
const COMMENT_DEPTH_MAX: usize = 32;

/// The field with its folding and its last CRLF. `mail_from` is the reverse-path, empty for `<>`; text of strangers is cleaned.
#[must_use]
pub fn authentication_results(authserv_id: &Domain, verdicts: &Verdicts, mail_from: &str, helo: &str, ip: IpAddr) -> String {
    let mut field = format!("Authentication-Results: {authserv_id}");
    let mut part = |text: String| {
        field.push_str(";\r\n\t");
        field.push_str(&text);
    };
    let Verdicts { spf, dkim, dmarc, arc, iprev } = verdicts;
    let identity =
        if mail_from.is_empty() { format!("smtp.helo={}", value(helo)) } else { format!("smtp.mailfrom={}", value(mail_from)) };
    part(format!("spf={}\r\n\t ({})\r\n\t {identity}", spf.result, comment(&spf.reason)));
    if dkim.is_empty() {
        part("dkim=none".to_owned());
    }
    for one in dkim {
        part(format!(
            "dkim={}\r\n\t ({})\r\n\t header.d={} header.s={} header.a={} header.b={}",
            one.result,
            comment(&one.reason),
            value(&one.domain),
            value(&one.selector),
            value(&one.algorithm),
            value(&one.signature),
        ));
    }
    let policy = dmarc.policy.map(|policy| format!(" policy.dmarc={policy}")).unwrap_or_default();
    part(format!("dmarc={}\r\n\t ({})\r\n\t header.from={}{policy}", dmarc.result, comment(&dmarc.reason), value(&dmarc.domain)));
    part(format!("arc={}\r\n\t ({})", arc.result, comment(&arc.reason)));
    part(format!("iprev={} policy.iprev={}", iprev.result, value(&ip.to_canonical().to_string())));
    field.push_str("\r\n");
    field
}

/// Whether the value of an `Authentication-Results` field says that it is of `authserv_id`: in any case, quoted, with comments, with a version.
/// What cannot be read and has our name in it is taken to say so: RFC 8601 §5 asks to remove in doubt.
#[must_use]
pub fn is_from(field: &str, authserv_id: &Domain) -> bool {
    let ours = authserv_id.as_str();
    match claimed(field) {
        Some(id) => {
            let id = id.to_lowercase();
            let named = id.parse::<Domain>().is_ok_and(|id| id == *authserv_id);
            // A version behind it; white space between them is gone.
            let versioned =
                id.strip_prefix(ours).is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || "./".contains(c)));
            named || versioned
        }
        None => field.to_lowercase().contains(ours),
    }
}

/// What stands before the first `;`, without comments, quotes and white space. `None` when they do not match.
fn claimed(field: &str) -> Option<String> {
    let mut id = String::new();
    let (mut depth, mut quoted) = (0_usize, false);
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if depth > 0 || quoted => {
                let escaped = chars.next()?;
                if depth == 0 {
                    id.push(escaped);
                }
            }
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => {
                depth += 1;
                if depth > COMMENT_DEPTH_MAX {
                    return None;
                }
            }
            ')' if !quoted => depth = depth.checked_sub(1)?,
            ';' if depth == 0 && !quoted => return Some(id),
            _ if depth > 0 || c.is_whitespace() || c.is_control() => {}
            _ => id.push(c),
        }
    }
    (depth == 0 && !quoted).then_some(id)
}

/// `pvalue`: as it is where the grammar allows, else in quotes (RFC 8601 §2.2).
fn value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !"()<>,;:\\\"/[]?=".contains(c);
    // At most one `@`, as in an address.
    if !text.is_empty() && text.chars().all(plain) && text.matches('@').count() <= 1 && !text.starts_with('@') {
        return text.chars().take(320).collect();
    }
    let mut quoted = String::from("\"");
    for c in text.chars().take(320) {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            _ if c.is_ascii_graphic() || c == ' ' => quoted.push(c),
            _ => quoted.push('?'),
        }
    }
    quoted + "\""
}

/// A text inside a comment.
fn comment(text: &str) -> String {
    text.chars().take(200).map(|c| if (c.is_ascii_graphic() || c == ' ') && !"()\\".contains(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests;
