//! The states of a session, one struct each.
//!
//! A state is consumed by what happens in it. The envelope lives in [`Transaction`] and nowhere else.

use std::time::Instant;

use posthouse_mail::{BodyKind, Reply};
use posthouse_sasl::{Mechanism, ServerExchange};

use super::core::Core;
use super::question::{CloseReason, HelloKind, Note};
use crate::body::bdat::{ChunkDecoder, TextCheck};
use crate::body::dot::DotDecoder;
use crate::syntax::Bdat;

/// How many chunks behind a refused one are taken to have been sent before the refusal was read.
const PIPELINED_CHUNKS: usize = 100;

/// Where a session stands.
pub(super) enum State {
    /// Before the 220.
    Greeting(Greeting),
    /// Waiting for a command.
    Open(Open),
    /// In a login, waiting for the client.
    Login(Login),
    /// In a letter that came by DATA.
    Text(Text),
    /// In a chunk of a letter.
    Chunk(Chunk),
    /// In a chunk that nobody wants.
    Discard(Discard),
    /// A question is open.
    Asked(Asked),
    /// STARTTLS was answered; the handshake has not begun or runs.
    Handshake(Handshake),
    /// Nothing more will be said.
    Ended(Ended),
}

/// Where a session stands when a command may come.
pub(super) enum Open {
    /// Waiting for EHLO.
    Start(Start),
    /// Waiting for MAIL.
    Ready(Ready),
    /// After MAIL.
    Mail(Transaction),
    /// Between two chunks of a letter.
    Chunks(Chunks),
}

/// Before the 220.
pub(super) struct Greeting {
    /// When it is sent; `None` until [`Question::Connect`](super::Question::Connect) is answered.
    pub(super) at: Option<Instant>,
}

/// Waiting for EHLO.
pub(super) struct Start;

/// Waiting for MAIL.
pub(super) struct Ready {
    /// Whether the client said EHLO or LHLO, and may use extensions.
    pub(super) extended: bool,
    /// How many RCPT, DATA and BDAT may still come behind a refused MAIL without being held against the client: it sent them before it knew
    /// (RFC 2920 §3.1).
    pub(super) forgiven: usize,
}

/// After MAIL: the envelope as far as the protocol cares for it.
pub(super) struct Transaction {
    pub(super) ready: Ready,
    pub(super) body: BodyKind,
    pub(super) smtputf8: bool,
    /// The recipients that were accepted.
    pub(super) recipients: usize,
    /// Whether any recipient was asked about.
    pub(super) attempted: bool,
}

/// Between two chunks of a letter.
pub(super) struct Chunks {
    pub(super) transaction: Transaction,
    /// The octets of the chunks before.
    pub(super) received: u64,
    /// `None` for BINARYMIME.
    pub(super) check: Option<TextCheck>,
}

/// In a login, waiting for the client.
pub(super) struct Login {
    pub(super) ready: Ready,
    pub(super) mechanism: Mechanism,
    pub(super) exchange: ServerExchange,
    /// Who it is about, as soon as that is known.
    pub(super) login: Option<String>,
    /// Whether its failure was noted: a client that is told why has not had its last word.
    pub(super) failed: bool,
}

/// In a letter that came by DATA.
pub(super) struct Text {
    pub(super) transaction: Transaction,
    pub(super) decoder: DotDecoder,
    pub(super) received: u64,
    /// Set when the letter is refused already and only its end is waited for.
    pub(super) refused: Option<Refused>,
}

/// In a chunk of a letter.
pub(super) struct Chunk {
    pub(super) chunks: Chunks,
    pub(super) decoder: ChunkDecoder,
    pub(super) bdat: Bdat,
    pub(super) refused: Option<Refused>,
}

/// Why the rest of a letter is thrown away.
pub(super) struct Refused {
    pub(super) reply: Reply,
    /// Whether the connection ends with it.
    pub(super) close: Option<CloseReason>,
}

/// In a chunk that nobody wants: read by its count, so that it is not taken for commands, then refused.
pub(super) struct Discard {
    pub(super) back: Open,
    pub(super) decoder: ChunkDecoder,
    pub(super) refused: Refused,
    pub(super) blame: Blame,
}

/// What was wrong with a chunk that nobody wants.
pub(super) enum Blame {
    /// It came out of order.
    BadCommand,
    /// It came out of order, sent before the client could know.
    Pipelined,
    /// The letter is refused with it.
    Letter,
}

/// STARTTLS was answered.
pub(super) struct Handshake {
    pub(super) announced: bool,
}

/// Nothing more will be said.
pub(super) struct Ended {
    pub(super) why: CloseReason,
}

/// A question is open; each variant has what its answer needs.
pub(super) enum Asked {
    /// May the peer connect?
    Connect,
    /// EHLO, HELO, LHLO.
    Hello { back: Open, kind: HelloKind },
    /// XCLIENT.
    Xclient(Open),
    /// A login begins.
    AuthBegin { ready: Ready, mechanism: Mechanism, initial: Option<Vec<u8>> },
    /// A login needs to know something.
    Auth(Login),
    /// MAIL.
    Sender { transaction: Transaction, about: String },
    /// RCPT.
    Recipient { transaction: Transaction, about: String },
    /// DATA.
    Text(Transaction),
    /// The first BDAT.
    Chunk { transaction: Transaction, bdat: Bdat },
    /// The letter is complete.
    Message(Transaction),
}

impl Open {
    /// What remains when the letter is given up: nothing of its envelope.
    pub(super) fn without_letter(self, core: &mut Core) -> Self {
        let ready = match self {
            Self::Mail(transaction) => transaction.ready,
            Self::Chunks(chunks) => chunks.transaction.ready,
            open @ (Self::Start(_) | Self::Ready(_)) => return open,
        };
        core.letter_ended();
        core.note(Note::Abandoned);
        Self::Ready(ready)
    }
}

impl Start {
    /// As a state.
    pub(super) fn state(self) -> State {
        State::Open(Open::Start(self))
    }
}

impl Ready {
    /// As a state.
    pub(super) fn state(self) -> State {
        State::Open(Open::Ready(self))
    }
}

impl Transaction {
    /// What remains of a letter that was refused before its end: the rest of it may be on its way already.
    pub(super) fn given_up(self) -> Ready {
        Ready { forgiven: self.recipients.saturating_add(PIPELINED_CHUNKS), ..self.ready }
    }

    /// Where chunks begin.
    pub(super) fn into_chunks(self) -> Chunks {
        let check = (self.body != BodyKind::BinaryMime).then(TextCheck::default);
        Chunks { transaction: self, received: 0, check }
    }
}
