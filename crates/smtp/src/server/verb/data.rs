//! DATA (RFC 5321 §4.1.1.4).

use posthouse_mail::BodyKind;

use super::{Turn, out_of_order};
use crate::body::dot::DotDecoder;
use crate::server::core::Core;
use crate::server::question::{CloseReason, Note, Question, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Open, State, Text, Transaction};
use crate::server::verdict::Verdict;

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    if !arguments.is_empty() {
        return Turn::Go(core.bad(open, Stage::Letter, replies::no_arguments()));
    }
    let refusal = match &open {
        Open::Start(_) => replies::hello_first(),
        Open::Ready(_) => replies::mail_first(),
        // RFC 3030 §2: DATA and BDAT do not mix.
        Open::Chunks(_) => replies::in_chunks(),
        Open::Mail(transaction) if transaction.recipients == 0 => replies::no_recipients(core.is_lmtp()),
        // RFC 3030 §3.
        Open::Mail(_) => replies::binary_needs_bdat(),
    };
    let Open::Mail(transaction) = open else {
        return out_of_order(open, core, Stage::Letter, refusal);
    };
    if transaction.recipients == 0 || transaction.body == BodyKind::BinaryMime {
        return out_of_order(Open::Mail(transaction), core, Stage::Letter, refusal);
    }
    Turn::Ask(State::Asked(Asked::Text(transaction)), Question::Letter)
}

/// After [`Question::Letter`]: the letter comes, or the transaction is over.
pub(in crate::server) fn answered(transaction: Transaction, core: &mut Core, verdict: &Verdict) -> State {
    core.say_or_refuse(Stage::Letter, None, verdict.reply(replies::go_ahead));
    if *verdict == Verdict::Accept {
        core.letter_begins();
        return State::Text(Text { transaction, decoder: DotDecoder::new(), received: 0, refused: None });
    }
    core.note(Note::Abandoned);
    match verdict {
        Verdict::Drop(_) => State::Ended(Ended { why: CloseReason::Dropped }),
        Verdict::Accept | Verdict::Defer(_) | Verdict::Reject(_) => transaction.ready.state(),
    }
}
