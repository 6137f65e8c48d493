//! A letter that waits for its milters, and what they make of it.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use posthouse_journal::Span;
use posthouse_mail::UnixMillis;
use posthouse_mail::header::Header;
use posthouse_runtime::clock;
use posthouse_runtime::spill::Spill;
use posthouse_smtp::server::Verdict;
use thiserror::Error;

use super::change::{Fields, crlf};
use super::http::{About, HttpFilters};
use super::link::{Link, LinkError};
use super::packet::{
    Answer, BODY_BYTES, Change, NO_BODY, NO_DATA, NO_EOH, NO_HEADERS, SILENT_BODY, SILENT_DATA, SILENT_EOH, SILENT_HEADERS,
    packet, texts,
};
use super::settings::MilterSettings;
use super::{Milters, State, failed, macros, put_off};
use crate::note;

/// The changes that one milter may make in one letter.
const CHANGES_MAX: usize = 10_000;
/// The octets of a header with what milters add.
const HEADER_BYTES_MAX: usize = 2 << 20;
/// What is read of a body at a time.
const READ_BYTES: usize = 64 << 10;

/// What may be changed, as a milter must have said beforehand (`SMFIF_*`).
const ADD_HEADERS: u32 = 0x1;
const CHANGE_BODY: u32 = 0x2;
const ADD_RECIPIENT: u32 = 0x4;
const REMOVE_RECIPIENT: u32 = 0x8;
const CHANGE_HEADERS: u32 = 0x10;
const QUARANTINE: u32 = 0x20;
const CHANGE_FROM: u32 = 0x40;
const ADD_RECIPIENT_ARGUMENTS: u32 = 0x80;

/// A letter that has come and is not stored yet: its header in memory, its body on the disk if it is large.
pub(crate) struct Held {
    /// The fields.
    pub(crate) header: Vec<u8>,
    /// The empty line, if there is one.
    pub(crate) gap: Vec<u8>,
    pub(crate) body: Spill,
    folder: PathBuf,
    bytes_max: u64,
}

/// What the milters said of a letter.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Each filter that was asked about the letter, and from when to when.
    pub(crate) asked: Vec<(String, Span)>,
    /// Each milter that changed it, and how.
    pub(crate) changed: Vec<(String, Vec<String>)>,
    pub(crate) sender: Option<String>,
    /// To be added, or with `false` taken away; in the order in which it was said.
    pub(crate) recipients: Vec<(String, bool)>,
    /// Who wants it out of sight, and why.
    pub(crate) quarantine: Option<(String, String)>,
    /// Who throws it away.
    pub(crate) discarded: Option<String>,
}

/// The answer of one milter.
enum Said {
    Content,
    Discard,
    Refused(Verdict),
}

/// What the letter was lost by.
#[derive(Debug, Error)]
pub(super) enum Lost {
    /// The milter, before it changed anything.
    #[error(transparent)]
    Before(LinkError),
    /// The milter, half-way through its changes.
    #[error(transparent)]
    Midway(LinkError),
    /// Our disk.
    #[error(transparent)]
    Ours(io::Error),
}

impl Held {
    pub(crate) fn new(folder: PathBuf, bytes_max: u64) -> Self {
        Self { header: Vec::new(), gap: Vec::new(), body: Spill::new(folder.clone()), folder, bytes_max }
    }

    /// The header with its empty line.
    pub(super) fn head(&self) -> Vec<u8> {
        [self.header.as_slice(), &self.gap].concat()
    }

    /// The subject, if there is one.
    pub(super) fn subject(&self) -> String {
        let value = Header::parse(&self.header).ok().and_then(|header| Some(header.first("Subject")?.value()));
        value.map(|value| value.trim().to_owned()).unwrap_or_default()
    }

    /// The next piece of the body from an octet on; empty at its end.
    pub(crate) async fn piece(&self, at: u64) -> io::Result<Bytes> {
        self.body.read_at(at, READ_BYTES).await
    }
}

