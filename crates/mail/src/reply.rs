//! SMTP replies: a code, a status, and text that can never break a line.

use std::fmt;

use crate::status::{Class, Status};

/// The octets of text one reply line carries at most: 512 with code, separator and CRLF (RFC 5321 §4.5.3.1.5), less room for a status.
const LINE_TEXT_BYTES_MAX: usize = 480;
/// The lines one reply may have: what a peer sends beyond them is dropped by the reader.
const LINES_MAX: usize = 128;

/// A reply of a server (RFC 5321 §4.2): 200–599, an enhanced status where there is one, and one or more lines of text.
///
/// Text is cleaned when it is put in: control characters become spaces, so a text that came from a peer, a file or a user cannot
/// add a line or an escape sequence. Lines are split at `\n` and cut at 480 octets; at most 128 are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    code: u16,
    status: Option<Status>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply with a status. A `code` outside 200–599 becomes 451: it can only come from a peer that does not speak SMTP.
    #[must_use]
    pub fn new(code: u16, status: Status, text: &str) -> Self {
        Self { status: Some(status), ..Self::bare(code, text) }
    }

    /// A reply without a status, such as the greeting and the reply to EHLO (RFC 2034 §4 excepts them).
    #[must_use]
    pub fn bare(code: u16, text: &str) -> Self {
        let code = if (200..600).contains(&code) { code } else { 451 };
        Self { code, status: None, lines: text.split('\n').take(LINES_MAX).map(clean).collect() }
    }

    /// The same reply with its lines given apart.
    #[must_use]
    pub fn with_lines<S: AsRef<str>>(mut self, lines: impl IntoIterator<Item = S>) -> Self {
        self.lines = lines.into_iter().take(LINES_MAX).map(|line| clean(line.as_ref())).collect();
        if self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self
    }

    /// The three-digit code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, if the server gave one.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// The lines of text, without code and status.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The text in one line.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// 2xx and 3xx.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// 4xx.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// 5xx.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.code >= 500
    }

    /// The given status, or the general one of the code's class (`x.0.0`).
    #[must_use]
    pub fn status_or_default(&self) -> Status {
        let class = match self.code {
            ..400 => Class::Success,
            400..500 => Class::Temporary,
            500.. => Class::Permanent,
        };
        // RFC 3463 §2 and RFC 2034 §4: a status whose class contradicts the code is worth less than none.
        self.status.filter(|status| status.class == class).unwrap_or(Status::new(class, 0, 0))
    }

    /// Appends the wire form, CRLF after each line; the status, where there is one, on every line (RFC 2034 §4).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == last { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{separator}", self.code).as_bytes());
            if let Some(status) = self.status {
                out.extend_from_slice(format!("{status} ").as_bytes());
            }
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// One line: code, status, text.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        let text = self.text();
        if text.is_empty() { Ok(()) } else { write!(f, " {text}") }
    }
}

fn clean(line: &str) -> String {
    let mut cleaned = String::with_capacity(line.len().min(LINE_TEXT_BYTES_MAX));
    for c in line.trim_end_matches('\r').chars() {
        let c = if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c };
        if cleaned.len() + c.len_utf8() > LINE_TEXT_BYTES_MAX {
            break;
        }
        cleaned.push(c);
    }
    cleaned
}

#[cfg(test)]
mod tests;
