//! Who really sent the letter? SPF is asked for while the letter comes, the rest when it has come; then one function decides.
//!
//! Only letters on `mx` listeners are looked at, and none of trusted or exempt networks. DNS trouble is never taken for a verdict: where the
//! decision hangs on it the letter is put off.

use std::time::Instant;

use posthouse_journal::{Event, Finding};
use posthouse_mail::{LetterId, Status, UnixMillis};
use posthouse_mailauth::dkim::{DkimResult, Keys};
use posthouse_mailauth::dmarc::{self, Came, Dmarc, DmarcResult, Evaluation, Failure, Policy};
use posthouse_mailauth::iprev::{self, Iprev};
use posthouse_mailauth::spf::{self, Question, Spf, SpfResult};
use posthouse_mailauth::{Examination, Looked, Verdicts, authentication_results};
use posthouse_runtime::clock;
use posthouse_runtime::sync::oneshot;
use posthouse_runtime::task::{self, Task};
use posthouse_smtp::server::{Reason, Verdict};

use super::reject;
use crate::context::ListenerKind;
use crate::senders::{SenderAction, SenderPolicy};
use crate::visit::{Hello, Visit};

/// The field that marks a letter as junk. Whoever else writes it, it is removed.
pub(crate) const QUARANTINE: &str = "X-Posthouse-Quarantine";

/// The characters of a stranger's record, or of what is said of it, that the journal keeps.
const TEXT_CHARS_MAX: usize = 500;

/// Questions about the sender, under way while the letter comes.
pub(crate) struct Asked {
    answer: oneshot::Receiver<(Spf, Iprev)>,
    task: Task,
}

/// Nobody waits for the answer any more.
impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What stands at the top of the letter, and what the journal is told.
pub(crate) struct Seen {
    pub(crate) fields: String,
    pub(crate) event: Event,
    /// Whether SPF or DKIM vouches for a domain of the letter's.
    pub(crate) is_vouched_for: bool,
    /// Whether one of them vouches for that of its author.
    pub(crate) is_author_known: bool,
}

/// Begins to ask, if letters of this peer are looked at.
pub(crate) fn begin(visit: &Visit<'_>) -> Option<Asked> {
    let settings = &visit.context.settings;
    if visit.kind != ListenerKind::Mx || settings.trusts(visit.peer) || !settings.senders.apply_to(visit.peer) {
        return None;
    }
    let (resolver, deadline) = (visit.context.resolver.clone(), clock::now() + settings.senders.timeout.duration());
    let (ip, helo, mail_from) = (visit.peer, helo(visit).to_owned(), mail_from(visit));
    let receiver = visit.context.hostname.to_string();
    let (sender, answer) = oneshot::channel();
    let task = task::spawn("sender", async move {
        let question = Question { ip, helo: &helo, mail_from: &mail_from, receiver: &receiver, now: seconds() };
        let spf = clock::timeout_at(deadline, spf::check(resolver.as_ref(), question)).await;
        let iprev = clock::timeout_at(deadline, iprev::check(resolver.as_ref(), ip)).await;
        let spf = spf.unwrap_or_else(|_| Spf::too_slow(question));
        // The letter was given up meanwhile.
        let _ = sender.send((spf, iprev.unwrap_or_else(|_| Iprev::too_slow())));
    });
    Some(Asked { answer, task })
}

