//! The TRANSACTION and UPDATE states: what is done with the messages.

use super::{Closed, Command, Dots, Listing, OUT_BYTES, Output, Question, Sending, Session, State};

const NO_SUCH: &str = "there is no such message";
const UNREADABLE: &str = "[SYS/TEMP] the message cannot be read now";

impl Session {
    pub(super) fn transact(&mut self, command: &Command<'_>) {
        let State::Transaction(maildrop) = &mut self.state else { return self.err("log in first") };
        match *command {
            Command::Stat => {
                let (count, octets) = maildrop.stat();
                self.ok(&format!("{count} {octets}"));
            }
            Command::List(None) => {
                let (count, octets) = maildrop.stat();
                self.list(false, &format!("{count} messages, {octets} octets"));
            }
            Command::Uidl(None) => self.list(true, "the unique-ids"),
            Command::List(Some(number)) => self.one(number, false),
            Command::Uidl(Some(number)) => self.one(number, true),
            Command::Retr(number) => self.send(number, None),
            Command::Top(number, lines) => self.send(number, Some(lines)),
            Command::Dele(number) => {
                if maildrop.delete(number) {
                    self.ok("marked as deleted");
                } else {
                    self.err(NO_SUCH);
                }
            }
            Command::Noop => self.ok("nothing done"),
            Command::Rset => {
                maildrop.reset();
                let (count, octets) = maildrop.stat();
                self.ok(&format!("{count} messages, {octets} octets"));
            }
            Command::Capa
            | Command::Stls
            | Command::Utf8
            | Command::User(_)
            | Command::Pass(_)
            | Command::Auth { .. }
            | Command::Quit
            | Command::Foreign
            | Command::BadArguments
            | Command::Unknown => self.bad("unknown command"),
        }
    }

    fn one(&mut self, number: usize, unique_id: bool) {
        let State::Transaction(maildrop) = &self.state else { return };
        let Some(message) = maildrop.message(number) else { return self.err(NO_SUCH) };
        let text = if unique_id { message.unique_id() } else { message.size.to_string() };
        self.ok(&format!("{number} {text}"));
    }

    fn list(&mut self, unique_ids: bool, text: &str) {
        self.ok(text);
        if let State::Transaction(maildrop) = &mut self.state {
            self.state = State::Listing(std::mem::take(maildrop), Listing { unique_ids, next: 1 });
        }
    }

    /// Puts out as much of a list as is sent at once: the list of a large mailbox is never in memory as a whole.
    pub(super) fn list_on(&mut self) {
        let State::Listing(maildrop, listing) = &mut self.state else { return };
        while self.out.len() < OUT_BYTES {
            let Some((number, message)) = maildrop.from(listing.next) else {
                self.out.extend_from_slice(b".\r\n");
                self.state = State::Transaction(std::mem::take(maildrop));
                return;
            };
            let text = if listing.unique_ids { message.unique_id() } else { message.size.to_string() };
            self.out.extend_from_slice(format!("{number} {text}\r\n").as_bytes());
            listing.next = number + 1;
        }
    }

    /// Asks for a message, to send the whole or its header and some lines.
    fn send(&mut self, number: usize, lines: Option<u64>) {
        let State::Transaction(maildrop) = &mut self.state else { return };
        let Some(message) = maildrop.message(number) else { return self.err(NO_SUCH) };
        let (uid, size) = (message.uid, message.size);
        let dots = lines.map_or_else(Dots::whole, Dots::top);
        let sending = Sending { uid, size, dots, whole: lines.is_none(), begun: false };
        self.state = State::Sending(std::mem::take(maildrop), sending);
        self.question = Some(Question::Message { uid });
    }

    /// The answer to [`Question::Message`]: whether the message is open.
    pub(crate) fn message(&mut self, open: bool) {
        let State::Sending(_, sending) = &mut self.state else { return };
        if !open {
            self.back();
            return self.err(UNREADABLE);
        }
        sending.begun = true;
        let text = if sending.whole { format!("{} octets", sending.size) } else { "the top follows".to_owned() };
        self.ok(&text);
    }

    /// The next chunk of the message, `None` at its end. Says whether more of it is wanted.
    pub(crate) fn chunk(&mut self, chunk: Option<&[u8]>) -> bool {
        let State::Sending(maildrop, sending) = &mut self.state else { return false };
        if let Some(chunk) = chunk
            && sending.dots.chunk(chunk, &mut self.out)
        {
            return true;
        }
        sending.dots.end(&mut self.out);
        if sending.whole {
            let uid = sending.uid;
            maildrop.fetched(uid);
            self.note = Some(Output::Fetched(uid));
        }
        self.back();
        false
    }

    /// The message broke off: the client must not take what it has for the whole, so the end is never sent.
    pub(crate) fn broken(&mut self) {
        self.out.clear();
        self.state = State::Ended;
    }

    /// The answer to [`Question::Update`].
    pub(crate) fn updated(&mut self, done: Result<(), Closed>) {
        self.state = State::Ended;
        match done {
            Ok(()) => self.ok("goodbye"),
            Err(Closed::Failed | Closed::InUse) => self.err("[SYS/TEMP] the deleted messages were not removed"), // RFC 1939 §6
        }
    }

    fn back(&mut self) {
        if let State::Sending(maildrop, _) = &mut self.state {
            self.state = State::Transaction(std::mem::take(maildrop));
        }
    }
}
