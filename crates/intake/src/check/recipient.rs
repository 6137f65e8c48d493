//! May this recipient be added, and whom does it lead to?
//!
//! This is where an open relay would be: a recipient elsewhere is taken from users who logged in and from networks that the operator named,
//! and from nobody else. The local part is never looked into: `user%elsewhere@here` and `"user@elsewhere"@here` are names of ours like any
//! other, and nobody has them.

use posthouse_directory::{DirectoryError, Route, SenderRule};
use posthouse_mail::{Address, OriginalRecipient, Recipient, Status, UnixMillis};
use posthouse_mailauth::srs::{self, SrsError};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Reason, RecipientQuestion, Verdict};
use posthouse_smtp::syntax::ForwardPath;

use super::{no_directory, reject};
use crate::abuse;
use crate::context::ListenerKind;
use crate::visit::Visit;

/// The recipients a letter may have once its aliases are followed.
const EXPANDED_MAX: usize = 5_000;

pub(crate) async fn recipient(visit: &mut Visit<'_>, question: RecipientQuestion) -> Verdict {
    let directory = &visit.context.directory;
    let address = match &question.path {
        ForwardPath::Mailbox(address) => address.clone(),
        ForwardPath::Postmaster => match directory.postmaster().await {
            Ok(Some(address)) => address,
            Ok(None) => return unknown(),
            Err(error) => return no_directory(&error),
        },
    };
    if let Some(begun) = visit.begun.as_mut().filter(|begun| begun.named.contains(&address)) {
        // Said again: nothing new to look up, and in LMTP one more reply.
        begun.named.push(address);
        return Verdict::Accept;
    }
    let bounce = match forwarded(visit, &address).await {
        Ok(bounce) => bounce,
        Err(verdict) => return verdict,
    };
    let is_bounce = bounce.is_some();
    let address = bounce.unwrap_or(address);
    let ends = match directory.route(&address).await {
        Ok(Route::Elsewhere) if is_bounce || may_relay(visit) => vec![address.clone()],
        Ok(Route::Elsewhere) => return reject(550, 7, 1, "relaying denied"),
        Ok(Route::Unknown) => match stand_in(visit, &address).await {
            Ok(ends) if ends.is_empty() => return unknown(),
            Ok(ends) => ends,
            Err(error) => return no_directory(&error),
        },
        Ok(Route::Account { .. } | Route::Alias(_) | Route::Reports) => match directory.expand(&address).await {
            Ok(ends) if ends.is_empty() => return unknown(),
            Ok(ends) => ends,
            Err(error) => return no_directory(&error),
        },
        Err(error) => return no_directory(&error),
    };
    let is_expected = match wanted(visit, &address, &ends).await {
        Ok(is_expected) => is_expected,
        Err(verdict) => return verdict,
    };
    if let Err(verdict) = abuse::recipient(visit, &address, is_expected).await {
        return verdict;
    }
    if let Some(mut milters) = visit.milters.take() {
        let said = milters.recipient(&address).await;
        visit.milters = Some(milters);
        if let Err(verdict) = said {
            return verdict;
        }
    }
    add(visit, address, ends, question)
}

/// Whether everybody whom the recipient leads to has allowed the sender; nobody may send to those who have all blocked it. Where only some have, the letter is
/// taken, and delivery puts it where it belongs for each. Only the envelope is known yet, so an allowed sender may be anybody: it is spared the greylist, nothing
/// more. Reports (`<>`) are nobody's.
async fn wanted(visit: &Visit<'_>, address: &Address, ends: &[Address]) -> Result<bool, Verdict> {
    let Some(sender) = visit.begun.as_ref().and_then(|begun| begun.sender.path.address()) else { return Ok(false) };
    let rules = visit.context.directory.rules_for(ends, sender).await.map_err(|error| no_directory(&error))?;
    let all = |wanted| rules.iter().all(|entry| entry.as_ref().is_some_and(|entry| entry.rule == wanted));
    match rules.first() {
        Some(Some(entry)) if all(SenderRule::Block) => Err(reject(550, 7, 1, format!("{address} has blocked {}", entry.pattern))),
        _ => Ok(!rules.is_empty() && all(SenderRule::Allow)),
    }
}

/// Whom a bounce of a letter that we forwarded leads back to (SRS). To no other letter is the way open: whoever kept such an address could
/// otherwise send through us for weeks.
async fn forwarded(visit: &Visit<'_>, address: &Address) -> Result<Option<Address>, Verdict> {
    if visit.kind.is_submission() || !srs::is_srs(address.local().as_str()) {
        return Ok(None);
    }
    let (directory, now) = (&visit.context.directory, UnixMillis(clock::unix_millis()));
    let keys = match directory.is_local(address.domain()).await {
        Ok(true) => directory.forwarding_keys(now).await.map_err(|error| no_directory(&error))?,
        Ok(false) => return Ok(None),
        Err(error) => return Err(no_directory(&error)),
    };
    match srs::back(&keys, address.local().as_str(), now) {
        Ok(sender) if visit.begun.as_ref().is_some_and(|begun| begun.sender.path.is_null()) => Ok(Some(sender)),
        Ok(_) => Err(reject(550, 7, 1, "this address takes only bounces of letters that were forwarded here")),
        Err(SrsError::Expired) => Err(reject(550, 1, 1, "the letter was forwarded too long ago")),
        // A name like any other, if anybody has it.
        Err(_) => Ok(None),
    }
}

fn may_relay(visit: &Visit<'_>) -> bool {
    match visit.kind {
        // The session asks about recipients only behind an accepted MAIL, and that needs a login here.
        ListenerKind::Submission | ListenerKind::Submissions => visit.account.is_some(),
        ListenerKind::Mx => visit.context.settings.trusts(visit.peer),
        ListenerKind::Local => true,
        ListenerKind::Lmtp => false,
    }
}

async fn stand_in(visit: &Visit<'_>, address: &Address) -> Result<Vec<Address>, DirectoryError> {
    match &visit.caller {
        Some(caller) => caller.stand_in(visit.context, address).await,
        None => Ok(Vec::new()),
    }
}

fn add(visit: &mut Visit<'_>, address: Address, ends: Vec<Address>, question: RecipientQuestion) -> Verdict {
    let Some(begun) = &mut visit.begun else {
        return Verdict::Defer(Reason::new(451, Status::temporary(3, 0), "something is wrong here, try again later"));
    };
    if begun.recipients.len() + ends.len() > EXPANDED_MAX {
        return Verdict::Defer(Reason::new(
            452,
            Status::temporary(5, 3),
            "too many recipients behind aliases, send to the others in another letter",
        ));
    }
    // RFC 3461 §5.2.1: a report shall name the address that the sender knows.
    let followed = ends.as_slice() != std::slice::from_ref(&address);
    let orcpt = question.orcpt.or_else(|| followed.then(|| original(&address)));
    for end in &ends {
        // Named twice, or through two aliases: one letter is enough.
        if begun.known.insert(end.clone()) {
            begun.recipients.push(Recipient { address: end.clone(), notify: question.notify, orcpt: orcpt.clone() });
        }
    }
    begun.named.push(address.clone());
    if followed {
        begun.expanded.push((address, ends));
    }
    Verdict::Accept
}

fn original(address: &Address) -> OriginalRecipient {
    // RFC 6533 §3.
    let kind = if address.needs_smtputf8() { "utf-8" } else { "rfc822" };
    OriginalRecipient { kind: kind.to_owned(), address: address.to_string() }
}

fn unknown() -> Verdict {
    reject(550, 1, 1, "nobody here has this address")
}
