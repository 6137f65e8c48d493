//! Logins: the directory compares, and says when somebody has guessed enough.

use posthouse_directory::{DirectoryError, Protocol, Slowed};
use posthouse_mail::Status;
use posthouse_runtime::random;
use posthouse_sasl::Nonce;
use posthouse_smtp::server::{Answer, AuthAnswer, AuthQuestion, Reason, Verdict};

use crate::visit::Visit;

pub(crate) async fn auth(visit: &mut Visit<'_>, question: AuthQuestion) -> Answer {
    let directory = &visit.context.directory;
    visit.attempt = None;
    match question {
        AuthQuestion::Begin(_) => {
            let mut octets = [0; 18];
            random::fill(&mut octets);
            Answer::Auth(AuthAnswer::Begin(Nonce::from_random(octets)))
        }
        AuthQuestion::Password { login, password } => {
            let mut attempt = match directory.attempt(&login, Protocol::Smtp, visit.peer) {
                Ok(attempt) => attempt,
                Err(slowed) => return too_often(visit, &login, &slowed),
            };
            let right = attempt.password(password.reveal()).await;
            visit.attempt = Some(Box::new(attempt));
            right.map_or_else(|error| not_now(&error), |right| Answer::Auth(AuthAnswer::Password(right)))
        }
        AuthQuestion::Keys { login, hash } => {
            let mut attempt = match directory.attempt(&login, Protocol::Smtp, visit.peer) {
                Ok(attempt) => attempt,
                Err(slowed) => return too_often(visit, &login, &slowed),
            };
            let keys = attempt.keys(hash).await;
            visit.attempt = Some(Box::new(attempt));
            let seed = *directory.fake_salt_seed();
            keys.map_or_else(|error| not_now(&error), |keys| Answer::Auth(AuthAnswer::Keys { keys, seed }))
        }
        AuthQuestion::Token { login, token } => {
            let mut attempt = match directory.attempt_with_token(login.as_deref(), Protocol::Smtp, visit.peer) {
                Ok(attempt) => attempt,
                Err(slowed) => return too_often(visit, login.as_deref().unwrap_or_default(), &slowed),
            };
            let result = attempt.token(token.reveal()).await;
            visit.attempt = Some(Box::new(attempt));
            result.map_or_else(|error| not_now(&error), |result| Answer::Auth(AuthAnswer::Token(result)))
        }
        AuthQuestion::Certificate { login } => {
            let mut attempt = match directory.attempt_with_certificate(login.as_deref(), Protocol::Smtp, visit.peer) {
                Ok(attempt) => attempt,
                Err(slowed) => return too_often(visit, login.as_deref().unwrap_or_default(), &slowed),
            };
            let whose = match &visit.certificate {
                Some(shown) => attempt.certificate(&shown.emails, &shown.fingerprint).await,
                None => Ok(None),
            };
            visit.attempt = Some(Box::new(attempt));
            whose.map_or_else(|error| not_now(&error), |whose| Answer::Auth(AuthAnswer::Certificate(whose)))
        }
    }
}

/// RFC 5321 §3.8: 421 ends the connection, so that guessing costs a new one each time.
fn too_often(visit: &Visit<'_>, login: &str, slowed: &Slowed) -> Answer {
    tracing::info!(peer = %visit.peer, login, full = slowed.subject.kind.name(), "a log-in was not looked at: {slowed}");
    Answer::Verdict(Verdict::Drop(Reason::new(421, Status::temporary(7, 0), slowed.to_string())))
}

/// RFC 4954 §6: 454 4.7.0.
fn not_now(error: &DirectoryError) -> Answer {
    tracing::error!(%error, "a log-in cannot be checked");
    Answer::Verdict(Verdict::Defer(Reason::new(454, Status::temporary(7, 0), "log-ins cannot be checked now, try again later")))
}
