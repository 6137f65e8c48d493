//! Into a mailbox of ours.

use std::collections::VecDeque;

use bytes::Bytes;
use posthouse_client::mx::unreachable;
use posthouse_directory::{AccountId, SenderEntry, SenderRule};
use posthouse_journal::Event;
use posthouse_mail::header::{Header, address_list, delivered_to, end_of_header, return_path};
use posthouse_mail::{Address, Reply, ReversePath, Status};
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
    let (folder, rule) = seen.place(context, recipient, &letter.envelope.reverse_path).await;
    let delivery = Delivery {
        letter: lease.id(),
        recipient: recipient.clone(),
        reverse_path: letter.envelope.reverse_path.clone(),
        at: letter.arrived,
        folder,
        // RFC 5321 §4.4: the server that makes the final delivery adds the return path; Delivered-To names whom it was for.
        prefix: (return_path(&letter.envelope.reverse_path) + &delivered_to(recipient)).into_bytes(),
    };
    if seen.has_been_at(recipient) {
        let text = format!("the letter has been delivered to {recipient} before: it goes round");
        return Attempt { index, hop, result: AttemptResult::Failed(Reply::new(554, Status::permanent(4, 6), &text)) };
    }
    let result = match context.mailboxes.deliver(account.as_str(), delivery, seen.body(lease).as_mut()).await {
        Ok(uid) => {
            let folder = (folder != Folder::Inbox).then(|| folder.to_string());
            let (to, account) = (recipient.to_string(), account.to_string());
            let stored = Event::Stored { to, account, uid: uid.0, folder, rule };
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
    /// What its header says of where it belongs.
    marks: Marks,
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
        let (delivered_to, marks) = read_header(&start);
        Self { delivered_to, marks, whole: is_whole.then_some(chunks) }
    }

    /// Where it belongs for this recipient, and the rule of theirs that says so. What they have blocked is junk, by the author or by the sender; what was marked as junk is
    /// none if they have allowed its author, and that was verified at the door: a name in the header proves nothing.
    async fn place(&self, context: &Context, recipient: &Address, sender: &ReversePath) -> (Folder, Option<String>) {
        let usual = if self.marks.is_junk { Folder::Junk } else { Folder::Inbox };
        if let Some(SenderEntry { rule, pattern, .. }) = rule(context, recipient, self.marks.author.as_ref()).await {
            match rule {
                SenderRule::Block => return (Folder::Junk, Some(format!("block {pattern}"))),
                SenderRule::Allow if self.marks.is_author_known => return (Folder::Inbox, Some(format!("allow {pattern}"))),
                SenderRule::Allow => {}
            }
        }
        match rule(context, recipient, sender.address()).await {
            Some(SenderEntry { rule: SenderRule::Block, pattern, .. }) => (Folder::Junk, Some(format!("block {pattern}"))),
            Some(SenderEntry { rule: SenderRule::Allow, .. }) | None => (usual, None),
        }
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
/// In front of its value: the author was verified.
const AUTHOR_KNOWN: &str = "verified;";

/// What a header says of where the letter belongs.
#[derive(Default)]
struct Marks {
    /// Somebody takes it for junk.
    is_junk: bool,
    /// Who does knows its author all the same.
    is_author_known: bool,
    /// `From`, if it is one address.
    author: Option<Address>,
}

/// What the recipient has said of this sender. Without the directory that is nothing: the letter is stored, and that is more than a rule.
async fn rule(context: &Context, recipient: &Address, sender: Option<&Address>) -> Option<SenderEntry> {
    let rules = context.directory.rules_for(std::slice::from_ref(recipient), sender?).await;
    let rules = rules.inspect_err(|error| tracing::warn!(%recipient, %error, "the rules of an account cannot be read"));
    rules.ok()?.into_iter().next().flatten()
}

/// The values of `Delivered-To` in a header of which this is the beginning, and where the letter belongs.
fn read_header(start: &[u8]) -> (Vec<String>, Marks) {
    let fields = end_of_header(start).map_or(start.len(), |(fields, _)| fields);
    let Ok(header) = Header::parse(start.get(..fields).unwrap_or_default()) else { return (Vec::new(), Marks::default()) };
    let is_junk = header.first(QUARANTINE).is_some();
    let is_author_known = is_junk && header.named(QUARANTINE).all(|field| field.value().trim_start().starts_with(AUTHOR_KNOWN));
    let mut authors = header.first("From").and_then(|from| address_list(&from.value()).ok()).unwrap_or_default();
    let author = if authors.len() == 1 { authors.pop() } else { None };
    (header.named("Delivered-To").map(|field| field.value()).collect(), Marks { is_junk, is_author_known, author })
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
