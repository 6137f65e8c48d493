//! XCLIENT (Postfix's `XCLIENT_README`): a server in front of us says whose connection this really is.
//!
//! `XCLIENT attribute=value …`, with values in xtext. It is known only where the profile says so, since whoever may say it may be anybody. Known attributes: NAME,
//! ADDR, PORT, PROTO, HELO. LOGIN is not: who is logged in is found out here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use posthouse_mail::Status;

use super::Turn;
use crate::server::core::Core;
use crate::server::question::{CloseReason, Question, Stage, XclientQuestion};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Open, Start, State};
use crate::server::verdict::Verdict;
use crate::syntax::{ArgumentError, HelloName, xtext};

/// What is announced behind EHLO.
pub(super) const KEYWORD: &str = "XCLIENT NAME ADDR PORT PROTO HELO";
const FORM: ArgumentError = ArgumentError::Form("the form is XCLIENT NAME=, ADDR=, PORT=, PROTO= or HELO= with values in xtext");

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    if !core.profile.xclient {
        return Turn::Go(core.bad(open, Stage::Command, replies::unknown_command()));
    }
    if matches!(open, Open::Mail(_) | Open::Chunks(_)) {
        return Turn::Go(core.bad(open, Stage::Command, replies::in_transaction()));
    }
    match parse(arguments) {
        Ok(question) => Turn::Ask(State::Asked(Asked::Xclient(open)), Question::Xclient(question)),
        Err(error) => Turn::Go(core.bad(open, Stage::Command, replies::arguments(&error, Status::permanent(5, 4)))),
    }
}

/// After [`Question::Xclient`]: the session begins anew, with another client.
pub(in crate::server) fn answered(open: Open, core: &mut Core, verdict: &Verdict) -> State {
    match verdict {
        Verdict::Accept => {
            core.login = None;
            // What was allowed to the server in front is not allowed to everybody behind it.
            core.profile.auth_without_tls = false;
            core.say(&replies::greeting(&core.profile.hostname, core.is_lmtp()));
            Start.state()
        }
        Verdict::Defer(_) | Verdict::Reject(_) => {
            core.refuse(Stage::Connect, None, verdict.reply(replies::ok));
            State::Open(open)
        }
        Verdict::Drop(_) => {
            core.refuse(Stage::Connect, None, verdict.reply(replies::ok));
            State::Ended(Ended { why: CloseReason::Dropped })
        }
    }
}

fn parse(arguments: &str) -> Result<XclientQuestion, ArgumentError> {
    let mut question = XclientQuestion::default();
    let mut count = 0;
    for word in arguments.split(' ') {
        let (name, value) = word.split_once('=').ok_or(FORM)?;
        let value = xtext::decode(value).ok_or(FORM)?;
        let value =
            (!value.eq_ignore_ascii_case("[UNAVAILABLE]") && !value.eq_ignore_ascii_case("[TEMPUNAVAIL]")).then_some(value);
        count += 1;
        match (name.to_ascii_uppercase().as_str(), value) {
            ("ADDR", Some(value)) => question.address = Some(address(&value).ok_or(FORM)?),
            ("PORT", Some(value)) => drop(value.parse::<u16>().map_err(|_| FORM)?),
            ("PROTO", Some(value)) if !["SMTP", "ESMTP"].contains(&value.to_ascii_uppercase().as_str()) => return Err(FORM),
            // A name is found out here, and no other is believed.
            ("NAME" | "PROTO", _) | ("ADDR" | "PORT" | "HELO", None) => {}
            ("HELO", Some(value)) => question.helo = Some(HelloName::parse(&value)?.as_str().to_owned()),
            _ => return Err(FORM),
        }
    }
    if count == 0 { Err(FORM) } else { Ok(question) }
}

/// `192.0.2.1`, or `IPV6:2001:db8::1`.
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5).filter(|prefix| prefix.eq_ignore_ascii_case("IPV6:")) {
        Some(_) => text.get(5..)?.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
    }
}
