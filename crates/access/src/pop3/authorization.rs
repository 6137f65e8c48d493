//! The AUTHORIZATION state (RFC 1939 §4): who is it?

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthouse_sasl::{Mechanism, ServerExchange, ServerStep};

use super::command::Command;
use super::session::{Answer, Closing, OpenError, Question, Session, State};
use super::transaction::Transaction;

/// Nobody is in yet.
#[derive(Default)]
pub(super) struct Authorization {
    phase: Phase,
    /// Who the client last said it is; for the journal.
    login: String,
    failed: u32,
}

#[derive(Default)]
enum Phase {
    /// Between commands.
    #[default]
    Idle,
    /// USER was given.
    Named { user: String },
    /// PASS was given; the question is open.
    Checking { user: String },
    /// AUTH was given; the nonce is asked for.
    Starting { mechanism: Mechanism, initial: Option<Vec<u8>> },
    /// A challenge is out; the next line answers it.
    Challenged { mechanism: Mechanism, exchange: Box<ServerExchange> },
    /// The exchange asked something.
    Asking { mechanism: Mechanism, exchange: Box<ServerExchange> },
    /// Proved; the mailbox is being opened.
    Opening,
    /// Refused; it is being noted.
    Refusing,
}

/// The same words for every cause, so that nobody learns which users exist.
const REFUSED: &str = "-ERR [AUTH] wrong user name or password";
const TROUBLE: &str = "-ERR [SYS/TEMP] this cannot be checked now, try again later";

impl Authorization {
    pub(super) fn is_waiting(&self) -> bool {
        match self.phase {
            Phase::Checking { .. } | Phase::Starting { .. } | Phase::Asking { .. } | Phase::Opening | Phase::Refusing => true,
            Phase::Idle | Phase::Named { .. } | Phase::Challenged { .. } => false,
        }
    }

    pub(super) fn expects_response(&self) -> bool {
        matches!(self.phase, Phase::Challenged { .. })
    }

    pub(super) fn command(mut self, session: &mut Session, command: Command<'_>) -> State {
        // USER counts only for the command behind it (RFC 1939 §7).
        let user = match std::mem::take(&mut self.phase) {
            Phase::Named { user } => Some(user),
            _other => None,
        };
        match command {
            Command::Capa => capabilities(session),
            Command::Stls => return self.stls(session),
            Command::User(_) | Command::Pass(_) | Command::Auth(Some(_)) if !session.profile.secure => {
                session.say("-ERR [AUTH] no password in plain text: use STLS first, or the port for TLS");
            }
            Command::User(name) => {
                self.phase = Phase::Named { user: name.to_owned() };
                session.say("+OK now PASS");
            }
            Command::Pass(password) => return self.pass(session, user, password),
            Command::Auth(None) => list_mechanisms(session),
            Command::Auth(Some((mechanism, initial))) => return self.auth(session, mechanism, initial),
            Command::Quit => {
                session.hang_up("+OK goodbye", Closing::Quit);
                return State::Over;
            }
            Command::Noop
            | Command::Stat
            | Command::List(_)
            | Command::Uidl(_)
            | Command::Retr(_)
            | Command::Top(..)
            | Command::Dele(_)
            | Command::Rset => session.say("-ERR log in first"),
        }
        State::Authorization(self)
    }

    /// The client's answer to a challenge.
    pub(super) fn response(mut self, session: &mut Session, line: &str) -> State {
        let Phase::Challenged { mechanism, mut exchange } = std::mem::take(&mut self.phase) else {
            return State::Authorization(self);
        };
        if line == "*" {
            session.say("-ERR cancelled");
            return State::Authorization(self);
        }
        let Ok(message) = STANDARD.decode(line) else {
            session.say("-ERR that is not base 64");
            return State::Authorization(self);
        };
        let step = exchange.step(Some(&message));
        self.step(session, mechanism, exchange, step)
    }

    pub(super) fn answer(mut self, session: &mut Session, answer: Answer) -> State {
        match (std::mem::take(&mut self.phase), answer) {
            (Phase::Checking { user }, Answer::Password(true)) => self.open(session, user, Mechanism::Plain),
            (Phase::Checking { user }, Answer::Password(false)) => self.refuse(session, user, Mechanism::Plain),
            (Phase::Starting { mechanism, initial }, Answer::Nonce(random)) => {
                let binding = session.profile.binding;
                let mut exchange = Box::new(ServerExchange::start(mechanism, binding, Session::nonce(random)));
                let step = exchange.step(initial.as_deref());
                self.step(session, mechanism, exchange, step)
            }
            (Phase::Asking { mechanism, mut exchange }, Answer::Password(right)) => {
                let step = exchange.password_result(right);
                self.step(session, mechanism, exchange, step)
            }
            (Phase::Asking { mechanism, mut exchange }, Answer::Keys(keys)) => {
                let step = exchange.keys(keys, &session.profile.fake_salt_seed);
                self.step(session, mechanism, exchange, step)
            }
            (Phase::Opening, Answer::Opened(Ok(entries))) => State::Transaction(Transaction::open(session, entries)),
            (Phase::Opening, Answer::Opened(Err(OpenError::InUse))) => {
                session.say("-ERR [IN-USE] another session has this mailbox");
                State::Authorization(self)
            }
            (Phase::Refusing, _) => self.refused(session),
            _trouble => {
                session.say(TROUBLE);
                State::Authorization(self)
            }
        }
    }

