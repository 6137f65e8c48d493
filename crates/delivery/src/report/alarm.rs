//! A letter to the operator: something is wrong.
//!
//! It goes the way of all letters, through the queue, with no sender: nobody is told of one that does not arrive, and what cannot be returned is no cause of another
//! letter. When the queue takes nothing, which may be what it is about, it is put into the mailbox of an account here at once; for others it is tried again later.

use posthouse_directory::Route;
use posthouse_mail::header::{delivered_to, return_path};
use posthouse_mail::{Address, ReversePath, UnixMillis};
use posthouse_mailbox::{Delivery, Folder};
use posthouse_runtime::stream::Buffered;

use super::Sending;
use crate::context::Context;
use crate::derive;

/// The origin of these letters.
pub(crate) const KIND: &str = "alarm";
/// The octets of a line, well below what RFC 5322 §2.1.1 lets it have.
const LINE_BYTES_MAX: usize = 900;
/// The octets of a subject.
const SUBJECT_BYTES_MAX: usize = 200;

/// A letter to the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlarmLetter {
    /// Its subject.
    pub subject: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// What it is about: the same cause at the same time is the same letter, which is sent once.
    pub cause: String,
    /// When that was.
    pub at: UnixMillis,
}

impl AlarmLetter {
    /// Sends it. When this returns, the letter is on stable storage.
    ///
    /// # Errors
    /// Why it is not; it may be tried again.
    pub async fn send(&self, context: &Context, from: Option<&Address>, to: &Address) -> Result<(), String> {
        let from = super::from(context, from).await.map_err(|error| error.to_string())?;
        let id = derive::of_day(self.at, &format!("{KIND} {to} {}", self.cause));
        let message = self.message(&from, to, &format!("{id}@{}", context.hostname));
        let sending = Sending { kind: KIND, from: &from, to, about: &context.hostname, id, at: self.at };
        let Err(why) = sending.queue(context, message.clone()).await else { return Ok(()) };
        // The queue takes nothing. The mailboxes do not need it.
        let Ok(Route::Account { account, .. }) = context.directory.route(to).await else { return Err(why) };
        let delivery = Delivery {
            letter: id,
            recipient: to.clone(),
            reverse_path: ReversePath::NULL,
            at: self.at,
            folder: Folder::Inbox,
            prefix: (return_path(&ReversePath::NULL) + &delivered_to(to)).into_bytes(),
        };
        let stored = context.mailboxes.deliver(account.as_str(), delivery, &mut Buffered::new(message)).await;
        stored.map(|_| ()).map_err(|error| format!("{why}; and the mailbox: {error}"))
    }

    fn message(&self, from: &Address, to: &Address, message_id: &str) -> Vec<u8> {
        let (subject, date) = (plain(&self.subject, SUBJECT_BYTES_MAX), self.at.to_rfc5322());
        let lines: String = self.lines.iter().map(|line| plain(line, LINE_BYTES_MAX) + "\r\n").collect();
        format!(
            "From: {from}\r\nTo: {to}\r\nDate: {date}\r\nSubject: {subject}\r\nMessage-ID: <{message_id}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{lines}"
        )
        .into_bytes()
    }
}

/// What came from peers (replies, names) can break no line and needs no encoding.
fn plain(text: &str, octets_max: usize) -> String {
    text.chars().take(octets_max).map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reply_of_a_peer_adds_a_field_or_a_line() {
        let subject = "alarm: destination evil.test\r\nBcc: x@y.test".to_owned();
        let letter = AlarmLetter {
            subject,
            lines: vec!["a\nb\u{e9}".to_owned(), "z".repeat(2000)],
            cause: String::new(),
            at: UnixMillis(0),
        };
        let (from, to) = ("postmaster@ours.test".parse().unwrap(), "ops@ours.test".parse().unwrap());
        let text = String::from_utf8(letter.message(&from, &to, "1@ours.test")).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            header.contains("\r\nSubject: alarm: destination evil.test??Bcc: x@y.test\r\n") && header.lines().count() == 8,
            "{header}"
        );
        assert_eq!(body, format!("a?b?\r\n{}\r\n", "z".repeat(900)));
    }
}
