//! A letter that is coming in: its header is looked at and completed, its body flows into the queue.
//!
//! In memory are at most the header (1 MiB) and one chunk. With filters the letter waits for them, beside the queue, in a file if it is large. The body is never changed. To the header of a letter that was handed on to us `Received` is
//! added, and `Authentication-Results` where it is found out who sent it; fields that only claim to be ours are removed; that of a letter submitted by a user is also completed (RFC 6409 §8).

mod header;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use posthouse_journal::Finding;
use posthouse_mail::LetterId;
use posthouse_mail::header::{HEADER_BYTES_MAX, end_of_header};
use posthouse_mailauth::Examination;
use posthouse_queue::Draft;
use posthouse_smtp::server::Verdict;

use crate::check;
use crate::milter::{About, Held, Milters, Seen};
use crate::sign::Signing;
use crate::visit::Visit;

/// The lines a header may have.
const HEADER_LINES_MAX: usize = 10_000;

/// See the module.
pub(crate) struct Incoming {
    draft: Draft,
    /// The header as far as it has come; `None` once it is complete.
    header: Option<BytesMut>,
    header_lines: usize,
    message_id: Option<String>,
    is_tls_optional: bool,
    is_ascii: bool,
    /// Whether it is to be found out who sent it.
    is_examined: bool,
    examination: Option<Box<Examination>>,
    signing: Option<Box<Signing>>,
    /// Where it waits for its filters, if there are any.
    held: Option<Box<Held>>,
}

/// What remains of a complete letter.
pub(crate) struct Parts {
    pub(crate) draft: Draft,
    pub(crate) message_id: Option<String>,
    /// Whether its header says `TLS-Required: No`.
    pub(crate) is_tls_optional: bool,
    /// Whether all of it is ASCII.
    pub(crate) is_ascii: bool,
    /// What is to be signed.
    pub(crate) signing: Option<Box<Signing>>,
}

impl Incoming {
    pub(crate) fn new(draft: Draft, is_examined: bool, held: Option<Held>) -> Self {
        Self {
            draft,
            header: Some(BytesMut::new()),
            header_lines: 0,
            message_id: None,
            is_tls_optional: false,
            is_ascii: true,
            is_examined,
            examination: None,
            signing: None,
            held: held.map(Box::new),
        }
    }

    /// Takes a piece. After an error the letter is lost.
    pub(crate) async fn take(&mut self, visit: &Visit<'_>, piece: Bytes) -> Result<(), Verdict> {
        self.is_ascii = self.is_ascii && piece.is_ascii();
        let Some(mut header) = self.header.take() else { return self.body(piece).await };
        // The empty line may have begun in an earlier piece; what lies before cannot hold it.
        let from = header.len().saturating_sub(3);
        header.extend_from_slice(&piece);
        let end = if from == 0 { end_of_header(&header) } else { empty_line(&header, from) };
        let fields = end.map_or(header.len(), |(fields, _)| fields);
        let fresh = header.get(header.len() - piece.len()..fields).unwrap_or_default();
        self.header_lines += memchr::memchr_iter(b'\n', fresh).count();
        if fields > HEADER_BYTES_MAX {
            return Err(header::too_long());
        }
        if self.header_lines > HEADER_LINES_MAX {
            return Err(header::too_many_lines());
        }
        let Some((fields, whole)) = end else {
            self.header = Some(header);
            return Ok(());
        };
        let body = header.split_off(whole).freeze();
        self.begin(visit, &header, fields).await?;
        self.body(body).await
    }

    /// The letter has no more pieces.
    pub(crate) async fn end(&mut self, visit: &Visit<'_>) -> Result<(), Verdict> {
        match self.header.take() {
            // RFC 5322 §3.5: the empty line belongs to the body, and there is none.
            Some(header) => self.begin(visit, &header, header.len()).await,
            None => Ok(()),
        }
    }

