//! The letter itself: its pieces, its limit, its end.
//!
//! What is said at its end is the only promise the server makes, and it is made by the driver's answer. After the end, whatever it was,
//! the envelope is gone (RFC 5321 §4.1.1.4).

use bytes::BytesMut;
use posthouse_mail::Reply;

use super::command::{Next, misfit};
use super::core::Core;
use super::question::{Answer, CloseReason, Note, Question, Stage};
use super::replies;
use super::state::{Asked, Blame, Chunk, Discard, Ended, Open, Refused, State, Text, Transaction};
use super::verb::Turn;
use super::verdict::Verdict;
use crate::body::dot::Decoded;
use crate::syntax::LineError;

/// A letter that comes by DATA.
pub(super) fn text(mut text: Text, core: &mut Core, input: &mut BytesMut) -> Next {
    match text.decoder.decode(input) {
        Ok(Decoded::Incomplete) => Next::Wait(State::Text(text)),
        Ok(Decoded::Chunk(piece)) => {
            core.progress(piece.len());
            text.received = text.received.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            let bytes_max = core.profile.letter_bytes_max;
            if text.received > bytes_max.saturating_add(core.profile.drain_bytes_max) {
                let reply = text.refused.map_or_else(|| replies::too_large(bytes_max), |refused| refused.reply);
                return Next::Turn(Turn::Go(core.end(Stage::Letter, reply, CloseReason::Oversize)));
            }
            if text.refused.is_none() && text.received > bytes_max {
                text.refused = Some(Refused { reply: replies::too_large(bytes_max), close: None });
            }
            if text.refused.is_some() { go(State::Text(text)) } else { Next::Body(State::Text(text), piece) }
        }
        Ok(Decoded::End) => match text.refused {
            None => complete(text.transaction, text.received),
            Some(refused) => Next::Turn(Turn::Go(failed(text.transaction, core, refused, true))),
        },
        Err(error) => broken(core, error),
    }
}

/// A chunk of a letter that comes by BDAT.
pub(super) fn chunk(mut chunk: Chunk, core: &mut Core, input: &mut BytesMut) -> Next {
    if let Some(piece) = chunk.decoder.decode(input) {
        core.progress(piece.len());
        if chunk.refused.is_some() {
            return go(State::Chunk(chunk));
        }
        return match chunk.chunks.check.as_mut().map_or(Ok(()), |check| check.piece(&piece)) {
            Ok(()) => Next::Body(State::Chunk(chunk), piece),
            Err(error) => {
                // The count still says where the chunk ends, so the connection can go on.
                chunk.refused = Some(Refused { reply: replies::letter_line(error), close: None });
                go(State::Chunk(chunk))
            }
        };
    }
    if !chunk.decoder.is_done() {
        return Next::Wait(State::Chunk(chunk));
    }
    let Chunk { mut chunks, bdat, refused, .. } = chunk;
    chunks.received = chunks.received.saturating_add(bdat.size);
    let ended_in_cr = || chunks.check.filter(|_| bdat.last).and_then(|check| check.finish().err());
    let refused = refused.or_else(|| ended_in_cr().map(|error| Refused { reply: replies::letter_line(error), close: None }));
    match refused {
        Some(refused) => Next::Turn(Turn::Go(failed(chunks.transaction, core, refused, bdat.last))),
        None if bdat.last => complete(chunks.transaction, chunks.received),
        None => {
            core.say(&replies::chunk_ok(bdat.size));
            go(State::Open(Open::Chunks(chunks)))
        }
    }
}

/// A chunk that nobody wants.
pub(super) fn discard(mut discard: Discard, core: &mut Core, input: &mut BytesMut) -> Next {
    if let Some(piece) = discard.decoder.decode(input) {
        core.progress(piece.len());
        return go(State::Discard(discard));
    }
    if !discard.decoder.is_done() {
        return Next::Wait(State::Discard(discard));
    }
    let Discard { back, refused, blame, .. } = discard;
    Next::Turn(Turn::Go(match (refused.close, blame) {
        (Some(why), _) => core.end(Stage::Letter, refused.reply, why),
        (None, Blame::BadCommand) => core.bad(back, Stage::Letter, refused.reply),
        (None, Blame::Pipelined) => {
            core.refuse(Stage::Letter, None, refused.reply);
            State::Open(back)
        }
        (None, Blame::Letter) => {
            core.refuse(Stage::Letter, None, refused.reply);
            core.note(Note::Abandoned);
            State::Open(back)
        }
    }))
}

/// The driver cannot take the letter.
pub(super) fn refuse(state: &mut State, verdict: &Verdict) {
    let refused = if let State::Text(text) = state {
        &mut text.refused
    } else if let State::Chunk(chunk) = state {
        &mut chunk.refused
    } else {
        return;
    };
    let close = matches!(verdict, Verdict::Drop(_)).then_some(CloseReason::Dropped);
    refused.get_or_insert_with(|| Refused { reply: verdict.reply(replies::internal), close });
}

/// After [`Question::Message`].
pub(super) fn answered(transaction: Transaction, core: &mut Core, answer: Answer) -> State {
    let (id, verdicts) = match answer {
        Answer::Message { id, verdicts } => (id, verdicts),
        Answer::Verdict(Verdict::Accept) | Answer::Auth(_) | Answer::Priority(_) => (String::new(), vec![misfit()]),
        Answer::Verdict(verdict) => (String::new(), vec![verdict]),
    };
    core.letter_ended();
    core.letters += 1;
    let replies_due = if core.is_lmtp() { transaction.recipients } else { 1 };
    let mut close = false;
    let mut last = misfit();
    let mut verdicts = verdicts.into_iter();
    for _ in 0..replies_due {
        // Fewer verdicts than recipients: the last one holds for the rest.
        last = verdicts.next().unwrap_or(last);
        close |= matches!(last, Verdict::Drop(_));
        core.say_or_refuse(Stage::Letter, None, last.reply(|| replies::stored(&id)));
    }
    core.note(Note::Abandoned);
    if close { State::Ended(Ended { why: CloseReason::Dropped }) } else { transaction.ready.state() }
}

fn complete(transaction: Transaction, size: u64) -> Next {
    Next::Turn(Turn::Ask(State::Asked(Asked::Message(transaction)), Question::Message { size }))
}

/// A refused letter is over. In LMTP each recipient has its reply at the end (RFC 2033 §4.2), and a chunk in the middle has one.
fn failed(transaction: Transaction, core: &mut Core, refused: Refused, at_end: bool) -> State {
    core.letter_ended();
    let more = if core.is_lmtp() && at_end { transaction.recipients.saturating_sub(1) } else { 0 };
    core.refuse(Stage::Letter, None, refused.reply.clone());
    for _ in 0..more {
        core.say(&refused.reply);
    }
    core.note(Note::Abandoned);
    match refused.close {
        Some(why) => State::Ended(Ended { why }),
        None => transaction.given_up().state(),
    }
}

/// Where a letter ends cannot be told any more: it is said, and the connection ends, so that nothing behind it is taken for a command.
fn broken(core: &mut Core, error: LineError) -> Next {
    let reply: Reply = replies::letter_line(error);
    Next::Turn(Turn::Go(core.end(Stage::Letter, reply, CloseReason::Malformed)))
}

fn go(state: State) -> Next {
    Next::Turn(Turn::Go(state))
}
