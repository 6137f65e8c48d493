//! Into a mailbox of ours.

use std::collections::VecDeque;

use bytes::Bytes;
use posthouse_client::mx::unreachable;
use posthouse_directory::AccountId;
use posthouse_journal::Event;
use posthouse_mail::header::{Header, delivered_to, end_of_header, return_path};
use posthouse_mail::{Address, Reply, Status};
use posthouse_mailbox::{Delivery, Folder};
use posthouse_queue::Lease;
use posthouse_runtime::stream::{ByteSource, NextChunk};
use posthouse_runtime::task;

use crate::context::Context;
use crate::outcome::{Attempt, AttemptResult, Hop};

/// What is read of a letter to see whether it has been here.
const HEADER_BYTES_MAX: usize = 256 * 1024;
/// The recipients of one letter who are served side by side.
const AT_ONCE_MAX: usize = 32;
/// A letter up to this size is read once; so much of each that is under way is in memory.
const KEPT_BYTES_MAX: u64 = 32 * 1024;

/// Stores the letter for each of these.
pub(crate) async fn deliver_all(context: &Context, lease: &Lease, recipients: Vec<(usize, AccountId)>) -> Vec<Attempt> {
    if recipients.is_empty() {
        return Vec::new();
    }
    let seen = Seen::of(lease).await;
    let deliveries = recipients.into_iter().map(|(index, account)| deliver(context, lease, &seen, index, account));
    task::side_by_side(deliveries, AT_ONCE_MAX).await
}

/// Stores the letter for one recipient; once, however often it is called for the same letter and recipient.
async fn deliver(context: &Context, lease: &Lease, seen: &Seen, index: usize, account: AccountId) -> Attempt {
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
        folder: seen.folder,
        // RFC 5321 §4.4: the server that makes the final delivery adds the return path; Delivered-To names whom it was for.
        prefix: (return_path(&letter.envelope.reverse_path) + &delivered_to(recipient)).into_bytes(),
    };
    if seen.has_been_at(recipient) {
        let text = format!("the letter has been delivered to {recipient} before: it goes round");
        return Attempt { index, hop, result: AttemptResult::Failed(Reply::new(554, Status::permanent(4, 6), &text)) };
    }
    let result = match context.mailboxes.deliver(account.as_str(), delivery, seen.body(lease).as_mut()).await {
        Ok(uid) => {
            let folder = (seen.folder != Folder::Inbox).then(|| seen.folder.to_string());
            let stored = Event::Stored { to: recipient.to_string(), account: account.to_string(), uid: uid.0, folder };
            context.note(lease.id(), stored);
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

/// A letter that was looked into once for all its recipients.
struct Seen {
    /// The addresses it was delivered to before, as it says itself.
    delivered_to: Vec<String>,
    /// Where it belongs.
    folder: Folder,
    /// All of it, when it is small.
    whole: Option<VecDeque<Bytes>>,
}

impl Seen {
    /// Reads a small letter whole, of a large one the header. One that cannot be read is no proof of anything; storing it will say what
    /// is wrong.
    async fn of(lease: &Lease) -> Self {
        let is_small = lease.size() <= KEPT_BYTES_MAX;
        let (mut chunks, mut start, mut has_header) = (VecDeque::new(), Vec::new(), false);
        let mut body = lease.body();
        let is_whole = loop {
            let Ok(chunk) = body.next().await else { break false };
            let Some(chunk) = chunk else { break is_small };
            if !has_header {
                start.extend_from_slice(&chunk);
                has_header = end_of_header(&start).is_some() || start.len() >= HEADER_BYTES_MAX;
            }
            if is_small {
                chunks.push_back(chunk);
            } else if has_header {
                break false;
            }
        };
        let (delivered_to, folder) = read_header(&start);
        Self { delivered_to, folder, whole: is_whole.then_some(chunks) }
    }

    /// Whether the letter carries our own mark for this recipient: somebody forwards it back to us (RFC 9228 §3).
    fn has_been_at(&self, recipient: &Address) -> bool {
        if self.delivered_to.is_empty() {
            return false;
        }
        let own = recipient.to_string();
        self.delivered_to.iter().any(|to| to.eq_ignore_ascii_case(&own))
    }

    fn body(&self, lease: &Lease) -> Box<dyn ByteSource> {
        match &self.whole {
            Some(chunks) => Box::new(Kept { len: lease.size(), chunks: chunks.clone() }),
            None => Box::new(lease.body()),
        }
    }
}

/// What was found suspicious at the door. `intake` takes the field out of what comes from elsewhere.
const QUARANTINE: &str = "X-Posthouse-Quarantine";

/// The values of `Delivered-To` in a header of which this is the beginning, and where the letter belongs.
fn read_header(start: &[u8]) -> (Vec<String>, Folder) {
    let fields = end_of_header(start).map_or(start.len(), |(fields, _)| fields);
    let Ok(header) = Header::parse(start.get(..fields).unwrap_or_default()) else { return (Vec::new(), Folder::Inbox) };
    let folder = if header.first(QUARANTINE).is_some() { Folder::Junk } else { Folder::Inbox };
    (header.named("Delivered-To").map(|field| field.value()).collect(), folder)
}

/// The octets of a letter that were read before.
struct Kept {
    len: u64,
    chunks: VecDeque<Bytes>,
}

impl ByteSource for Kept {
    fn len(&self) -> u64 {
        self.len
    }

    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(std::future::ready(Ok(self.chunks.pop_front())))
    }
}
