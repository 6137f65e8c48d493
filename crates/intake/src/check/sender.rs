//! May this sender begin a letter?

use std::net::SocketAddr;

use posthouse_directory::DirectoryError;
use posthouse_mail::{Address, Priority, Status, UnixMillis};
use posthouse_mailauth::iprev::Iprev;
use posthouse_runtime::clock;
use posthouse_smtp::server::{Answer, Reason, SenderQuestion, Verdict};

use super::{no_directory, no_queue, reject};
use crate::abuse;
use crate::local::{Caller, Local};
use crate::milter::Facts;
use crate::visit::{Begun, Visit};

pub(crate) async fn sender(visit: &mut Visit<'_>, question: SenderQuestion) -> Answer {
    visit.abandon();
    if let Err(verdict) = may_send(visit, &question).await {
        return Answer::Verdict(verdict);
    }
    if let Err(verdict) = abuse::letter(visit) {
        return Answer::Verdict(verdict);
    }
    if let Some(mut milters) = visit.milters.take() {
        let reverse = milters.reverse(&visit.context.resolver, visit.peer).await;
        let said = milters.sender(&facts(visit, &question, &reverse)).await;
        visit.milters = Some(milters);
        if let Err(verdict) = said {
            return Answer::Verdict(verdict);
        }
    }
    let asked = question.priority.unwrap_or_default();
    let given = priority(visit, asked);
    visit.begun = Some(Box::new(Begun::new(question, UnixMillis(clock::unix_millis()), given)));
    if given == asked { Answer::Verdict(Verdict::Accept) } else { Answer::Priority(given) }
}

async fn may_send(visit: &Visit<'_>, question: &SenderQuestion) -> Result<(), Verdict> {
    if visit.kind.is_submission() {
        if visit.kind.wants_login() && visit.account.is_none() {
            // RFC 4954 §6.
            return Err(reject(530, 7, 0, "log in first"));
        }
        if let Some(caller) = &visit.caller {
            may_hand_in(caller, &visit.context.settings.local)?;
        }
        // `<>` is nobody's: receipts are sent so (RFC 8098 §2). Who wrote the letter still shows in its header, which is looked at.
        if let Some(address) = question.path.address() {
            match owns(visit, address).await {
                Ok(true) => {}
                Ok(false) => return Err(not_yours(visit, address)),
                Err(error) => return Err(no_directory(&error)),
            }
        }
    }
    // Before its first octet is sent, a letter that there is no room for is better refused (RFC 5321 §4.2.3: 452).
    if visit.context.memory.is_reached() {
        let words = "too much is under way here, try again later";
        return Err(Verdict::Defer(Reason::new(452, Status::temporary(3, 1), words)));
    }
    visit.context.queue.check().map_err(|error| no_queue(&error))
}

/// Whether a user of this machine may hand in another letter now.
fn may_hand_in(caller: &Caller, rules: &Local) -> Result<(), Verdict> {
    if !rules.admits(&caller.submitter) {
        let words = format!("the user {} may not hand in letters here (intake.local.users)", caller.submitter.name);
        return Err(reject(550, 7, 1, words));
    }
    if !caller.pass.letter(rules) {
        let words = format!("more letters of the user {} than may come in a minute, try again later", caller.submitter.name);
        return Err(Verdict::Defer(Reason::new(451, Status::temporary(7, 0), words)));
    }
    Ok(())
}

/// What milters are told.
fn facts<'a>(visit: &'a Visit<'_>, question: &SenderQuestion, reverse: &'a Iprev) -> Facts<'a> {
    Facts {
        hostname: visit.context.hostname.as_str(),
        peer: SocketAddr::new(visit.peer, visit.port),
        reverse,
        helo: visit.hello.as_ref().map_or("", |hello| hello.name.as_str()),
        tls: visit.tls.as_deref(),
        account: visit.account.as_ref().map(|account| account.address.to_string()),
        sender: format!("<{}>", question.path),
    }
}

/// RFC 6710 §8: who may have priority is for each server to say; the rest of the world has none.
fn priority(visit: &Visit<'_>, asked: Priority) -> Priority {
    let settings = &visit.context.settings;
    let may = visit.account.is_some() || visit.caller.is_some() || settings.trusts(visit.peer);
    if may { settings.priority_max.cap(asked) } else { Priority::default() }
}

/// Whether whoever is logged in, or has come from this machine, may write in the name of `address`.
pub(crate) async fn owns(visit: &Visit<'_>, address: &Address) -> Result<bool, DirectoryError> {
    if let Some(caller) = &visit.caller {
        return caller.owns(visit.context, address).await;
    }
    match &visit.account {
        Some(account) => visit.context.directory.may_send_as(&account.id, address).await,
        None => Ok(false),
    }
}

pub(crate) fn not_yours(visit: &Visit<'_>, address: &Address) -> Verdict {
    let words = match &visit.caller {
        Some(caller) => {
            format!(
                "<{address}> is not an address of the user {}; the operator can grant it (intake.local.grant)",
                caller.submitter.name
            )
        }
        None => format!(
            "<{address}> is not an address of the account that is logged in; the operator can grant it (posthouse account grant)"
        ),
    };
    reject(553, 7, 1, words)
}
