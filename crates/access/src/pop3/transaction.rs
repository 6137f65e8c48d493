//! The TRANSACTION state (RFC 1939 §5) and the UPDATE that QUIT begins (§6).

use super::authorization::capabilities;
use super::command::{Command, Number};
use super::session::{Answer, Closing, Entry, Question, Session, State};

/// A mailbox as it was when the session opened it; message numbers are places in it.
pub(super) struct Transaction {
    messages: Vec<Message>,
    waiting: Option<Waiting>,
}

struct Message {
    entry: Entry,
    deleted: bool,
}

#[derive(PartialEq, Eq)]
enum Waiting {
    Body,
    Removal,
}

impl Transaction {
    pub(super) fn open(session: &mut Session, entries: Vec<Entry>) -> Self {
        let messages: Vec<_> = entries.into_iter().map(|entry| Message { entry, deleted: false }).collect();
        let state = Self { messages, waiting: None };
        let (count, octets) = state.totals();
        session.say(&format!("+OK {count} messages ({octets} octets)"));
        state
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn body_sent(&mut self) {
        self.waiting = None;
    }

    pub(super) fn command(mut self, session: &mut Session, command: Command<'_>) -> State {
        match command {
            Command::Capa => capabilities(session),
            Command::Stat => {
                let (count, octets) = self.totals();
                session.say(&format!("+OK {count} {octets}"));
            }
            Command::List(number) => self.listing(session, number, |entry| entry.size.to_string()),
            Command::Uidl(number) => self.listing(session, number, |entry| entry.uidl.clone()),
            Command::Retr(number) => self.retrieve(session, number, None),
            Command::Top(number, lines) => self.retrieve(session, number, Some(lines)),
            Command::Dele(number) => self.delete(session, number),
            Command::Noop => session.say("+OK"),
            Command::Rset => {
                self.messages.iter_mut().for_each(|message| message.deleted = false);
                session.say("+OK nothing is marked as deleted");
            }
            Command::Quit => return self.quit(session),
            Command::Stls | Command::User(_) | Command::Pass(_) | Command::Auth(_) => session.say("-ERR you are in already"),
        }
        State::Transaction(self)
    }

    pub(super) fn answer(mut self, session: &mut Session, answer: Answer) -> State {
        match (self.waiting.take(), answer) {
            (Some(Waiting::Removal), Answer::Removed(true)) => {
                session.hang_up("+OK goodbye", Closing::Quit);
                State::Over
            }
            (Some(Waiting::Removal), _) => {
                // RFC 1939 §6: the client hears that some may not be gone.
                session.hang_up("-ERR [SYS/TEMP] some messages could not be removed", Closing::Trouble);
                State::Over
            }
            (waiting, _) => {
                self.waiting = waiting;
                State::Transaction(self)
            }
        }
    }

    fn present(&self, number: Number) -> Option<&Message> {
        let index = usize::try_from(number.get()).ok()?.checked_sub(1)?;
        self.messages.get(index).filter(|message| !message.deleted)
    }

    fn totals(&self) -> (usize, u64) {
        let present = self.messages.iter().filter(|message| !message.deleted);
        present.fold((0, 0), |(count, octets), message| (count + 1, octets + message.entry.size))
    }

    /// LIST and UIDL: one line for one message, or a line each for all.
    fn listing(&self, session: &mut Session, number: Option<Number>, show: impl Fn(&Entry) -> String) {
        if let Some(number) = number {
            return match self.present(number) {
                Some(message) => session.say(&format!("+OK {number} {}", show(&message.entry))),
                None => session.say("-ERR no such message"),
            };
        }
        let mut reply = String::from("+OK\r\n");
        for (message, number) in self.messages.iter().zip(1u32..).filter(|(message, _)| !message.deleted) {
            reply.push_str(&format!("{number} {}\r\n", show(&message.entry)));
        }
        reply.push('.');
        session.say(&reply);
    }

    fn retrieve(&mut self, session: &mut Session, number: Number, lines: Option<u32>) {
        let Some(message) = self.present(number) else { return session.say("-ERR no such message") };
        let uid = message.entry.uid;
        match lines {
            None => session.say(&format!("+OK {} octets", message.entry.size)),
            Some(_) => session.say("+OK"),
        }
        session.ask(Question::Body { uid });
        session.begin_body(lines);
        self.waiting = Some(Waiting::Body);
    }

    fn delete(&mut self, session: &mut Session, number: Number) {
        let index = usize::try_from(number.get()).unwrap_or(usize::MAX) - 1;
        match self.messages.get_mut(index).filter(|message| !message.deleted) {
            Some(message) => {
                message.deleted = true;
                session.say(&format!("+OK message {number} will be removed at QUIT"));
            }
            None => session.say("-ERR no such message"),
        }
    }

    fn quit(mut self, session: &mut Session) -> State {
        let uids: Vec<_> = self.messages.iter().filter(|message| message.deleted).map(|message| message.entry.uid).collect();
        if uids.is_empty() {
            session.hang_up("+OK goodbye", Closing::Quit);
            return State::Over;
        }
        session.ask(Question::Remove { uids });
        self.waiting = Some(Waiting::Removal);
        State::Transaction(self)
    }
}
