//! MAIL (RFC 5321 §4.1.1.2).

use posthouse_mail::{ByMode, Priority, Reply, Status};

use super::Turn;
use crate::server::core::Core;
use crate::server::profile::Profile;
use crate::server::question::{CloseReason, Question, SenderQuestion, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Open, Ready, State, Transaction};
use crate::server::verdict::Verdict;
use crate::syntax::{ArgumentError, FutureRelease, Hold, Mail};

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let Open::Ready(mut ready) = open else {
        let refusal = if matches!(open, Open::Start(_)) { replies::hello_first() } else { replies::nested_mail() };
        return Turn::Go(core.bad(open, Stage::Sender, refusal));
    };
    // Until it is accepted it may be refused, with the rest of the envelope already on its way.
    ready.forgiven = core.profile.recipients_max.saturating_add(1);
    let mail = match Mail::parse(arguments).and_then(|mail| known(mail, core)) {
        Ok(mail) if mail.has_parameters() && !ready.extended => {
            return Turn::Go(core.bad(Open::Ready(ready), Stage::Sender, replies::extension_not_offered()));
        }
        Ok(mail) => mail,
        Err(error) => {
            let reply = replies::arguments(&error, Status::permanent(1, 7));
            return Turn::Go(core.bad(Open::Ready(ready), Stage::Sender, reply));
        }
    };
    if core.letters >= core.profile.letters_max {
        return Turn::Go(core.end(Stage::Sender, replies::too_many_letters(), CloseReason::TooMany));
    }
    let about = mail.path.to_string();
    if let Some(reply) = beyond(&mail, &core.profile) {
        core.refuse(Stage::Sender, Some(about), reply);
        return Turn::Go(ready.state());
    }
    ask(ready, mail, about)
}

/// RFC 5321 §4.1.1.11: a parameter that was not offered is not known.
fn known(mail: Mail, core: &Core) -> Result<Mail, ArgumentError> {
    let profile = &core.profile;
    let unknown = |keyword: &str| Err(ArgumentError::UnknownParameter(keyword.to_owned()));
    match (mail.hold, mail.by) {
        (Some(Hold::For(_)), _) if profile.future_release.is_none() => unknown("HOLDFOR"),
        (Some(Hold::Until(_)), _) if profile.future_release.is_none() => unknown("HOLDUNTIL"),
        (_, Some(_)) if profile.deliver_by_seconds_min.is_none() => unknown("BY"),
        // RFC 8689 §2: offered inside TLS alone.
        _ if mail.require_tls && core.tls.is_none() => unknown("REQUIRETLS"),
        _ => Ok(mail),
    }
}

/// What is announced and cannot be: said before the letter is sent, which saves both sides the trouble.
fn beyond(mail: &Mail, profile: &Profile) -> Option<Reply> {
    // RFC 1870 §6.1.
    if mail.size.is_some_and(|size| size > profile.letter_bytes_max) {
        return Some(replies::too_large(profile.letter_bytes_max));
    }
    // RFC 4865 §5. A time that is over is none of the server's business: the letter leaves at once.
    let too_long = |limit: &FutureRelease| match mail.hold {
        Some(Hold::For(seconds)) => seconds > limit.seconds_max,
        Some(Hold::Until(time)) => time > limit.until_max,
        None => false,
    };
    if let Some(limit) = profile.future_release.filter(too_long) {
        return Some(replies::held_too_long(&limit));
    }
    let seconds_min = profile.deliver_by_seconds_min.unwrap_or(0);
    let too_soon = mail.by.is_some_and(|by| by.mode == ByMode::Return && i64::from(by.seconds) < i64::from(seconds_min));
    too_soon.then(|| replies::too_soon(seconds_min))
}

fn ask(ready: Ready, mail: Mail, about: String) -> Turn {
    let body = mail.body.unwrap_or_default();
    let transaction = Transaction { ready, body, smtputf8: mail.smtputf8, recipients: 0, attempted: false };
    // AUTH= is read and not believed: who sent a letter is known from the login alone (RFC 4954 §5 lets a server do so).
    let question = SenderQuestion {
        path: mail.path,
        size: mail.size,
        body,
        smtputf8: mail.smtputf8,
        ret: mail.ret,
        envid: mail.envid,
        priority: mail.priority,
        hold: mail.hold,
        by: mail.by,
        require_tls: mail.require_tls,
    };
    Turn::Ask(State::Asked(Asked::Sender { transaction, about }), Question::Sender(question))
}

/// After [`Question::Sender`]. `priority` is the one that an accepted letter has, when it is not the one that was asked for.
pub(in crate::server) fn answered(
    mut transaction: Transaction,
    about: String,
    core: &mut Core,
    verdict: &Verdict,
    priority: Option<Priority>,
) -> State {
    let reply = verdict.reply(|| priority.map_or_else(replies::sender_ok, replies::sender_ok_with));
    core.say_or_refuse(Stage::Sender, Some(about), reply);
    match verdict {
        Verdict::Accept => {
            transaction.ready.forgiven = 0;
            State::Open(Open::Mail(transaction))
        }
        Verdict::Defer(_) | Verdict::Reject(_) => transaction.ready.state(),
        Verdict::Drop(_) => State::Ended(Ended { why: CloseReason::Dropped }),
    }
}
