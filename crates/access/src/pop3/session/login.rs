//! The AUTHORIZATION state: STLS, USER and PASS, AUTH.
//!
//! USER and PASS run as the mechanism PLAIN, so that there is one way in. Before TLS every attempt is refused before its password is looked at.
//! A wrong password and an unknown login get the same answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use posthouse_mailbox::Message;
use posthouse_sasl::{
    Bindings, FAKE_SALT_SEED_BYTES, Mechanism, Nonce, Refusal, ScramHash, ScramKeys, ServerExchange, ServerStep, TokenRefusal,
};

use super::{Authorization, Closed, Command, Login, Maildrop, Output, Question, Session, State};

/// What the directory says of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// It was not looked at: too many were wrong before.
    Slowed(String),
    /// It could not be asked.
    Failed,
}

const TLS_FIRST: &str = "this server takes no password before STLS";
const WRONG: &str = "[AUTH] wrong login or password"; // RFC 3206 §4
const FAILED: &str = "[SYS/TEMP] a fault of this server; try again later";

impl Session {
    pub(super) fn authorize(&mut self, command: &Command<'_>) {
        let State::Authorization(authorization) = &mut self.state else {
            return self.err("you are logged in already");
        };
        match (command, self.secure) {
            (Command::Stls, None) if self.config.tls => {
                self.state = State::Securing;
                self.ok("begin TLS");
            }
            (Command::Stls, None) => self.err("there is no TLS here"),
            (Command::Stls, Some(_)) => self.err("this is under TLS already"),
            // RFC 6856 §2.1. Messages go out as they came in, with this command or without.
            (Command::Utf8, _) => self.ok("UTF-8 is welcome"),
            (_, None) => self.err(TLS_FIRST),
            (Command::User(name), Some(_)) => {
                authorization.user = Some((*name).to_owned());
                self.ok("and the password?"); // whoever it is: names are not told apart here
            }
            (Command::Pass(password), Some(_)) => match authorization.user.take() {
                Some(user) => self.pass(&user, password),
                None => self.err("USER comes first"),
            },
            (Command::Auth { mechanism, initial }, Some(bindings)) => self.auth(mechanism, *initial, bindings),
            (_, Some(_)) => self.bad("unknown command"),
        }
    }

    /// The mechanisms for this connection, best first.
    pub(super) fn offered(&self) -> impl Iterator<Item = Mechanism> + use<> {
        let binds = self.secure.is_some_and(|bindings| bindings.is_available());
        let (scram, sha1) = (self.config.scram, self.config.scram_sha1);
        let (tokens, certified) = (self.config.tokens, self.certified);
        let fits = move |mechanism: &Mechanism| {
            (binds || !mechanism.is_bound())
                && (tokens || !mechanism.takes_token())
                && (scram || mechanism.scram_hash().is_none())
                && (sha1 || mechanism.scram_hash() != Some(ScramHash::Sha1))
                && (certified || *mechanism != Mechanism::External)
        };
        Mechanism::ALL.into_iter().filter(fits)
    }

    fn pass(&mut self, user: &str, password: &str) {
        self.begin(Mechanism::Plain, "USER", Bindings::default());
        self.step(Some(format!("\0{user}\0{password}").as_bytes()));
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>, bindings: Bindings) {
        let offered = mechanism.parse().ok().filter(|&mechanism| self.offered().any(|one| one == mechanism));
        let Some(mechanism) = offered else { return self.bad("that mechanism is not offered") };
        self.begin(mechanism, mechanism.name(), bindings);
        match initial {
            None => self.step(None),
            Some("=") => self.step(Some(b"")), // RFC 5034 §4: an initial response that is empty
            Some(initial) => self.login_line(initial.as_bytes()),
        }
    }

    fn begin(&mut self, mechanism: Mechanism, shown: &'static str, bindings: Bindings) {
        let exchange = ServerExchange::start(mechanism, bindings, Nonce::from_random((self.config.nonce)()));
        self.state =
            State::Login(Box::new(Login { exchange, mechanism: shown, who: String::new(), challenged: false, failed: false }));
    }

    /// A line of the client inside an exchange.
    pub(super) fn login_line(&mut self, line: &[u8]) {
        if line == b"*" {
            self.state = State::Authorization(Authorization::default());
            return self.err("given up, as you wish"); // RFC 5034 §4
        }
        match STANDARD.decode(line) {
            Ok(message) => self.step(Some(&message)),
            Err(_) => self.refuse(Refusal::Malformed),
        }
    }

    fn step(&mut self, message: Option<&[u8]>) {
        if let State::Login(login) = &mut self.state {
            let step = login.exchange.step(message);
            self.proceed(step);
        }
    }

