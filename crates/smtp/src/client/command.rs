//! The commands of an envelope, as they stand on the wire.
//!
//! Nothing leaves that could hold a line break: every field is either of a type that cannot, or encoded, and the whole line is looked at once more in
//! [`is_one_line`]. Parameters are written only for extensions the server offers (RFC 5321 §2.2.1).

use std::fmt::Write as _;

use posthouse_mail::{BodyKind, Envelope, Notify, OriginalRecipient, Priority, Recipient, Ret, TlsWish, UnixMillis};

use super::capabilities::Capabilities;
use crate::syntax::{By, Hold, xtext};

/// `mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]`, as it is right at this time.
pub(super) fn mail(envelope: &Envelope, size: u64, smtputf8: bool, offered: &Capabilities, time: UnixMillis) -> String {
    let mut line = format!("MAIL FROM:<{}>", envelope.reverse_path);
    if offered.size {
        let _ = write!(line, " SIZE={size}");
    }
    match envelope.body {
        BodyKind::SevenBit => {}
        // A server without 8BITMIME gets the letter as it is (RFC 6152 §3 would have us convert or bounce it): every server of today is 8-bit clean,
        // a conversion breaks signatures, and a bounce helps nobody. The report says that it was done.
        BodyKind::EightBitMime if offered.eight_bit_mime => line.push_str(" BODY=8BITMIME"),
        BodyKind::EightBitMime => {}
        BodyKind::BinaryMime => line.push_str(" BODY=BINARYMIME"),
    }
    if smtputf8 {
        line.push_str(" SMTPUTF8");
    }
    if offered.dsn {
        match envelope.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Headers) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = envelope.envid.as_deref().filter(|envid| !envid.is_empty()) {
            let _ = write!(line, " ENVID={}", xtext::encode(envid));
        }
    }
    wishes(&mut line, envelope, offered, time);
    if envelope.tls == TlsWish::Required && offered.require_tls {
        line.push_str(" REQUIRETLS");
    }
    line
}

/// What is asked of the server's queue.
fn wishes(line: &mut String, envelope: &Envelope, offered: &Capabilities, time: UnixMillis) {
    // RFC 6710 §4: nothing said is zero.
    if offered.mt_priority && envelope.priority != Priority::default() {
        let _ = write!(line, " MT-PRIORITY={}", envelope.priority);
    }
    // RFC 4865 §5: what is over needs no holding.
    if let Some(until) = envelope.release_at.filter(|&until| until > time && offered.future_release.is_some()) {
        // In whole seconds, and not a moment too early.
        let until = UnixMillis(until.0.div_ceil(1000).saturating_mul(1000));
        let _ = write!(line, " {}", Hold::Until(until));
    }
    // RFC 2852 §4: the seconds that are left, which may be less than none.
    if let Some(by) = envelope.deliver_by.filter(|_| offered.deliver_by) {
        let _ = write!(line, " {}", By::left(by, time));
    }
}

/// `rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters]`.
pub(super) fn rcpt(recipient: &Recipient, offered: &Capabilities) -> String {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if offered.dsn {
        if let Some(notify) = recipient.notify {
            let _ = write!(line, " NOTIFY={}", notify_words(notify));
        }
        if let Some(original) = recipient.orcpt.as_ref().and_then(orcpt) {
            let _ = write!(line, " ORCPT={original}");
        }
    }
    line
}

/// Whether a line is fit to be sent: no CR, LF or NUL, whatever put it together.
pub(super) fn is_one_line(line: &str) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, line.as_bytes()).is_none()
}

fn notify_words(notify: Notify) -> String {
    let words = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let given: Vec<&str> = words.into_iter().filter_map(|(given, word)| given.then_some(word)).collect();
    if given.is_empty() { "NEVER".to_owned() } else { given.join(",") }
}

/// `original-recipient-address = addr-type ";" xtext` (RFC 3461 §4.2); nothing for a type that is not an atom, and nothing longer than its 500 octets:
/// no letter should fail for that.
fn orcpt(original: &OriginalRecipient) -> Option<String> {
    let atom = !original.kind.is_empty() && original.kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    Some(xtext::encode_orcpt(original)).filter(|encoded| atom && encoded.len() <= 500)
}

#[cfg(test)]
mod tests;