/// The letter has come: the verdicts, and what follows from them. One that is not taken is told of all the same.
pub(crate) async fn conclude(
    visit: &Visit<'_>,
    mut asked: Asked,
    mut examination: Examination,
    letter: LetterId,
) -> Result<Seen, (Verdict, Box<Event>)> {
    let deadline = clock::now() + visit.context.settings.senders.timeout.duration();
    let mail_from = mail_from(visit);
    let question = Question { ip: visit.peer, helo: helo(visit), mail_from: &mail_from, receiver: "", now: 0 };
    // It keeps its own deadline; without an answer its task has failed.
    let answer = (&mut asked.answer).await;
    let (spf, iprev) = answer.unwrap_or_else(|_| (Spf::too_slow(question), Iprev::too_slow()));
    let (is_report, kept) = (examination.is_report(), examination.kept());
    let (verdicts, authors) = verdicts(visit, examination, spf, iprev, deadline).await;
    let policy = visit.context.settings.senders.policy_for(&verdicts.dmarc.domain);
    let action = policy.action(&verdicts.dmarc);
    if !is_report && policy != SenderPolicy::Off {
        report(visit, &verdicts, action, letter, kept);
    }
    let event = event(visit, authors, &verdicts, action);
    match action {
        SenderAction::Taken | SenderAction::Quarantined => {}
        SenderAction::Refused => {
            // RFC 7372 §3.3: several checks failed.
            let words = format!("the author is not who it says: {}", verdicts.dmarc.reason);
            return Err((reject(550, 7, 26, words), Box::new(event)));
        }
        SenderAction::PutOff => {
            let words = format!("the author cannot be checked now, try again later: {}", verdicts.dmarc.reason);
            return Err((Verdict::Defer(Reason::new(451, Status::temporary(4, 3), words)), Box::new(event)));
        }
    }
    let is_vouched_for = action == SenderAction::Taken
        && (verdicts.spf.result == SpfResult::Pass || verdicts.dkim.iter().any(|one| one.result == DkimResult::Pass));
    let is_author_known = action == SenderAction::Taken && is_author_known(&verdicts);
    if policy == SenderPolicy::Off {
        return Ok(Seen { fields: String::new(), event, is_vouched_for, is_author_known });
    }
    let mut fields = authentication_results(&visit.context.hostname, &verdicts, &mail_from, helo(visit), visit.peer);
    if action == SenderAction::Quarantined {
        fields.push_str(QUARANTINE);
        fields.push_str(": dmarc\r\n");
    }
    Ok(Seen { fields, event, is_vouched_for, is_author_known })
}

/// What is told of a letter that a filter does not want.
pub(crate) fn refused_by_filter(event: Event) -> Option<Event> {
    let Event::Verified { authors, findings, .. } = event else { return None };
    Some(Event::Verified { authors, findings, action: "refused by a filter".to_owned() })
}

/// Whether the author's domain itself answers for the letter, with a DMARC record or without.
fn is_author_known(verdicts: &Verdicts) -> bool {
    let Verdicts { spf, dkim, dmarc, .. } = verdicts;
    let is_author = |domain: &str| !domain.is_empty() && domain.eq_ignore_ascii_case(&dmarc.domain);
    dmarc.result == DmarcResult::Pass
        || (dmarc.result == DmarcResult::None
            && ((spf.result == SpfResult::Pass && is_author(&spf.domain))
                || dkim.iter().any(|one| one.result == DkimResult::Pass && is_author(&one.domain))))
}

/// Has it counted for the author's domain, or reported at once, if that wants to know. A letter that is put off comes again and is counted then.
fn report(visit: &Visit<'_>, verdicts: &Verdicts, action: SenderAction, letter: LetterId, kept: Option<Vec<u8>>) {
    let done = match action {
        SenderAction::Taken => Policy::None,
        SenderAction::Quarantined => Policy::Quarantine,
        SenderAction::Refused => Policy::Reject,
        SenderAction::PutOff => return,
    };
    let Verdicts { spf, dkim, dmarc, .. } = verdicts;
    if let Some(evaluation) = Evaluation::of(visit.peer, spf, dkim, dmarc, done) {
        visit.context.evaluations.note(evaluation);
    }
    let Some(header) = kept else { return };
    let came = Came {
        letter,
        at: UnixMillis(clock::unix_millis()),
        source: visit.peer,
        helo: helo(visit),
        mail_from: &mail_from(visit),
        hostname: &visit.context.hostname,
        done,
    };
    if let Some(failure) = Failure::of(verdicts, came, header) {
        visit.context.evaluations.failed(failure);
    }
}

