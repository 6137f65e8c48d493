//! Filters that are asked over HTTP: rspamd, and programs of one's own.
//!
//! They are asked when the letter has come, behind the milters and as these are: with a deadline, about what the one before has made of it, and with changes that are
//! bounded and cannot break a line or end a header. What they answer is read whole before anything is changed, so one that fails has changed nothing. The letter is sent
//! while it is read; it is never whole in memory.

mod hook;
mod rspamd;
mod settings;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_dns::Resolver;
use posthouse_http::header::{AUTHORIZATION, HeaderValue};
use posthouse_http::{Client, HttpError, Limits, Request};
use posthouse_journal::Finding;
use posthouse_mail::{Status, UnixMillis};
use posthouse_runtime::clock;
use posthouse_runtime::stream::{ByteSource, CHUNK_BYTES_MAX, NextChunk};
use posthouse_runtime::tls::TlsError;
use posthouse_smtp::server::{Reason, Verdict};
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::letter::{Held, Lost, Seen, Texts, rewrite};
use super::{Health, Milters, failed, put_off};
use crate::context::ListenerKind;
use crate::note;

pub use settings::{FilterForm, HttpFilterSettings, Send};

/// What is read of an answer.
const LIMITS: Limits = Limits { body_bytes_max: 1 << 20 };
/// The fields that one filter may add to a letter, and those that it may remove.
const FIELDS_MAX: usize = 100;
/// The octets of the value of one.
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// The octets of its name.
const NAME_BYTES_MAX: usize = 100;
/// The characters of a reason or a reply.
const TEXT_MAX: usize = 400;

/// Those who ask the filters of the settings: one for each, in their order.
#[derive(Clone, Default)]
pub struct HttpFilters {
    clients: Arc<Vec<Client>>,
    health: Health,
}

impl HttpFilters {
    /// Which filters answer, milters too.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Makes them for these settings.
    ///
    /// # Errors
    /// The authorities of one cannot be read.
    pub fn new(settings: &[HttpFilterSettings], resolver: &Resolver) -> Result<Self, TlsError> {
        // The operator named the filter, wherever it is.
        let client = |filter: &HttpFilterSettings| {
            Client::for_operator(Arc::clone(resolver), filter.ca.as_deref(), filter.timeout.duration())
        };
        settings
            .iter()
            .map(client)
            .collect::<Result<Vec<_>, _>>()
            .map(|clients| Self { clients: Arc::new(clients), health: Health::default() })
    }
}

/// What filters are told besides the letter.
pub(crate) struct About<'a> {
    /// The letter's id here.
    pub(crate) id: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) kind: ListenerKind,
    pub(crate) peer: IpAddr,
    /// The peer's name, if it leads back to its address.
    pub(crate) name: Option<&'a str>,
    pub(crate) helo: &'a str,
    pub(crate) tls: Option<&'a str>,
    pub(crate) account: Option<String>,
    /// Empty for the empty reverse-path.
    pub(crate) sender: String,
    pub(crate) recipients: Vec<String>,
    /// What was found of who sent it.
    pub(crate) findings: &'a [Finding],
}

/// Why a filter has no say.
#[derive(Debug, Error)]
enum FilterError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("it answers {0}")]
    Status(u16),
    #[error("its answer cannot be understood: {0}")]
    Answer(String),
}

/// What a filter wants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Judgement {
    act: Act,
    /// In its words, for the timeline and the reason of a quarantine.
    why: String,
    /// Fields to be added at the end of the header, with their values.
    add: Vec<(String, String)>,
    /// Names of fields, all of which go.
    remove: Vec<String>,
    /// A subject in place of that of the letter.
    subject: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Act {
    #[default]
    Accept,
    /// With the words for the peer.
    Reject(Option<String>),
    Defer(Option<String>),
    Quarantine,
    Discard,
}

