//! Into a mailbox of ours.

use posthouse_directory::AccountId;
use posthouse_journal::Event;
use posthouse_mail::header::{Header, delivered_to, end_of_header, return_path};
use posthouse_mail::{Address, Reply, Status};
use posthouse_mailbox::Delivery;
use posthouse_queue::Lease;
use posthouse_runtime::stream::ByteSource;

use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult, Hop, unreachable};

/// What is read of a letter to see whether it has been here.
const HEADER_BYTES_MAX: usize = 256 * 1024;

/// Stores the letter for each of these.
pub(crate) async fn deliver_all(context: &Context, lease: &Lease, recipients: Vec<(usize, AccountId)>) -> Vec<Attempt> {
    let mut attempts = Vec::with_capacity(recipients.len());
    for (index, account) in recipients {
        attempts.push(deliver(context, lease, index, &account).await);
    }
    attempts
}

/// Stores the letter for one recipient; once, however often it is called for the same letter and recipient.
async fn deliver(context: &Context, lease: &Lease, index: usize, account: &AccountId) -> Attempt {
    let hop = Hop { host: Some(context.hostname.to_string()), takes_dsn: false, ..Hop::default() };
    let Some(state) = lease.recipients().get(index) else {
        return Attempt { index, hop, result: AttemptResult::Deferred(unreachable(0, "no such recipient")) };
    };
    let (letter, recipient) = (lease.letter(), &state.recipient.address);
    let delivery = Delivery {
        letter: lease.id(),
        recipient: recipient.clone(),
        reverse_path: letter.envelope.reverse_path.clone(),
        at: letter.arrived,
        // RFC 5321 §4.4: the server that makes the final delivery adds the return path; Delivered-To names whom it was for.
        prefix: (return_path(&letter.envelope.reverse_path) + &delivered_to(recipient)).into_bytes(),
    };
    if has_been_here(&mut lease.body(), recipient).await {
        let text = format!("the letter has been delivered to {recipient} before: it goes round");
        return Attempt { index, hop, result: AttemptResult::Failed(Reply::new(554, Status::permanent(4, 6), &text)) };
    }
    let mut body = lease.body();
    let result = match context.mailboxes.deliver(account.as_str(), delivery, &mut body).await {
        Ok(uid) => {
            context.note(lease.id(), Event::Stored { to: recipient.to_string(), account: account.to_string(), uid: uid.0 });
            AttemptResult::Delivered(Reply::new(250, Status::success(1, 5), "stored in the mailbox"))
        }
        Err(error) => {
            tracing::error!(letter = %lease.id(), %account, %error, "a letter cannot be stored in its mailbox");
            // Ours, whatever it is: it waits and is tried again, for the sender cannot mend it (RFC 3463 §3.3, X.2.0).
            AttemptResult::Deferred(Reply::new(451, Status::temporary(2, 0), "the mailbox cannot be written now"))
        }
    };
    Attempt { index, result, hop }
}

/// Whether the letter carries our own mark for this recipient: somebody forwards it back to us (RFC 9228 §3). A letter that cannot be
/// read is no proof; storing it will say what is wrong.
async fn has_been_here(body: &mut dyn ByteSource, recipient: &Address) -> bool {
    let mut start = Vec::new();
    while end_of_header(&start).is_none() && start.len() < HEADER_BYTES_MAX {
        match body.next().await {
            Ok(Some(chunk)) => start.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    let fields = end_of_header(&start).map_or(start.len(), |(fields, _)| fields);
    let Ok(header) = Header::parse(start.get(..fields).unwrap_or_default()) else { return false };
    let own = recipient.to_string();
    header.named("Delivered-To").any(|field| field.value().eq_ignore_ascii_case(&own))
}
