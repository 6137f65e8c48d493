//! AUTH (RFC 4954): the base64 and the replies around a SASL exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthouse_mail::{Reply, Status};
use posthouse_sasl::{Mechanism, Nonce, Refusal as SaslRefusal, ServerExchange, ServerStep};

use super::Turn;
use super::hello::{may_log_in, offered};
use crate::server::core::Core;
use crate::server::question::{AuthAnswer, AuthQuestion, CloseReason, Note, Question, Stage};
use crate::server::replies;
use crate::server::state::{Asked, Ended, Login, Open, Ready, State};
use crate::server::verdict::Verdict;
use crate::syntax::ArgumentError;

pub(super) fn handle(open: Open, core: &mut Core, arguments: &str) -> Turn {
    let Open::Ready(ready) = open else {
        let refusal = if matches!(open, Open::Start(_)) { replies::hello_first() } else { replies::in_transaction() };
        return Turn::Go(core.bad(open, Stage::Auth, refusal));
    };
    let (name, initial) = match arguments.split_once(' ') {
        Some((name, initial)) => (name, Some(initial)),
        None => (arguments, None),
    };
    let mechanism = name.parse::<Mechanism>().ok().filter(|mechanism| offered(core).any(|offer| offer == *mechanism));
    let refusal = match (mechanism, initial.map(decode)) {
        _ if core.profile.mechanisms.is_empty() || !ready.extended => replies::not_implemented(),
        _ if core.login.is_some() => replies::already_logged_in(),
        _ if !may_log_in(core) => replies::login_needs_tls(),
        _ if name.is_empty() => {
            replies::arguments(&ArgumentError::Form("the form is AUTH mechanism [initial response]"), Status::permanent(5, 4))
        }
        (None, _) => replies::mechanism_unknown(),
        (_, Some(None)) => replies::login_base64(),
        (Some(mechanism), initial) => {
            let asked = Asked::AuthBegin { ready, mechanism, initial: initial.flatten() };
            return Turn::Ask(State::Asked(asked), Question::Auth(AuthQuestion::Begin(mechanism)));
        }
    };
    Turn::Go(core.bad(Open::Ready(ready), Stage::Auth, refusal))
}

/// After [`AuthQuestion::Begin`].
pub(in crate::server) fn begun(
    ready: Ready,
    mechanism: Mechanism,
    initial: Option<&[u8]>,
    core: &mut Core,
    answer: Result<Nonce, Verdict>,
) -> Turn {
    let nonce = match answer {
        Ok(nonce) => nonce,
        Err(verdict) => return Turn::Go(refused(ready, core, &verdict)),
    };
    // The exchange is told of a binding exactly when -PLUS is in the offer (RFC 5802 §6).
    let plus_offered = offered(core).any(Mechanism::is_bound);
    let bindings = core.tls.filter(|_| plus_offered).map(|tls| tls.bindings).unwrap_or_default();
    let mut exchange = ServerExchange::start(mechanism, bindings, nonce);
    let step = exchange.step(initial);
    go_on(Login { ready, mechanism, exchange, login: None, failed: false }, core, step)
}

/// After [`AuthQuestion::Password`], [`AuthQuestion::Keys`], [`AuthQuestion::Token`] and [`AuthQuestion::Certificate`].
pub(in crate::server) fn answered(mut login: Login, core: &mut Core, answer: Result<AuthAnswer, Verdict>) -> Turn {
    let step = match answer {
        Ok(AuthAnswer::Password(right)) => login.exchange.password_result(right),
        Ok(AuthAnswer::Keys { keys, seed }) => login.exchange.keys(keys, &seed),
        Ok(AuthAnswer::Token(result)) => {
            // Noted before the client is told: one that goes away without a further word has failed as well.
            if result.is_err() {
                note_failure(&mut login, core, &SaslRefusal::Token.to_string());
            }
            login.exchange.token_result(result)
        }
        Ok(AuthAnswer::Certificate(whose)) => login.exchange.identity_result(whose),
        Ok(AuthAnswer::Begin(_)) => ServerStep::Failed(SaslRefusal::Order),
        Err(verdict) => return Turn::Go(refused(login.ready, core, &verdict)),
    };
    go_on(login, core, step)
}