/// Asks one of them, and does what it wants. `Err`: the letter is refused or put off.
pub(super) async fn judge(
    settings: &HttpFilterSettings,
    (client, health): (&Client, &Health),
    about: &About<'_>,
    held: &mut Held,
    seen: &mut Seen,
) -> Result<(), Verdict> {
    let asked = match settings.form {
        FilterForm::Rspamd => rspamd::ask(settings, client, about, held).await,
        FilterForm::Hook => hook::ask(settings, client, about, held).await,
    };
    let judgement = match asked.and_then(Judgement::checked) {
        Ok(judgement) => {
            health.answered(&settings.name);
            judgement
        }
        Err(error) => return failed(health, (&settings.name, &settings.url), settings.on_failure, &error),
    };
    let refused =
        |class: &str| tracing::info!(filter = settings.name, id = about.id, why = judgement.why, "a filter {class} a letter");
    let words =
        |words: &Option<String>, usual: &'static str| words.as_ref().map_or_else(|| usual.to_owned(), |words| plain(words));
    match &judgement.act {
        Act::Accept => {}
        Act::Reject(text) => {
            refused("refuses");
            let text = words(text, "the letter is not wanted here");
            return Err(Verdict::Reject(Reason::new(554, Status::permanent(7, 1), text)));
        }
        Act::Defer(text) => {
            refused("puts off");
            let text = words(text, "the letter is not taken yet, try again later");
            return Err(Verdict::Defer(Reason::new(451, Status::temporary(7, 1), text)));
        }
        Act::Quarantine => seen.quarantine = Some((settings.name.clone(), judgement.why.clone())),
        Act::Discard => seen.discarded = Some(settings.name.clone()),
    }
    let told = judgement.make(held).await.map_err(|lost| {
        tracing::error!(filter = settings.name, %lost, "what a filter wants cannot be done to a letter");
        put_off()
    })?;
    seen.changed.push((settings.name.clone(), told));
    Ok(())
}

impl Judgement {
    /// The same, if it keeps within the limits.
    fn checked(self) -> Result<Self, FilterError> {
        let names = self.add.iter().map(|(name, _)| name).chain(&self.remove);
        if self.add.len() > FIELDS_MAX || self.remove.len() > FIELDS_MAX {
            return Err(FilterError::Answer(format!("it has more than {FIELDS_MAX} fields")));
        }
        for name in names {
            // RFC 5322 §3.6.8: `ftext`.
            let is_name = name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
            if name.is_empty() || name.len() > NAME_BYTES_MAX || !is_name {
                return Err(FilterError::Answer(format!("`{}` is no name of a field", plain(name))));
            }
        }
        if self.add.iter().map(|(_, value)| value).chain(&self.subject).any(|value| value.len() > VALUE_BYTES_MAX) {
            return Err(FilterError::Answer(format!("a value has more than {VALUE_BYTES_MAX} octets")));
        }
        Ok(self)
    }

    /// Makes the changes: what was done, in words.
    async fn make(&self, held: &mut Held) -> Result<Vec<String>, Lost> {
        let mut told: Vec<String> = (!self.why.is_empty()).then(|| self.why.clone()).into_iter().collect();
        match self.act {
            Act::Quarantine => told.push("wants it in quarantine".to_owned()),
            Act::Discard => told.push("throws it away".to_owned()),
            Act::Accept | Act::Reject(_) | Act::Defer(_) => {}
        }
        if self.add.is_empty() && self.remove.is_empty() && self.subject.is_none() {
            return Ok(told);
        }
        let Texts { mut fields, in_front } = Texts::of(held);
        for name in &self.remove {
            if fields.remove(name.as_bytes()) {
                told.push(format!("removed {name}"));
            }
        }
        if let Some(subject) = &self.subject {
            fields.change(1, b"Subject", subject.as_bytes());
            told.push("changed Subject".to_owned());
        }
        for (name, value) in &self.add {
            fields.add(name.as_bytes(), value.as_bytes());
            told.push(format!("added {name}"));
        }
        rewrite(held, fields, &in_front, false).await?;
        Ok(told)
    }
}

impl Milters {
    /// The places of the filters over HTTP that see letters of this listener.
    pub(super) fn places_over_http(settings: &[HttpFilterSettings], kind: ListenerKind) -> Vec<usize> {
        let mine = settings.iter().enumerate().filter(|(_, filter)| filter.listeners.contains(&kind));
        mine.map(|(place, _)| place).collect()
    }

