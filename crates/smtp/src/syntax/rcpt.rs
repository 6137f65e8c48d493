//! `RCPT` and its parameters.

use std::fmt;

use posthouse_mail::{Notify, OriginalRecipient, Recipient};

use super::parameter::{once, parameters};
use super::{ArgumentError, ForwardPath, take_path, xtext};

/// `rcpt = "RCPT TO:" ( "<Postmaster@" Domain ">" / "<Postmaster>" / Forward-path ) [SP Rcpt-parameters]` (RFC 5321 §4.1.1.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rcpt {
    /// Whom the letter is for.
    pub path: ForwardPath,
    /// `NOTIFY=` (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=`, decoded (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
}

impl Rcpt {
    /// Reads what stands behind the verb; `smtputf8` is what MAIL said.
    ///
    /// # Errors
    /// [`ArgumentError`].
    pub fn parse(arguments: &str, smtputf8: bool) -> Result<Self, ArgumentError> {
        const FORM: ArgumentError = ArgumentError::Form("the form is RCPT TO:<address> [parameters]");
        let behind = arguments.get(..3).filter(|word| word.eq_ignore_ascii_case("TO:")).and(arguments.get(3..)).ok_or(FORM)?;
        // A deviation: the grammar has no space behind the colon, many programs do.
        let (inside, rest) = take_path(behind.trim_start_matches(' '))?;
        let mut rcpt = Self { path: ForwardPath::parse(inside)?, notify: None, orcpt: None };
        for parameter in parameters(rest) {
            let (keyword, value) = parameter?;
            match keyword.to_ascii_uppercase().as_str() {
                "NOTIFY" => once(&mut rcpt.notify, "NOTIFY", value.and_then(notify))?,
                "ORCPT" => once(&mut rcpt.orcpt, "ORCPT", value.and_then(|value| xtext::decode_orcpt(value, smtputf8)))?,
                unknown => return Err(ArgumentError::UnknownParameter(unknown.to_owned())),
            }
        }
        if !smtputf8 && !arguments.is_ascii() {
            return Err(ArgumentError::NeedsSmtpUtf8);
        }
        Ok(rcpt)
    }

    /// Whether any parameter was given.
    #[must_use]
    pub fn has_parameters(&self) -> bool {
        self.notify.is_some() || self.orcpt.is_some()
    }
}

impl From<Recipient> for Rcpt {
    fn from(recipient: Recipient) -> Self {
        Self { path: ForwardPath::Mailbox(recipient.address), notify: recipient.notify, orcpt: recipient.orcpt }
    }
}

impl fmt::Display for Rcpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RCPT TO:<{}>", self.path)?;
        if let Some(notify) = self.notify {
            let wishes = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
            let wished: Vec<&str> = wishes.into_iter().filter(|(wish, _)| *wish).map(|(_, name)| name).collect();
            write!(f, " NOTIFY={}", if wished.is_empty() { "NEVER".to_owned() } else { wished.join(",") })?;
        }
        match &self.orcpt {
            Some(orcpt) => write!(f, " ORCPT={}", xtext::encode_orcpt(orcpt)),
            None => Ok(()),
        }
    }
}

/// `notify-esmtp-value = "NEVER" / 1#notify-list-element` (RFC 3461 §4.1).
fn notify(value: &str) -> Option<Notify> {
    let mut notify = Notify::default();
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(notify);
    }
    for element in value.split(',') {
        let place = match element.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return None,
        };
        *place = true;
    }
    Some(notify)
}