/// A line of the client's within the exchange.
pub(in crate::server) fn line(mut login: Login, core: &mut Core, line: &str) -> Turn {
    // RFC 4954 §4: the client gives up.
    if line == "*" {
        return Turn::Go(fail(login, core, "cancelled", replies::login_cancelled()));
    }
    // Nothing at all is an empty response; `=` is one only behind the command.
    let message = if line.is_empty() { Some(Vec::new()) } else { STANDARD.decode(line).ok() };
    match message {
        Some(message) => {
            let step = login.exchange.step(Some(&message));
            go_on(login, core, step)
        }
        None => Turn::Go(fail(login, core, "not base64", replies::login_base64())),
    }
}

fn go_on(mut login: Login, core: &mut Core, step: ServerStep) -> Turn {
    match step {
        ServerStep::Challenge(challenge) => {
            core.say_challenge(&STANDARD.encode(challenge));
            core.allow(core.profile.command_timeout);
            Turn::Go(State::Login(login))
        }
        ServerStep::NeedPassword { login: name, password } => {
            login.login = Some(name.clone());
            Turn::Ask(State::Asked(Asked::Auth(login)), Question::Auth(AuthQuestion::Password { login: name, password }))
        }
        ServerStep::NeedKeys { login: name, hash } => {
            login.login = Some(name.clone());
            Turn::Ask(State::Asked(Asked::Auth(login)), Question::Auth(AuthQuestion::Keys { login: name, hash }))
        }
        ServerStep::NeedToken { login: name, token } => {
            login.login.clone_from(&name);
            Turn::Ask(State::Asked(Asked::Auth(login)), Question::Auth(AuthQuestion::Token { login: name, token }))
        }
        ServerStep::NeedIdentity { login: name } => {
            login.login.clone_from(&name);
            Turn::Ask(State::Asked(Asked::Auth(login)), Question::Auth(AuthQuestion::Certificate { login: name }))
        }
        ServerStep::Done { login: name } => {
            core.note(Note::Login { login: Some(name.clone()), mechanism: login.mechanism, failure: None });
            core.login = Some(name);
            core.say(&replies::login_ok());
            Turn::Go(login.ready.state())
        }
        ServerStep::Failed(why) => {
            let reply = if why.is_malformed() { replies::login_malformed() } else { replies::login_failed() };
            Turn::Go(fail(login, core, &why.to_string(), reply))
        }
    }
}

fn note_failure(login: &mut Login, core: &mut Core, why: &str) {
    if !std::mem::replace(&mut login.failed, true) {
        core.note(Note::Login { login: login.login.clone(), mechanism: login.mechanism, failure: Some(why.to_owned()) });
    }
}

fn fail(mut login: Login, core: &mut Core, why: &str, reply: Reply) -> State {
    note_failure(&mut login, core, why);
    if core.count_auth_failure() {
        // The reply to the login itself comes first: the client shall know that the password was wrong.
        core.say(&reply);
        core.say(&replies::too_many_logins());
        return State::Ended(Ended { why: CloseReason::AuthFailures });
    }
    core.say(&reply);
    login.ready.state()
}

fn refused(ready: Ready, core: &mut Core, verdict: &Verdict) -> State {
    // An acceptance is no answer to these questions.
    core.say_or_refuse(Stage::Auth, None, verdict.reply(replies::internal));
    match verdict {
        Verdict::Drop(_) => State::Ended(Ended { why: CloseReason::Dropped }),
        Verdict::Accept | Verdict::Defer(_) | Verdict::Reject(_) => ready.state(),
    }
}

/// `initial-response = base64 / "="` (RFC 4954 §4).
fn decode(initial: &str) -> Option<Vec<u8>> {
    if initial == "=" { Some(Vec::new()) } else { STANDARD.decode(initial).ok() }
}