impl Milters {
    /// The letter has come. With a refusal, and with a fault of ours, it is not to be used any more.
    pub(crate) async fn letter(&mut self, filters: &HttpFilters, about: &About<'_>, held: &mut Held) -> Result<Seen, Verdict> {
        let mut seen = Seen::default();
        for milter in &mut self.all {
            let Some(settings) = self.settings.milter.get(milter.place) else { continue };
            match std::mem::replace(&mut milter.state, State::Idle) {
                State::Discarding(link) => {
                    seen.discarded = Some(settings.name.clone());
                    milter.state = State::Open { link, begun: true };
                }
                State::Open { mut link, .. } => {
                    let (began, deadline) = (UnixMillis(clock::unix_millis()), clock::now() + settings.letter_timeout.duration());
                    let said = judge(&mut link, settings, about.id, held, &mut seen, deadline).await;
                    seen.asked.push((settings.name.clone(), note::since(began)));
                    match said {
                        Ok(Said::Content) => milter.state = State::Open { link, begun: false },
                        Ok(Said::Discard) => {
                            seen.discarded = Some(settings.name.clone());
                            milter.state = State::Open { link, begun: false };
                        }
                        Ok(Said::Refused(verdict)) => {
                            milter.state = State::Open { link, begun: true };
                            return Err(verdict);
                        }
                        Err(Lost::Before(error)) => {
                            failed(&self.health, (&settings.name, &settings.address), settings.on_failure, &error)?
                        }
                        Err(Lost::Midway(error)) => {
                            tracing::warn!(filter = settings.name, %error, "a filter fails while it changes a letter, which is put off");
                            self.health.failed(&settings.name, &error.to_string());
                            return Err(put_off());
                        }
                        Err(Lost::Ours(error)) => {
                            tracing::error!(%error, "a letter cannot be kept for its filters");
                            return Err(put_off());
                        }
                    }
                }
                state @ (State::Idle | State::Content(_) | State::Gone | State::Refusing(_)) => milter.state = state,
            }
            if seen.discarded.is_some() {
                break;
            }
        }
        self.ask_over_http(filters, about, held, &mut seen).await?;
        Ok(seen)
    }
}

async fn judge(
    link: &mut Link,
    settings: &MilterSettings,
    id: &str,
    held: &mut Held,
    seen: &mut Seen,
    deadline: Instant,
) -> Result<Said, Lost> {
    let Texts { mut fields, in_front } = Texts::of(held);
    let heard = clock::timeout_at(deadline, tell(link, id, &fields, &in_front, held)).await;
    match heard.map_err(|elapsed| Lost::Before(elapsed.into()))?? {
        Answer::Continue | Answer::Skip => {}
        Answer::Accept => return Ok(Said::Content),
        Answer::Discard => return Ok(Said::Discard),
        Answer::Refuse(verdict) => return Ok(Said::Refused(verdict)),
        Answer::Options { .. } | Answer::Progress | Answer::Change(_) => return Err(Lost::Before(LinkError::OutOfOrder)),
    }
    let mut packets = macros(b'E', &[("i", id)]);
    packets.extend(packet(b'E', &[]));
    link.send(&packets).await.map_err(Lost::Before)?;
    let mut changes = Changes { told: Vec::new(), headers: false, body: None, last: 0 };
    loop {
        let answer = link.answer(deadline).await.map_err(|error| changes.lost(error))?;
        match answer {
            Answer::Continue | Answer::Accept => break,
            Answer::Discard => return Ok(Said::Discard),
            Answer::Refuse(verdict) => return Ok(Said::Refused(verdict)),
            Answer::Change(change) => changes.make(link, settings, change, &mut fields, held, seen).await?,
            Answer::Options { .. } | Answer::Skip | Answer::Progress => return Err(changes.lost(LinkError::OutOfOrder)),
        }
    }
    if changes.headers || (changes.body.is_some() && !in_front.is_empty()) {
        rewrite(held, fields, &in_front, changes.body.is_some()).await?;
    }
    if let Some(body) = changes.body {
        held.body = body;
    }
    if !changes.told.is_empty() {
        seen.changed.push((settings.name.clone(), changes.told));
    }
    Ok(Said::Content)
}

/// A letter as filters see it.
pub(super) struct Texts {
    pub(super) fields: Fields,
    /// A header that is none has no fields; all of it is body, as it will be stored.
    pub(super) in_front: Vec<u8>,
}

impl Texts {
    pub(super) fn of(held: &Held) -> Self {
        match Header::parse(&held.header) {
            Ok(header) => Self { fields: Fields::of(&header), in_front: Vec::new() },
            Err(_) => Self { fields: Fields::default(), in_front: held.head() },
        }
    }
}

/// Gives the letter the header that filters made; `replaced`: its body is given by a filter too.
pub(super) async fn rewrite(held: &mut Held, fields: Fields, in_front: &[u8], replaced: bool) -> Result<(), Lost> {
    held.header = fields.into_bytes();
    if held.gap.is_empty() || !in_front.is_empty() {
        held.gap = b"\r\n".to_vec();
    }
    if !in_front.is_empty() && !replaced {
        // What had no header has one now, and what was there is its body.
        let mut body = Spill::new(held.folder.clone());
        body.push(in_front).await.map_err(Lost::Ours)?;
        copy(held, &mut body).await.map_err(Lost::Ours)?;
        held.body = body;
    }
    if held.header.len() > HEADER_BYTES_MAX {
        return Err(Lost::Midway(LinkError::OutOfOrder));
    }
    Ok(())
}

async fn copy(held: &Held, to: &mut Spill) -> io::Result<()> {
    let mut at = 0;
    loop {
        let piece = held.piece(at).await?;
        if piece.is_empty() {
            return Ok(());
        }
        at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        to.push(&piece).await?;
    }
}