    /// The letter has come and the milters have had their say.
    pub(super) async fn ask_over_http(
        &self,
        filters: &HttpFilters,
        about: &About<'_>,
        held: &mut Held,
        seen: &mut Seen,
    ) -> Result<(), Verdict> {
        for place in &self.over_http {
            let (Some(settings), Some(client)) = (self.settings.http_filter.get(*place), filters.clients.get(*place)) else {
                continue;
            };
            if seen.discarded.is_none() {
                let began = UnixMillis(clock::unix_millis());
                judge(settings, (client, &self.health), about, held, seen).await?;
                seen.asked.push((settings.name.clone(), note::since(began)));
            }
        }
        Ok(())
    }
}

/// Sends it, and reads the JSON of the answer.
async fn post<T: DeserializeOwned>(
    settings: &HttpFilterSettings,
    client: &Client,
    fields: Vec<(&'static str, String)>,
    body: &mut dyn ByteSource,
) -> Result<T, FilterError> {
    let mut request = Request::post(settings.url.as_str());
    for (name, value) in fields {
        // What a peer said is no value when it breaks a line; the filter goes without it.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            request = request.header(name, value);
        }
    }
    if let Some(mut value) = settings.authorization.as_ref().and_then(|value| HeaderValue::from_str(value.expose()).ok()) {
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request.body(()).map_err(|error| FilterError::Answer(error.to_string()))?;
    let response = client.send_from(request, body, LIMITS).await?;
    if !response.status().is_success() {
        return Err(FilterError::Status(response.status().as_u16()));
    }
    serde_json::from_slice(&response.into_body()).map_err(|error| FilterError::Answer(error.to_string()))
}

/// What is sent: some octets, pieces of the letter, some octets.
struct Mixed<'a> {
    held: &'a Held,
    len: u64,
    steps: VecDeque<Step>,
    /// How the letter is written.
    write: Write,
}

#[derive(Clone, Copy)]
enum Write {
    Plain,
    Base64,
}

/// So many octets are a whole number of base64's groups, and fit into a chunk when they are written so.
const GROUPED_BYTES: usize = CHUNK_BYTES_MAX / 4 * 3;

enum Step {
    /// Octets as they are.
    Given(Bytes),
    /// The header of the letter with its empty line, and its body from an octet on.
    Header,
    Body(u64),
}

impl ByteSource for Mixed<'_> {
    fn len(&self) -> u64 {
        self.len
    }

    fn next(&mut self) -> NextChunk<'_> {
        Box::pin(async move {
            loop {
                match self.steps.pop_front() {
                    None => return Ok(None),
                    Some(Step::Given(octets)) if octets.is_empty() => {}
                    Some(Step::Given(octets)) => return Ok(Some(octets)),
                    Some(Step::Header) => self.steps.push_front(Step::Given(self.write.octets(&self.held.head()))),
                    Some(Step::Body(at)) => {
                        let piece = grouped(self.held, at).await?;
                        if !piece.is_empty() {
                            self.steps.push_front(Step::Body(at.saturating_add(length(&piece))));
                            self.steps.push_front(Step::Given(self.write.octets(&piece)));
                        }
                    }
                }
            }
        })
    }
}

/// [`GROUPED_BYTES`] of the body, less at its end alone.
async fn grouped(held: &Held, at: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::with_capacity(GROUPED_BYTES);
    while octets.len() < GROUPED_BYTES {
        let piece = held.body.read_at(at.saturating_add(length(&octets)), GROUPED_BYTES - octets.len()).await?;
        if piece.is_empty() {
            break;
        }
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}

impl Write {
    fn octets(self, octets: &[u8]) -> Bytes {
        match self {
            Self::Plain => Bytes::copy_from_slice(octets),
            Self::Base64 => hook::base64(octets),
        }
    }
}

fn length(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX)
}

/// One line without controls, no longer than is of use.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect()
}