    /// The filters have their say about a letter that was held for them; then it goes on as if it had come as they left it.
    pub(crate) async fn filter(
        &mut self,
        visit: &Visit<'_>,
        milters: &mut Milters,
        findings: &[Finding],
    ) -> Result<Seen, Verdict> {
        let Some(mut held) = self.held.take() else { return Ok(Seen::default()) };
        let id = self.draft.id().to_string();
        let reverse = milters.reverse(&visit.context.resolver, visit.peer).await;
        let begun = visit.begun.as_ref();
        let about = About {
            id: &id,
            hostname: visit.context.hostname.as_str(),
            kind: visit.kind,
            peer: visit.peer,
            name: reverse.name.as_deref(),
            helo: visit.hello.as_ref().map_or("", |hello| hello.name.as_str()),
            tls: visit.tls.as_deref(),
            account: visit.account.as_ref().map(|account| account.address.to_string()),
            sender: begun.map(|begun| begun.sender.path.to_string()).unwrap_or_default(),
            recipients: begun.iter().flat_map(|begun| &begun.named).map(ToString::to_string).collect(),
            findings,
        };
        let seen = milters.letter(&visit.context.filters, &about, &mut held).await?;
        // Who sent it was looked at as it came.
        self.is_examined = false;
        if seen.discarded.is_some() {
            return Ok(seen);
        }
        let header = [held.header.as_slice(), &held.gap].concat();
        self.is_ascii = header.is_ascii();
        self.begin(visit, &header, held.header.len()).await?;
        let mut at = 0;
        loop {
            let piece = held.piece(at).await.map_err(|error| check::no_scratch(&error))?;
            if piece.is_empty() {
                return Ok(seen);
            }
            at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            self.is_ascii = self.is_ascii && piece.is_ascii();
            self.body(piece).await?;
        }
    }

    /// The id that it has, or would have.
    pub(crate) fn id(&self) -> LetterId {
        self.draft.id()
    }

    /// What came over the wire, to be verified; once. Whatever follows is not looked at.
    pub(crate) fn examination(&mut self) -> Option<Box<Examination>> {
        self.examination.take()
    }

    pub(crate) fn into_parts(self) -> Parts {
        let Self { draft, message_id, is_tls_optional, is_ascii, signing, .. } = self;
        Parts { draft, message_id, is_ascii, is_tls_optional, signing }
    }

    /// Checks the header, the first `fields` octets of `bytes`, and writes it with what is added.
    async fn begin(&mut self, visit: &Visit<'_>, bytes: &[u8], fields: usize) -> Result<(), Verdict> {
        if let Some(held) = &mut self.held {
            let (header, gap) = bytes.split_at_checked(fields).unwrap_or((bytes, &[]));
            (held.header, held.gap) = (header.to_vec(), gap.to_vec());
            if self.is_examined {
                self.examination = Some(header::examine(visit, bytes, fields)?);
            }
            return Ok(());
        }
        let prepared = header::prepare(visit, self.draft.id(), bytes, fields, self.is_examined).await?;
        self.message_id = prepared.message_id;
        self.is_tls_optional = prepared.is_tls_optional;
        (self.examination, self.signing) = (prepared.examination, prepared.signing);
        self.write(prepared.bytes.into()).await
    }

    /// Takes octets of the body.
    async fn body(&mut self, octets: Bytes) -> Result<(), Verdict> {
        if let Some(examination) = &mut self.examination {
            examination.body(&octets);
        }
        if let Some(held) = &mut self.held {
            return held.body.push(&octets).await.map_err(|error| check::no_scratch(&error));
        }
        if let Some(signing) = &mut self.signing {
            signing.body(&octets);
        }
        self.write(octets).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Verdict> {
        self.draft.write(bytes).await.map_err(|error| check::no_queue(&error))
    }
}

/// As [`end_of_header`], behind the first line.
fn empty_line(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let at = from + memmem::find(bytes.get(from..)?, b"\r\n\r\n")?;
    Some((at + 2, at + 4))
}
