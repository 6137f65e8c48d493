//! Into a mailbox of ours.

use posthouse_directory::AccountId;
use posthouse_journal::Event;
use posthouse_mail::{Reply, Status};
use posthouse_mailbox::Delivery;
use posthouse_queue::Lease;

use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult, Hop, unreachable};

/// Stores the letter for one recipient; once, however often it is called for the same letter and recipient.
pub(crate) async fn deliver(context: &Context, lease: &Lease, index: usize, account: &AccountId) -> Attempt {
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
        prefix: format!("Return-Path: <{}>\r\nDelivered-To: {recipient}\r\n", letter.envelope.reverse_path).into_bytes(),
    };
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
