//! Looking into a queue: list, summary, one letter.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthouse_journal::{Query, Reader};
use posthouse_mail::header::end_of_header;
use posthouse_mail::{LetterId, UnixMillis};
use posthouse_queue::{Inspection, Queue, Queued, RecipientState};
use posthouse_runtime::{clock, task};

use super::filter::{Filter, Sieve};
use super::results::{QueuedInfo, QueuedLetter, RecipientInfo, Summary};
use super::summary::{self, Tally};
use super::why;
use crate::error::AdminError;
use crate::results::TraceEntry;

/// Letters that are read in one go, so that neither a thread nor the memory is held for long.
const BATCH: usize = 256;
/// With more letters than this the summary does not read them for their last answers.
const READ_MAX: usize = 10_000;
/// What is shown of a header.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// A queue to look into.
#[derive(Debug, Clone)]
pub enum View {
    /// That of a running server.
    Live(Queue),
    /// What a stopped server left in a directory, as it was when it was read.
    Still(Arc<Inspection>, PathBuf),
}

/// The letters that a filter means, oldest first, a batch at a time.
#[derive(Debug)]
pub struct Listing {
    view: View,
    sieve: Sieve,
    ids: std::vec::IntoIter<LetterId>,
}

impl View {
    /// Reads the spool in the data directory of a server that does not run.
    ///
    /// # Errors
    /// [`AdminError::Queue`].
    pub async fn open(data: &Path) -> Result<Self, AdminError> {
        let dir = data.join("queue");
        if !dir.is_dir() {
            return Ok(Self::Still(Arc::default(), dir));
        }
        let place = dir.clone();
        let inspection = task::blocking(move || Queue::open_read_only(&place)).await?;
        Ok(Self::Still(Arc::new(inspection), dir))
    }

    /// The letters that a filter means.
    ///
    /// # Errors
    /// [`AdminError::Invalid`]: an id that is none. Whether one is queued shows in the listing.
    pub fn list(&self, filter: &Filter) -> Result<Listing, AdminError> {
        let sieve = filter.sieve()?;
        let ids = match (sieve.ids(), self) {
            (Some(ids), _) => ids.to_vec(),
            (None, Self::Live(queue)) => queue.ids(),
            (None, Self::Still(inspection, _)) => inspection.letters.iter().map(|queued| queued.id).collect(),
        };
        Ok(Listing { view: self.clone(), sieve, ids: ids.into_iter() })
    }

    /// The queue by destination.
    ///
    /// # Errors
    /// [`AdminError::Queue`].
    pub async fn summary(&self) -> Result<Summary, AdminError> {
        match self {
            Self::Live(queue) => {
                let mut summary = summary::live(queue, now());
                if summary.letters <= READ_MAX {
                    self.add_reasons(&mut summary).await?;
                }
                Ok(summary)
            }
            Self::Still(inspection, _) => {
                let mut tally = Tally::new(inspection);
                inspection.letters.iter().for_each(|queued| tally.add(queued));
                Ok(tally.finish(now()))
            }
        }
    }

    /// What the letters know and the queue's index does not: the last answer at each destination.
    async fn add_reasons(&self, summary: &mut Summary) -> Result<(), AdminError> {
        let mut listing = self.list(&Filter::default())?;
        let mut answers = HashMap::new();
        loop {
            let batch = listing.batch().await?;
            if batch.is_empty() {
                break;
            }
            for recipient in batch.into_iter().flat_map(|(queued, _)| queued.recipients).filter(RecipientState::is_pending) {
                if let Some(last) = recipient.last {
                    answers.insert(recipient.recipient.address.domain().to_string(), last.to_string());
                }
            }
        }
        for place in summary.destinations.iter_mut().filter(|place| place.reason.is_none()) {
            // `example.net by NAME` for what leaves by addresses of its own.
            let domains = place.domains.iter().filter_map(|domain| domain.split(' ').next());
            place.reason = domains.filter_map(|domain| answers.get(domain)).next().cloned();
        }
        Ok(())
    }