    fn proceed(&mut self, step: ServerStep) {
        let State::Login(login) = &mut self.state else { return };
        match step {
            ServerStep::Challenge(challenge) => {
                login.challenged = true;
                let challenge = STANDARD.encode(challenge);
                self.reply("+", &challenge);
            }
            ServerStep::NeedPassword { login: who, password } => {
                login.who.clone_from(&who);
                self.question = Some(Question::Password { login: who, password });
            }
            ServerStep::NeedKeys { login: who, hash } => {
                login.who.clone_from(&who);
                self.question = Some(Question::Keys { login: who, hash });
            }
            ServerStep::NeedToken { login: who, token } => {
                login.who = who.clone().unwrap_or_default();
                self.question = Some(Question::Token { login: who, token });
            }
            ServerStep::NeedIdentity { login: who } => {
                login.who = who.clone().unwrap_or_default();
                self.question = Some(Question::Certificate { login: who });
            }
            ServerStep::Done { login: who } => {
                let mechanism = login.mechanism;
                self.question = Some(Question::Open { login: who, mechanism });
            }
            ServerStep::Failed(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        let State::Login(login) = std::mem::replace(&mut self.state, State::Authorization(Authorization::default())) else {
            return;
        };
        let is_begun = !login.who.is_empty() || refusal == Refusal::Certificate;
        if is_begun && !login.failed {
            self.note = Some(Output::LoginFailed { login: login.who, mechanism: login.mechanism });
        }
        // PASS holds no message of a mechanism that could be malformed.
        if refusal.is_malformed() && login.mechanism != "USER" {
            return self.bad("that is not a message of this mechanism");
        }
        self.wrong_passwords += 1;
        if self.wrong_passwords >= self.config.wrong_passwords_max {
            return self.give_up(WRONG);
        }
        self.err(WRONG);
    }

    /// The answer to [`Question::Password`].
    pub(crate) fn password(&mut self, verdict: Verdict) {
        let State::Login(login) = &mut self.state else { return };
        match verdict {
            Verdict::Failed => self.fail(),
            Verdict::Slowed(words) => self.slowed(&words),
            Verdict::Right | Verdict::Wrong => {
                let step = login.exchange.password_result(verdict == Verdict::Right);
                self.proceed(step);
            }
        }
    }

    /// The answer to [`Question::Keys`]: the keys, if there is such a login; `Err` if it could not be looked up.
    pub(crate) fn keys(&mut self, keys: Result<Option<ScramKeys>, Verdict>, seed: &[u8; FAKE_SALT_SEED_BYTES]) {
        let State::Login(login) = &mut self.state else { return };
        match keys {
            Err(Verdict::Slowed(words)) => self.slowed(&words),
            Err(Verdict::Right | Verdict::Wrong | Verdict::Failed) => self.fail(),
            Ok(keys) => {
                let step = login.exchange.keys(keys, seed);
                self.proceed(step);
            }
        }
    }

    /// The answer to [`Question::Token`]: whose it is, or what the client hears; `Err` if it was not looked at.
    pub(crate) fn token(&mut self, result: Result<Result<String, TokenRefusal>, Verdict>) {
        let State::Login(login) = &mut self.state else { return };
        match result {
            Err(Verdict::Slowed(words)) => self.slowed(&words),
            Err(Verdict::Right | Verdict::Wrong | Verdict::Failed) => self.fail(),
            Ok(result) => {
                // Written down before the client is told: one that goes away without a further word has failed as well.
                if result.is_err() {
                    login.failed = true;
                    self.note = Some(Output::LoginFailed { login: login.who.clone(), mechanism: login.mechanism });
                }
                let step = login.exchange.token_result(result);
                self.proceed(step);
            }
        }
    }

    /// The answer to [`Question::Certificate`]: whose it is; `Err` if it was not looked at.
    pub(crate) fn certificate(&mut self, whose: Result<Option<String>, Verdict>) {
        let State::Login(login) = &mut self.state else { return };
        match whose {
            Err(Verdict::Slowed(words)) => self.slowed(&words),
            Err(Verdict::Right | Verdict::Wrong | Verdict::Failed) => self.fail(),
            Ok(whose) => {
                let step = login.exchange.identity_result(whose);
                self.proceed(step);
            }
        }
    }

    /// The answer to [`Question::Open`].
    pub(crate) fn opened(&mut self, opened: Result<Vec<Message>, Closed>) {
        match opened {
            Ok(messages) => {
                let maildrop = Maildrop::new(messages);
                let (count, octets) = maildrop.stat();
                self.state = State::Transaction(maildrop);
                self.ok(&format!("{count} messages, {octets} octets"));
            }
            Err(Closed::InUse) => {
                self.state = State::Authorization(Authorization::default());
                self.err("[IN-USE] another session has this mailbox"); // RFC 2449 §8.1.1
            }
            Err(Closed::Failed) => self.fail(),
        }
    }

    /// RFC 3206 §3: not the user's doing, and to be tried later; a client that hears of a wrong password would ask for another.
    fn slowed(&mut self, words: &str) {
        self.give_up(&format!("[SYS/TEMP] {words}"));
    }

    fn fail(&mut self) {
        self.state = State::Authorization(Authorization::default());
        self.err(FAILED);
    }
}
