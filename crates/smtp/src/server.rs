//! The server half of SMTP (RFC 5321) and LMTP (RFC 2033), without IO.
//!
//! ```text
//! session.receive(now, bytes)      what the peer sent            session.receive_eof(now)
//! session.poll(now) -> Output      what to do next
//! session.answer(now, answer)      the answer to Output::Ask
//! ```
//!
//! The driver polls until [`Output::Wait`], then reads (if [`Session::wants_read`]) until that instant, hands over what it read, and polls again.
//! While a question is open nothing is parsed. The session decides what the protocol decides: order, syntax, limits, line ends. Whether a sender,
//! a recipient or a letter is welcome is asked ([`Question`]) and answered with a [`Verdict`]; one function ([`Verdict::reply`]) turns that into a reply.
//! Every refusal, ours or a verdict's, is also put out as [`Note::Refused`], so that the driver can record it.
//!
//! Each state is one struct, and a state consumes itself: what MAIL and RCPT left behind goes with the struct that held it, so nothing of a refused
//! letter can be left over for the next one. Memory is bounded: the input (64 KiB), the replies held for one write (32 KiB), the envelope's counts.
//! The letter itself flows through ([`Output::Body`]).

mod command;
mod core;
mod letter;
mod profile;
mod question;
mod replies;
mod session;
mod state;
mod verb;
mod verdict;

pub use profile::{Profile, Protocol, Tls};
pub use question::{
    Answer, AuthAnswer, AuthQuestion, CloseReason, HelloKind, Note, Output, Question, RecipientQuestion, Refusal, SenderQuestion,
    Stage, XclientQuestion,
};
pub use session::Session;
pub use verdict::{Reason, Verdict};
