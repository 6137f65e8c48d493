//! A program of one's own: the envelope, what was found of the sender, and the letter in JSON; a decision in JSON comes back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use posthouse_http::Client;
use posthouse_journal::Finding;
use serde::{Deserialize, Serialize};

use super::{About, Act, FilterError, HttpFilterSettings, Judgement, Mixed, Send, Step, Write, length, plain, post};
use crate::milter::letter::Held;

/// What is asked, but for the letter behind it. Fields may be added, their meaning never changes.
#[derive(Serialize)]
struct Question<'a> {
    v: u32,
    id: &'a str,
    host: &'a str,
    listener: String,
    peer: Peer<'a>,
    helo: &'a str,
    tls: Option<&'a str>,
    account: Option<&'a str>,
    from: &'a str,
    to: &'a [String],
    verdicts: &'a [Finding],
    size: u64,
}

#[derive(Serialize)]
struct Peer<'a> {
    address: String,
    name: Option<&'a str>,
}

/// What comes back.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Answer {
    action: Action,
    /// For the peer, when the letter is refused or put off.
    text: Option<String>,
    /// For the timeline.
    #[serde(default)]
    reason: String,
    #[serde(default)]
    add_headers: Vec<AddHeader>,
    #[serde(default)]
    remove_headers: Vec<String>,
}

#[derive(Deserialize)]
struct AddHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Accept,
    Reject,
    Defer,
    Quarantine,
    Discard,
}

pub(super) async fn ask(
    settings: &HttpFilterSettings,
    client: &Client,
    about: &About<'_>,
    held: &Held,
) -> Result<Judgement, FilterError> {
    let mut body = question(settings, about, held)?;
    let answer: Answer = post(settings, client, vec![("Content-Type", "application/json".to_owned())], &mut body).await?;
    let act = match answer.action {
        Action::Accept => Act::Accept,
        Action::Reject => Act::Reject(answer.text),
        Action::Defer => Act::Defer(answer.text),
        Action::Quarantine => Act::Quarantine,
        Action::Discard => Act::Discard,
    };
    let add = answer.add_headers.into_iter().map(|field| (field.name, field.value)).collect();
    Ok(Judgement { act, why: plain(&answer.reason), add, remove: answer.remove_headers, subject: None })
}

/// `{…,"header":"BASE64","body":"BASE64"}`: both together are the letter. What is not sent is not there.
fn question<'a>(settings: &HttpFilterSettings, about: &About<'_>, held: &'a Held) -> Result<Mixed<'a>, FilterError> {
    let head = held.head();
    let size = length(&head).saturating_add(held.body.len());
    let question = Question {
        v: 1,
        id: about.id,
        host: about.hostname,
        listener: about.kind.to_string(),
        peer: Peer { address: about.peer.to_string(), name: about.name },
        helo: about.helo,
        tls: about.tls,
        account: about.account.as_deref(),
        from: &about.sender,
        to: &about.recipients,
        verdicts: about.findings,
        size,
    };
    let mut text = serde_json::to_vec(&question).map_err(|error| FilterError::Answer(error.to_string()))?;
    // Its last brace comes at the end.
    text.pop();
    let (mut steps, mut len) = (vec![Step::Given(text.into())], 0);
    let given = |text: &'static str| Step::Given(Bytes::from_static(text.as_bytes()));
    if settings.send != Send::Envelope {
        steps.extend([given(",\"header\":\""), Step::Header, given("\"")]);
        len += encoded(length(&head));
    }
    if settings.send == Send::Whole && size <= settings.letter_max.bytes() {
        steps.extend([given(",\"body\":\""), Step::Body(0), given("\"")]);
        len += encoded(held.body.len());
    }
    steps.push(given("}"));
    let fixed: u64 = steps.iter().map(|step| if let Step::Given(octets) = step { length(octets) } else { 0 }).sum();
    Ok(Mixed { held, len: len + fixed, steps: steps.into(), write: Write::Base64 })
}

/// The octets of so many in base64.
fn encoded(octets: u64) -> u64 {
    octets.div_ceil(3).saturating_mul(4)
}

pub(super) fn base64(octets: &[u8]) -> Bytes {
    BASE64_STANDARD.encode(octets).into()
}
