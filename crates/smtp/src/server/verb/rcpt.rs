//! RCPT (RFC 5321 §4.1.1.3).

use posthouse_mail::Status;

use super::{Turn, out_of_order};
use crate::server::core::Core;
use crate::server::question::{CloseReason, Question, RecipientQuestion, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Open, State, Transaction};
use crate::server::verdict::Verdict;
use crate::syntax::Rcpt;

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let Open::Mail(mut transaction) = open else {
        let refusal = match open {
            Open::Start(_) => replies::hello_first(),
            Open::Chunks(_) => replies::in_chunks(),
            Open::Ready(_) | Open::Mail(_) => replies::mail_first(),
        };
        return out_of_order(open, core, Stage::Recipient, refusal);
    };
    let rcpt = match Rcpt::parse(arguments, transaction.smtputf8) {
        Ok(rcpt) if rcpt.has_parameters() && !transaction.ready.extended => {
            return Turn::Go(core.bad(Open::Mail(transaction), Stage::Recipient, replies::extension_not_offered()));
        }
        Ok(rcpt) => rcpt,
        Err(error) => {
            let reply = replies::arguments(&error, Status::permanent(1, 3));
            return Turn::Go(core.bad(Open::Mail(transaction), Stage::Recipient, reply));
        }
    };
    transaction.attempted = true;
    let about = rcpt.path.to_string();
    if transaction.recipients >= core.profile.recipients_max {
        core.refuse(Stage::Recipient, Some(about), replies::too_many_recipients());
        return Turn::Go(State::Open(Open::Mail(transaction)));
    }
    let question = RecipientQuestion { path: rcpt.path, notify: rcpt.notify, orcpt: rcpt.orcpt };
    Turn::Ask(State::Asked(Asked::Recipient { transaction, about }), Question::Recipient(question))
}

/// After [`Question::Recipient`].
pub(in crate::server) fn answered(mut transaction: Transaction, about: String, core: &mut Core, verdict: &Verdict) -> State {
    core.say_or_refuse(Stage::Recipient, Some(about), verdict.reply(replies::recipient_ok));
    match verdict {
        Verdict::Accept => transaction.recipients += 1,
        Verdict::Defer(_) => {}
        Verdict::Reject(_) if core.count_refused_recipient() => {
            return core.end(Stage::Recipient, replies::too_many_refused_recipients(), CloseReason::TooMany);
        }
        Verdict::Reject(_) => {}
        Verdict::Drop(_) => return State::Ended(Ended { why: CloseReason::Dropped }),
    }
    State::Open(Open::Mail(transaction))
}
