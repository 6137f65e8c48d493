//! MAIL (RFC 5321 §4.1.1.2).

use posthouse_mail::Status;

use super::Turn;
use crate::server::core::Core;
use crate::server::question::{CloseReason, Question, SenderQuestion, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Open, Ready, State, Transaction};
use crate::server::verdict::Verdict;
use crate::syntax::Mail;

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let Open::Ready(mut ready) = open else {
        let refusal = if matches!(open, Open::Start(_)) { replies::hello_first() } else { replies::nested_mail() };
        return Turn::Go(core.bad(open, Stage::Sender, refusal));
    };
    // Until it is accepted it may be refused, with the rest of the envelope already on its way.
    ready.forgiven = core.profile.recipients_max.saturating_add(1);
    let mail = match Mail::parse(arguments) {
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
    // RFC 1870 §6.1: said before the letter is sent, which saves both sides the trouble.
    if mail.size.is_some_and(|size| size > core.profile.letter_bytes_max) {
        core.refuse(Stage::Sender, Some(about), replies::too_large(core.profile.letter_bytes_max));
        return Turn::Go(ready.state());
    }
    ask(ready, mail, about)
}

fn ask(ready: Ready, mail: Mail, about: String) -> Turn {
    let body = mail.body.unwrap_or_default();
    let transaction = Transaction { ready, body, smtputf8: mail.smtputf8, recipients: 0, attempted: false };
    // AUTH= is read and not believed: who sent a letter is known from the login alone (RFC 4954 §5 lets a server do so).
    let question =
        SenderQuestion { path: mail.path, size: mail.size, body, smtputf8: mail.smtputf8, ret: mail.ret, envid: mail.envid };
    Turn::Ask(State::Asked(Asked::Sender { transaction, about }), Question::Sender(question))
}

/// After [`Question::Sender`].
pub(in crate::server) fn answered(mut transaction: Transaction, about: String, core: &mut Core, verdict: &Verdict) -> State {
    core.say_or_refuse(Stage::Sender, Some(about), verdict.reply(replies::sender_ok));
    match verdict {
        Verdict::Accept => {
            transaction.ready.forgiven = 0;
            State::Open(Open::Mail(transaction))
        }
        Verdict::Defer(_) | Verdict::Reject(_) => transaction.ready.state(),
        Verdict::Drop(_) => State::Ended(Ended { why: CloseReason::Dropped }),
    }
}
