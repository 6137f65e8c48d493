//! EHLO, HELO (RFC 5321 §4.1.1.1) and LHLO (RFC 2033 §4.1).

use posthouse_mail::{Reply, Status};
use posthouse_sasl::Mechanism;

use super::{Turn, xclient};
use crate::server::core::Core;
use crate::server::question::{CloseReason, HelloKind, Question, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Open, Ready, State};
use crate::server::verdict::Verdict;
use crate::syntax::HelloName;

pub(super) fn ehlo(open: Open, core: &mut Core, arguments: &str) -> Turn {
    hello(open, core, HelloKind::Ehlo, arguments)
}

pub(super) fn helo(open: Open, core: &mut Core, arguments: &str) -> Turn {
    hello(open, core, HelloKind::Helo, arguments)
}

pub(super) fn lhlo(open: Open, core: &mut Core, arguments: &str) -> Turn {
    hello(open, core, HelloKind::Lhlo, arguments)
}

fn hello(open: Open, core: &mut Core, kind: HelloKind, arguments: &str) -> Turn {
    // RFC 2033 §4.1: each protocol refuses the other's greeting.
    if core.is_lmtp() != (kind == HelloKind::Lhlo) {
        return Turn::Go(core.bad(open, Stage::Hello, replies::unknown_command()));
    }
    match HelloName::parse(arguments) {
        Ok(name) => {
            let question = Question::Hello { kind, name: name.as_str().to_owned() };
            Turn::Ask(State::Asked(Asked::Hello { back: open, kind }), question)
        }
        Err(error) => Turn::Go(core.bad(open, Stage::Hello, replies::arguments(&error, Status::permanent(5, 4)))),
    }
}

/// After [`Question::Hello`]. An accepted greeting clears the transaction (RFC 5321 §4.1.4), a refused one changes nothing.
pub(in crate::server) fn answered(back: Open, kind: HelloKind, core: &mut Core, verdict: &Verdict) -> State {
    let reply = verdict.reply(|| match kind {
        HelloKind::Helo => Reply::bare(250, &core.profile.hostname),
        HelloKind::Ehlo | HelloKind::Lhlo => extensions(core),
    });
    core.say_or_refuse(Stage::Hello, None, reply);
    match verdict {
        Verdict::Accept => {
            // For its note; the state it gives is replaced.
            let _ = back.without_letter(core);
            Ready { extended: kind != HelloKind::Helo, forgiven: 0 }.state()
        }
        Verdict::Defer(_) | Verdict::Reject(_) => State::Open(back),
        Verdict::Drop(_) => State::Ended(Ended { why: CloseReason::Dropped }),
    }
}

fn extensions(core: &Core) -> Reply {
    let profile = &core.profile;
    let mut lines = vec![format!("{} at your service", profile.hostname)];
    lines.extend(["PIPELINING".to_owned(), format!("SIZE {}", profile.letter_bytes_max)]);
    lines.extend(["8BITMIME", "BINARYMIME", "CHUNKING", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN"].map(str::to_owned));
    lines.push(format!("LIMITS MAILMAX={} RCPTMAX={}", profile.letters_max, profile.recipients_max));
    lines.push("MT-PRIORITY".to_owned());
    lines.extend(profile.deliver_by_seconds_min.map(|min| match min {
        0 => "DELIVERBY".to_owned(),
        min => format!("DELIVERBY {min}"),
    }));
    lines.extend(profile.future_release.map(|limit| format!("FUTURERELEASE {limit}")));
    // RFC 8689 §2.
    if core.tls.is_some() {
        lines.push("REQUIRETLS".to_owned());
    }
    if profile.starttls && core.tls.is_none() {
        lines.push("STARTTLS".to_owned());
    }
    let mechanisms: Vec<&str> = offered(core).map(Mechanism::name).collect();
    // RFC 4954 §4.3 says nothing of a second AUTH, so the offer ends with the login.
    if !mechanisms.is_empty() && core.login.is_none() {
        lines.push(format!("AUTH {}", mechanisms.join(" ")));
    }
    if profile.xclient {
        lines.push(xclient::KEYWORD.to_owned());
    }
    Reply::bare(250, "").with_lines(lines)
}

/// The mechanisms that can be used on this connection as it is.
pub(super) fn offered(core: &Core) -> impl Iterator<Item = Mechanism> {
    let (allowed, tls) = (may_log_in(core), core.tls.unwrap_or_default());
    let mechanisms = core.profile.mechanisms.iter().copied();
    mechanisms.filter(move |mechanism| {
        allowed && (tls.bindings.is_available() || !mechanism.is_bound()) && (tls.certified || *mechanism != Mechanism::External)
    })
}

/// Whether AUTH may be used outside or inside TLS, as the connection is.
pub(super) fn may_log_in(core: &Core) -> bool {
    core.tls.is_some() || core.profile.auth_without_tls
}
