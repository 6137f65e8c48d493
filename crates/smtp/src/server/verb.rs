//! The commands, one file each, and the table that finds them.
//!
//! A handler takes the state, and gives the next one. It replies through [`Core`]. What only the driver knows it asks for by a state of
//! [`Asked`](super::state::Asked), whose question it puts into [`Turn::Ask`]; an `answered` function goes on from there.

mod auth;
mod bdat;
mod data;
mod hello;
mod mail;
mod other;
mod quit;
mod rcpt;
mod rset;
mod starttls;
mod xclient;

use posthouse_mail::Reply;

use super::core::Core;
use super::question::{CloseReason, Question, Stage};
use super::replies;
use super::state::{Open, State};

pub(super) use auth::{answered as auth_answered, begun as auth_begun, line as auth_line};
pub(super) use bdat::answered as bdat_answered;
pub(super) use data::answered as data_answered;
pub(super) use hello::answered as hello_answered;
pub(super) use mail::answered as mail_answered;
pub(super) use rcpt::answered as rcpt_answered;
pub(super) use xclient::answered as xclient_answered;

/// What a command came to.
pub(super) enum Turn {
    /// The next state.
    Go(State),
    /// The next state, which waits for the answer to this.
    Ask(State, Question),
}

/// A command's handler: the state, what is shared, and what stands behind the verb.
type Handler = fn(Open, &mut Core, &str) -> Turn;

/// Every command by name.
const TABLE: &[(&str, Handler)] = &[
    ("RCPT", rcpt::handle),
    ("MAIL", mail::handle),
    ("DATA", data::handle),
    ("BDAT", bdat::handle),
    ("EHLO", hello::ehlo),
    ("HELO", hello::helo),
    ("LHLO", hello::lhlo),
    ("RSET", rset::handle),
    ("QUIT", quit::handle),
    ("STARTTLS", starttls::handle),
    ("AUTH", auth::handle),
    ("XCLIENT", xclient::handle),
    ("NOOP", other::noop),
    ("VRFY", other::vrfy),
    ("HELP", other::help),
    // RFC 5321 §3.5.3 lets a server withhold lists; RFC 1985 and TURN (RFC 821) are ways to be made to send mail elsewhere.
    ("EXPN", other::not_implemented),
    ("ETRN", other::not_implemented),
    ("TURN", other::not_implemented),
    ("ATRN", other::not_implemented),
    // A browser that is made to talk to us (ALPACA, cross-protocol scripting) never gets to the lines it has smuggled into its request.
    ("GET", other::http),
    ("HEAD", other::http),
    ("POST", other::http),
    ("PUT", other::http),
    ("DELETE", other::http),
    ("OPTIONS", other::http),
    ("CONNECT", other::http),
    ("TRACE", other::http),
    ("PATCH", other::http),
    ("PRI", other::http),
];

/// Those that bring no letter nearer: without a limit a peer could keep us busy with them for ever.
const IDLE: &[&str] = &["EHLO", "HELO", "LHLO", "RSET", "NOOP", "VRFY", "HELP"];

/// Says no to a command that comes too early or too late.
fn out_of_order(mut open: Open, core: &mut Core, stage: Stage, reply: Reply) -> Turn {
    if was_pipelined(&mut open) {
        core.refuse(stage, None, reply);
        return Turn::Go(State::Open(open));
    }
    Turn::Go(core.bad(open, stage, reply))
}

/// Whether a command that is out of order was sent in good faith: behind a MAIL, or behind recipients, that we refused.
fn was_pipelined(open: &mut Open) -> bool {
    match open {
        Open::Ready(ready) if ready.forgiven > 0 => {
            ready.forgiven -= 1;
            true
        }
        Open::Mail(transaction) => std::mem::take(&mut transaction.attempted),
        Open::Start(_) | Open::Ready(_) | Open::Chunks(_) => false,
    }
}

/// Finds the verb and runs it.
pub(super) fn dispatch(open: Open, core: &mut Core, verb: &str, arguments: &str) -> Turn {
    match TABLE.iter().find(|(name, _)| verb.eq_ignore_ascii_case(name)) {
        Some((name, _)) if IDLE.contains(name) && core.count_idle_command() => {
            Turn::Go(core.end(Stage::Command, replies::too_many_idle_commands(), CloseReason::TooMany))
        }
        Some((_, handler)) => handler(open, core, arguments),
        None => Turn::Go(core.bad(open, Stage::Command, replies::unknown_command())),
    }
}