/// Tells of the header and the body, until the milter has heard enough.
async fn tell(link: &mut Link, id: &str, fields: &Fields, in_front: &[u8], held: &Held) -> Result<Answer, Lost> {
    if !link.has(NO_DATA) {
        let mut packets = macros(b'T', &[("i", id)]);
        packets.extend(packet(b'T', &[]));
        let answer = link.ask(&packets, SILENT_DATA).await.map_err(Lost::Before)?;
        if answer != Answer::Continue {
            return Ok(answer);
        }
    }
    if !link.has(NO_HEADERS) {
        let mut packets = Vec::new();
        for (name, value) in fields.shown() {
            packets.extend(packet(b'L', &[&texts([name, &value])]));
            // Those that answer each field are asked for each; the others get many at once.
            if !link.has(SILENT_HEADERS) || packets.len() > READ_BYTES {
                let answer = link.ask(&std::mem::take(&mut packets), SILENT_HEADERS).await.map_err(Lost::Before)?;
                if answer != Answer::Continue {
                    return Ok(answer);
                }
            }
        }
        link.send(&packets).await.map_err(Lost::Before)?;
    }
    if !link.has(NO_EOH) {
        let answer = link.ask(&packet(b'N', &[]), SILENT_EOH).await.map_err(Lost::Before)?;
        if answer != Answer::Continue {
            return Ok(answer);
        }
    }
    if link.has(NO_BODY) {
        return Ok(Answer::Continue);
    }
    for piece in in_front.chunks(BODY_BYTES) {
        let answer = link.ask(&packet(b'B', &[piece]), SILENT_BODY).await.map_err(Lost::Before)?;
        if answer != Answer::Continue {
            return Ok(answer);
        }
    }
    let mut at = 0;
    loop {
        let piece = held.body.read_at(at, BODY_BYTES).await.map_err(Lost::Ours)?;
        if piece.is_empty() {
            return Ok(Answer::Continue);
        }
        at += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let answer = link.ask(&packet(b'B', &[&piece]), SILENT_BODY).await.map_err(Lost::Before)?;
        if answer != Answer::Continue {
            return Ok(answer);
        }
    }
}

/// What one milter has changed so far.
struct Changes {
    told: Vec<String>,
    headers: bool,
    body: Option<Spill>,
    /// The last octet of the new body.
    last: u8,
}

impl Changes {
    /// After the first change there is no way back.
    fn lost(&self, error: LinkError) -> Lost {
        if self.told.is_empty() { Lost::Before(error) } else { Lost::Midway(error) }
    }

    async fn make(
        &mut self,
        link: &Link,
        settings: &MilterSettings,
        change: Change,
        fields: &mut Fields,
        held: &Held,
        seen: &mut Seen,
    ) -> Result<(), Lost> {
        let needs = match &change {
            Change::AddHeader { .. } | Change::InsertHeader { .. } => ADD_HEADERS | CHANGE_HEADERS,
            Change::SetHeader { .. } => CHANGE_HEADERS,
            Change::Body(_) => CHANGE_BODY,
            Change::From(_) => CHANGE_FROM,
            Change::AddRecipient(_) => ADD_RECIPIENT | ADD_RECIPIENT_ARGUMENTS,
            Change::RemoveRecipient(_) => REMOVE_RECIPIENT,
            Change::Quarantine(_) => QUARANTINE,
        };
        if !link.may(needs) || self.told.len() >= CHANGES_MAX {
            return Err(Lost::Midway(LinkError::OutOfOrder));
        }
        let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        match change {
            Change::AddHeader { name, value } => {
                fields.add(&name, &value);
                self.header(format!("added {}", shown(&name)));
            }
            Change::InsertHeader { place, name, value } => {
                fields.insert(usize::try_from(place).unwrap_or(usize::MAX), &name, &value);
                self.header(format!("added {}", shown(&name)));
            }
            Change::SetHeader { nth, name, value } => {
                fields.change(usize::try_from(nth).unwrap_or(usize::MAX), &name, &value);
                self.header(format!("{} {}", if value.is_empty() { "removed" } else { "changed" }, shown(&name)));
            }
            Change::Body(piece) => {
                if self.body.is_none() {
                    self.told.push("replaced the body".to_owned());
                }
                let body = self.body.get_or_insert_with(|| Spill::new(held.folder.clone()));
                body.push(&crlf(&piece, &mut self.last)).await.map_err(Lost::Ours)?;
                if body.len() > held.bytes_max {
                    return Err(Lost::Midway(LinkError::OutOfOrder));
                }
            }
            Change::From(address) => {
                self.told.push(format!("changed the sender to {address}"));
                seen.sender = Some(address);
            }
            Change::AddRecipient(address) => {
                self.told.push(format!("added the recipient {address}"));
                seen.recipients.push((address, true));
            }
            Change::RemoveRecipient(address) => {
                self.told.push(format!("removed the recipient {address}"));
                seen.recipients.push((address, false));
            }
            Change::Quarantine(why) => {
                self.told.push(format!("wants it in quarantine: {why}"));
                seen.quarantine = Some((settings.name.clone(), why));
            }
        }
        Ok(())
    }

    fn header(&mut self, told: String) {
        self.headers = true;
        self.told.push(told);
    }
}
