//! Logins: the directory compares.

use posthouse_directory::DirectoryError;
use posthouse_mail::Status;
use posthouse_runtime::random;
use posthouse_sasl::Nonce;
use posthouse_smtp::server::{Answer, AuthAnswer, AuthQuestion, Reason, Verdict};

use crate::visit::Visit;

pub(crate) async fn auth(visit: &mut Visit<'_>, question: AuthQuestion) -> Answer {
    let directory = &visit.context.directory;
    visit.candidate = None;
    match question {
        AuthQuestion::Begin(_) => {
            let mut octets = [0; 18];
            random::fill(&mut octets);
            Answer::Auth(AuthAnswer::Begin(Nonce::from_random(octets)))
        }
        AuthQuestion::Password { login, password } => match directory.verify_password(&login, password.reveal()).await {
            Ok(account) => {
                visit.candidate = account;
                Answer::Auth(AuthAnswer::Password(visit.candidate.is_some()))
            }
            Err(error) => not_now(&error),
        },
        AuthQuestion::Keys { login } => {
            let found = async { Ok((directory.scram_keys(&login).await?, directory.account(&login).await?)) };
            match found.await {
                Ok((keys, account)) => {
                    visit.candidate = account;
                    Answer::Auth(AuthAnswer::Keys { keys, seed: *directory.fake_salt_seed() })
                }
                Err(error) => not_now(&error),
            }
        }
    }
}

/// RFC 4954 §6: 454 4.7.0.
fn not_now(error: &DirectoryError) -> Answer {
    tracing::error!(%error, "the directory cannot compare a password");
    Answer::Verdict(Verdict::Defer(Reason::new(454, Status::temporary(7, 0), "log-ins cannot be checked now, try again later")))
}
