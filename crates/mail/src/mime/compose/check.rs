//! What no field of a letter may hold.

use super::{Attachment, ComposeError, Composition, is_token};

/// The octets of one value: a subject, a name, a field.
pub(super) const VALUE_BYTES_MAX: usize = 8 * 1024;
/// The mailboxes in one field, the attachments, the further fields.
pub(super) const ITEMS_MAX: usize = 10_000;

pub(super) fn check_all(composition: &Composition) -> Result<(), ComposeError> {
    check("the subject", &composition.subject)?;
    let ids = composition.in_reply_to.iter().chain(&composition.references);
    for id in ids.chain([&composition.message_id]) {
        if !is_message_id(id) {
            return Err(ComposeError::MessageId(id.clone()));
        }
    }
    let lists = [("To", &composition.to), ("Cc", &composition.cc), ("Reply-To", &composition.reply_to)];
    for (field, mailboxes) in lists {
        few(field, mailboxes.len())?;
    }
    few("References", composition.references.len())?;
    let singles = composition.sender.iter().chain([&composition.from]);
    for mailbox in lists.into_iter().flat_map(|(_, mailboxes)| mailboxes).chain(singles) {
        check("the name of a mailbox", mailbox.name.as_deref().unwrap_or_default())?;
    }
    few("attachments", composition.attachments.len())?;
    few("pictures", composition.inline.len())?;
    for file in composition.attachments.iter().chain(composition.inline.iter().map(|inline| &inline.file)) {
        check_file(file)?;
    }
    for inline in &composition.inline {
        if !is_message_id(&inline.content_id) {
            return Err(ComposeError::MessageId(inline.content_id.clone()));
        }
    }
    few("fields", composition.fields.len())?;
    for (name, value) in &composition.fields {
        if !is_free_field(name) {
            return Err(ComposeError::FieldName(name.clone()));
        }
        check(name, value)?;
    }
    Ok(())
}

fn few(field: &'static str, count: usize) -> Result<(), ComposeError> {
    if count > ITEMS_MAX { Err(ComposeError::TooMany { field }) } else { Ok(()) }
}

fn check_file(file: &Attachment) -> Result<(), ComposeError> {
    check("the name of an attachment", &file.name)?;
    if is_content_type(&file.content_type) { Ok(()) } else { Err(ComposeError::ContentType(file.content_type.clone())) }
}

/// Whether a value stays within its field: no control character, and neither of the separators that some programs take for line ends.
pub(super) fn check(field: &str, value: &str) -> Result<(), ComposeError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(ComposeError::TooLong { field: field.to_owned() });
    }
    if value.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(ComposeError::Control { field: field.to_owned() });
    }
    Ok(())
}

/// `left@right` of visible ASCII without what could end it (RFC 5322 §3.6.4, narrowed).
fn is_message_id(id: &str) -> bool {
    let whole = id.split_once('@').is_some_and(|(left, right)| !left.is_empty() && !right.is_empty());
    whole && id.len() <= 250 && id.bytes().all(|b| b.is_ascii_graphic() && !b"<>()\"\\,;".contains(&b))
}

/// `type "/" subtype`, both tokens (RFC 2045 §5.1), without parameters; a part's structure is not a file's.
fn is_content_type(text: &str) -> bool {
    text.len() <= 127
        && text
            .split_once('/')
            .is_some_and(|(kind, sub)| is_token(kind) && is_token(sub) && !kind.eq_ignore_ascii_case("multipart"))
}

/// `field-name = 1*ftext` (RFC 5322 §3.6.8), and none that the letter, or the servers on its way, write themselves.
fn is_free_field(name: &str) -> bool {
    const TAKEN: [&str; 14] = [
        "From",
        "Sender",
        "To",
        "Cc",
        "Bcc",
        "Resent-Bcc",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Return-Path",
        "Received",
        "DKIM-Signature",
    ];
    let ftext = !name.is_empty() && name.len() <= 70 && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
    ftext && !content && !TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(name))
}
