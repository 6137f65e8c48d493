//! BDAT (RFC 3030 §2).
//!
//! Whatever is wrong with a BDAT, the octets it announces are read by their count and thrown away before it is answered: they must never be
//! taken for commands. Only where the count itself cannot be read, or is out of all proportion, the connection ends.

use posthouse_mail::{Reply, Status};

use super::{Turn, was_pipelined};
use crate::body::bdat::ChunkDecoder;
use crate::server::core::Core;
use crate::server::question::{CloseReason, Question, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Blame, Chunk, Chunks, Discard, Open, Refused, State, Transaction};
use crate::server::verdict::Verdict;
use crate::syntax::Bdat;

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let bdat = match Bdat::parse(arguments) {
        Ok(bdat) => bdat,
        Err(error) => {
            let reply = replies::arguments(&error, Status::permanent(5, 4));
            return Turn::Go(core.end(Stage::Letter, reply, CloseReason::Malformed));
        }
    };
    match open {
        Open::Mail(transaction) if !transaction.ready.extended => {
            discard(Open::Mail(transaction), core, bdat, replies::unknown_command())
        }
        Open::Mail(transaction) if transaction.recipients == 0 => {
            let reply = replies::no_recipients(core.is_lmtp());
            discard(Open::Mail(transaction), core, bdat, reply)
        }
        Open::Mail(transaction) => Turn::Ask(State::Asked(Asked::Chunk { transaction, bdat }), Question::Letter),
        Open::Chunks(chunks) => Turn::Go(begin(chunks, core, bdat)),
        Open::Start(_) => discard(open, core, bdat, replies::hello_first()),
        Open::Ready(_) => discard(open, core, bdat, replies::mail_first()),
    }
}

/// After [`Question::Letter`].
pub(in crate::server) fn answered(transaction: Transaction, bdat: Bdat, core: &mut Core, verdict: &Verdict) -> State {
    let close = matches!(verdict, Verdict::Drop(_)).then_some(CloseReason::Dropped);
    match verdict {
        Verdict::Accept => {
            core.letter_begins();
            begin(transaction.into_chunks(), core, bdat)
        }
        Verdict::Defer(_) | Verdict::Reject(_) | Verdict::Drop(_) => {
            let reply = verdict.reply(replies::ok);
            throw_away(Open::Ready(transaction.given_up()), core, bdat.size, Refused { reply, close }, Blame::Letter)
        }
    }
}

/// A chunk of a letter that is wanted.
fn begin(chunks: Chunks, core: &mut Core, bdat: Bdat) -> State {
    let too_large = chunks.received.saturating_add(bdat.size) > core.profile.letter_bytes_max;
    if too_large {
        core.letter_ended();
        let reply = replies::too_large(core.profile.letter_bytes_max);
        return throw_away(
            Open::Ready(chunks.transaction.given_up()),
            core,
            bdat.size,
            Refused { reply, close: None },
            Blame::Letter,
        );
    }
    core.next_body_window();
    State::Chunk(Chunk { chunks, decoder: ChunkDecoder::new(bdat.size), bdat, refused: None })
}

/// A chunk out of order.
fn discard(mut back: Open, core: &mut Core, bdat: Bdat, reply: Reply) -> Turn {
    let blame = if was_pipelined(&mut back) { Blame::Pipelined } else { Blame::BadCommand };
    Turn::Go(throw_away(back, core, bdat.size, Refused { reply, close: None }, blame))
}

fn throw_away(back: Open, core: &mut Core, size: u64, refused: Refused, blame: Blame) -> State {
    if size > core.profile.drain_bytes_max {
        return core.end(Stage::Letter, refused.reply, CloseReason::Oversize);
    }
    core.next_body_window();
    State::Discard(Discard { back, decoder: ChunkDecoder::new(size), refused, blame })
}