    /// Why the queue lets nothing of a letter go now, if that is so.
    fn blocked(&self, queued: &Queued) -> Option<String> {
        let blocked: Vec<_> = match self {
            Self::Live(queue) => queue.line(queued.id)?.parts.into_iter().map(|part| part.blocked).collect(),
            Self::Still(inspection, _) => {
                let waiting = queued.recipients.iter().filter(|recipient| recipient.is_pending());
                waiting.map(|recipient| inspection.blocked(&summary::destination(queued, recipient))).collect()
            }
        };
        if blocked.iter().any(Option::is_none) {
            None
        } else {
            blocked.into_iter().flatten().next().map(|reply| reply.to_string())
        }
    }

    /// One letter with all that is known of it.
    ///
    /// # Errors
    /// [`AdminError::NotQueued`], [`AdminError::Queue`]; the journal's.
    pub async fn show(&self, id: &str, journal: &Reader) -> Result<QueuedLetter, AdminError> {
        let filter = Filter { ids: vec![id.to_owned()], ..Filter::default() };
        let Some((queued, info)) = self.list(&filter)?.batch().await?.pop() else {
            return Err(AdminError::NotQueued(id.to_owned()));
        };
        let timeline = journal.query(Query::Letter(queued.id)).await?.into_iter().map(TraceEntry::from).collect();
        let origin = &queued.letter.origin;
        Ok(QueuedLetter {
            why: why::sentence(&queued, info.state, self.blocked(&queued).as_deref(), now()),
            info,
            listener: origin.listener.clone(),
            peer: origin.peer.map(|peer| peer.to_string()),
            helo: origin.helo.clone(),
            account: origin.account.clone(),
            envid: queued.letter.envelope.envid.clone(),
            recipients: queued.recipients.iter().map(RecipientInfo::of).collect(),
            header: self.header(queued.id).await?,
            timeline,
        })
    }

    async fn header(&self, id: LetterId) -> Result<Vec<String>, AdminError> {
        let begin = match self {
            Self::Live(queue) => queue.peek(id, HEADER_BYTES_MAX).await?,
            Self::Still(_, dir) => {
                let dir = dir.clone();
                task::blocking(move || Queue::peek_read_only(&dir, id, HEADER_BYTES_MAX)).await?
            }
        };
        let end = end_of_header(&begin).map_or(begin.len(), |(fields, _)| fields).min(HEADER_BYTES_MAX);
        let header = String::from_utf8_lossy(begin.get(..end).unwrap_or_default());
        Ok(header.lines().map(str::to_owned).collect())
    }

    fn read(&self, id: LetterId) -> Result<Option<Queued>, AdminError> {
        match self {
            Self::Live(queue) => Ok(queue.get(id)?),
            Self::Still(inspection, _) => Ok(inspection.letters.iter().find(|queued| queued.id == id).cloned()),
        }
    }
}

impl Listing {
    /// The next letters; none at the end. One that has left the queue meanwhile is passed over.
    ///
    /// # Errors
    /// [`AdminError::Queue`]: a letter is damaged.
    pub async fn next(&mut self) -> Result<Vec<QueuedInfo>, AdminError> {
        Ok(self.batch().await?.into_iter().map(|(_, info)| info).collect())
    }

    pub(crate) async fn batch(&mut self) -> Result<Vec<(Queued, QueuedInfo)>, AdminError> {
        loop {
            let now = now();
            let ids: Vec<_> = self.ids.by_ref().filter(|id| self.sieve.may_pass(*id, now)).take(BATCH).collect();
            if ids.is_empty() {
                return Ok(Vec::new());
            }
            let (view, sieve) = (self.view.clone(), self.sieve.clone());
            let batch = task::blocking(move || read(&view, &sieve, &ids, now)).await?;
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }
}

fn read(view: &View, sieve: &Sieve, ids: &[LetterId], now: UnixMillis) -> Result<Vec<(Queued, QueuedInfo)>, AdminError> {
    let mut batch = Vec::new();
    for id in ids {
        let Some(queued) = view.read(*id)? else { continue };
        let info = QueuedInfo::of(&queued, now);
        if sieve.passes(&queued, &info) {
            batch.push((queued, info));
        }
    }
    Ok(batch)
}

pub(crate) fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

#[cfg(test)]
mod tests;