async fn verdicts(
    visit: &Visit<'_>,
    examination: Examination,
    spf: Spf,
    iprev: Iprev,
    deadline: Instant,
) -> (Verdicts, Vec<String>) {
    let resolver = visit.context.resolver.as_ref();
    // Keys that were not found in time are trouble.
    let keys = clock::timeout_at(deadline, Keys::fetch(resolver, examination.key_names())).await.unwrap_or_default();
    let (dkim, arc, author) = examination.close(&keys);
    let dmarc = clock::timeout_at(deadline, dmarc::check(resolver, &author, &spf, &dkim)).await;
    let verdicts = Verdicts { dmarc: dmarc.unwrap_or_else(|_| Dmarc::too_slow(&author)), spf, dkim, arc, iprev };
    (verdicts, author.iter().flat_map(|author| author.addresses()).map(ToString::to_string).collect())
}

fn event(visit: &Visit<'_>, authors: Vec<String>, verdicts: &Verdicts, action: SenderAction) -> Event {
    let Verdicts { spf, dkim, dmarc, arc, iprev } = verdicts;
    let finding = |method: &str, result: String, domain: &str, reason: &str, record: Option<String>| Finding {
        method: method.to_owned(),
        result,
        domain: domain.to_owned(),
        reason: cut(reason),
        record,
    };
    let record = match &spf.policy_domain {
        Some(place) => policy(&spf.records, place, "v=spf1"),
        None => last(&spf.records),
    };
    let mut findings = vec![finding("spf", spf.result.to_string(), &spf.domain, &spf.reason, record)];
    findings.extend(dkim.iter().map(|one| finding("dkim", one.result.to_string(), &one.domain, &one.reason, last(&one.records))));
    let record = match &dmarc.policy_domain {
        Some(place) => policy(&dmarc.records, &format!("_dmarc.{place}"), "v=DMARC1"),
        None if dmarc.result == DmarcResult::Temperror => last(&dmarc.records),
        None => None,
    };
    findings.push(finding("dmarc", dmarc.result.to_string(), &dmarc.domain, &dmarc.reason, record));
    findings.push(finding("arc", arc.result.to_string(), arc.domain.as_deref().unwrap_or_default(), &arc.reason, None));
    findings.push(finding("iprev", iprev.result.to_string(), iprev.name.as_deref().unwrap_or_default(), &iprev.reason, None));
    if let Some(Hello { name, fault: Some(why), .. }) = &visit.hello {
        findings.push(finding("helo", "fail".to_owned(), name, &format!("the name {why}"), None));
    }
    Event::Verified { authors, findings, action: action.to_string() }
}

/// The record at a name that says what the domain wants; other texts may stand beside it.
fn policy(records: &[Looked], name: &str, version: &str) -> Option<String> {
    let looked = records.iter().find(|looked| looked.kind == "TXT" && looked.name == name)?;
    let is_it = |text: &&String| text.get(..version.len()).is_some_and(|start| start.eq_ignore_ascii_case(version));
    Some(shown(looked, looked.records.iter().find(is_it).or(looked.records.first())?))
}

/// What was read last, or why it could not be.
fn last(records: &[Looked]) -> Option<String> {
    records.iter().rev().find_map(|looked| Some(shown(looked, looked.records.first().or(looked.error.as_ref())?)))
}

fn shown(looked: &Looked, text: &str) -> String {
    format!("{} {} {}", looked.name, looked.kind, cut(text))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

fn helo<'a>(visit: &'a Visit<'_>) -> &'a str {
    visit.hello.as_ref().map_or("", |hello| hello.name.as_str())
}

fn mail_from(visit: &Visit<'_>) -> String {
    visit.begun.as_ref().map(|begun| begun.sender.path.to_string()).unwrap_or_default()
}

fn seconds() -> u64 {
    clock::unix_millis() / 1000
}