    fn stls(self, session: &mut Session) -> State {
        if session.profile.secure {
            session.say("-ERR TLS is on already");
        } else if !session.profile.tls_available {
            session.say("-ERR TLS is not set up here");
        } else {
            session.starttls();
            return State::Over;
        }
        State::Authorization(self)
    }

    fn pass(mut self, session: &mut Session, user: Option<String>, password: &str) -> State {
        let Some(user) = user else {
            session.say("-ERR USER comes first");
            return State::Authorization(self);
        };
        let prepared =
            posthouse_sasl::prepare_login(&user).and_then(|login| Ok((login, posthouse_sasl::prepare_password(password)?)));
        let Ok((login, password)) = prepared else {
            // What no user or password can be is answered like a wrong one.
            return self.refuse(session, user, Mechanism::Plain);
        };
        session.ask(Question::Password { login: login.clone(), password });
        self.phase = Phase::Checking { user: login };
        State::Authorization(self)
    }

    fn auth(mut self, session: &mut Session, mechanism: &str, initial: Option<&str>) -> State {
        let offered =
            mechanism.parse::<Mechanism>().ok().filter(|&mechanism| session.mechanisms().any(|offer| offer == mechanism));
        let Some(mechanism) = offered else {
            session.say("-ERR this mechanism is not offered here");
            return State::Authorization(self);
        };
        let initial = match initial {
            None => None,
            // RFC 5034 §4: a lone equals sign is an empty initial response.
            Some("=") => Some(Vec::new()),
            Some(text) => match STANDARD.decode(text) {
                Ok(bytes) => Some(bytes),
                Err(_) => {
                    session.say("-ERR that is not base 64");
                    return State::Authorization(self);
                }
            },
        };
        session.ask(Question::Nonce);
        self.phase = Phase::Starting { mechanism, initial };
        State::Authorization(self)
    }

    fn step(mut self, session: &mut Session, mechanism: Mechanism, exchange: Box<ServerExchange>, step: ServerStep) -> State {
        match step {
            ServerStep::Challenge(challenge) => {
                session.say(&format!("+ {}", STANDARD.encode(challenge)));
                self.phase = Phase::Challenged { mechanism, exchange };
            }
            ServerStep::NeedPassword { login, password } => {
                self.login.clone_from(&login);
                session.ask(Question::Password { login, password });
                self.phase = Phase::Asking { mechanism, exchange };
            }
            ServerStep::NeedKeys { login } => {
                self.login.clone_from(&login);
                session.ask(Question::Keys { login });
                self.phase = Phase::Asking { mechanism, exchange };
            }
            ServerStep::Done { login } => return self.open(session, login, mechanism),
            ServerStep::Failed(refusal) if refusal.is_malformed() => {
                session.bad("-ERR that is not a message of the mechanism");
                if session.is_over() {
                    return State::Over;
                }
            }
            ServerStep::Failed(_) => {
                let login = std::mem::take(&mut self.login);
                return self.refuse(session, login, mechanism);
            }
        }
        State::Authorization(self)
    }

    fn open(mut self, session: &mut Session, login: String, mechanism: Mechanism) -> State {
        session.ask(Question::Open { login, mechanism });
        self.phase = Phase::Opening;
        State::Authorization(self)
    }

    fn refuse(mut self, session: &mut Session, login: String, mechanism: Mechanism) -> State {
        session.ask(Question::Refused { login, mechanism });
        self.phase = Phase::Refusing;
        State::Authorization(self)
    }

    fn refused(mut self, session: &mut Session) -> State {
        self.failed += 1;
        if self.failed >= session.profile.limits.failed_logins_max {
            session.hang_up("-ERR [AUTH] wrong user name or password, too often", Closing::Guessing);
            return State::Over;
        }
        session.say(REFUSED);
        State::Authorization(self)
    }
}

/// CAPA (RFC 2449 §5), both states.
pub(super) fn capabilities(session: &mut Session) {
    let mut lines =
        vec!["+OK".to_owned(), "TOP".into(), "UIDL".into(), "RESP-CODES".into(), "AUTH-RESP-CODE".into(), "PIPELINING".into()];
    if session.profile.secure {
        lines.push("USER".into());
        lines.push(format!("SASL {}", session.mechanisms().map(|mechanism| mechanism.name()).collect::<Vec<_>>().join(" ")));
    } else if session.profile.tls_available {
        lines.push("STLS".into());
    }
    lines.extend(["EXPIRE NEVER".into(), "IMPLEMENTATION Posthouse".into(), ".".into()]);
    session.say(&lines.join("\r\n"));
}

/// AUTH without arguments: the list, as clients older than CAPA ask for it.
fn list_mechanisms(session: &mut Session) {
    let mut lines = vec!["+OK".to_owned()];
    lines.extend(session.mechanisms().map(|mechanism| mechanism.name().to_owned()));
    lines.push(".".into());
    session.say(&lines.join("\r\n"));
}
