//! One letter: its envelope, its octets, and a result for each recipient.
//!
//! With PIPELINING the whole envelope leaves in one write, together with DATA or the first BDAT; without, step by step. Replies are matched in order
//! with what was sent ([`Expected`]). The end of the letter is sent only after every octet was given and checked; what cannot be ended so is never
//! ended, and the connection has to be dropped ([`Letter::must_drop`]).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use posthouse_mail::{BodyKind, Envelope, Reply, Status, UnixMillis};

use super::capabilities::Capabilities;
use super::command;
use super::error::{SessionError, Stage};
use super::expected::Expected;
use super::fit::{self, DomainsTold};
use super::outbox::Outbox;
use super::result::RecipientResult;
use super::settings::{Chunks, Protocol, Timeouts};
use crate::body::bdat::TextCheck;
use crate::body::dot::DotEncoder;
use crate::syntax::LineError;

enum Slot {
    Waiting,
    Accepted,
    Ended(RecipientResult),
}

enum Step {
    Reset,
    Mail(String),
    Rcpt(usize, String),
    Data,
}

/// How the letter travels.
enum Way {
    Dots(DotEncoder),
    Chunks(TextCheck),
    /// BINARYMIME: in chunks, whose octets are anything.
    Binary,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    /// Not yet asked for.
    Closed,
    Open,
    /// Ended or given up.
    Over,
}

pub(super) struct Letter {
    slots: Vec<Slot>,
    todo: VecDeque<Step>,
    expected: VecDeque<Expected>,
    protocol: Protocol,
    pipelined: bool,
    way: Way,
    body: Body,
    /// What is still to be given.
    rest: u64,
    /// The chunk that BDAT will send once it is known whether it is the last.
    held: Option<Bytes>,
    begun: bool,
    first_taken: bool,
    /// Where the letter's end stands in all that is written.
    end_at: Option<u64>,
    unreadable: bool,
    must_drop: bool,
    needs_reset: bool,
    eight_bit_undeclared: bool,
    behind: bool,
    refused_behind: bool,
    chunks: Chunks,
    all_or_none: bool,
}

/// What a letter is begun with.
pub(super) struct Context<'a> {
    pub(super) protocol: Protocol,
    pub(super) offered: &'a Capabilities,
    /// Whether the server has shown who it is.
    pub(super) verified: bool,
    /// What time it is.
    pub(super) time: UnixMillis,
    /// What is known of the server's BDAT.
    pub(super) chunks: Chunks,
    /// Whether it goes only where every recipient is taken.
    pub(super) all_or_none: bool,
    /// Whether an unfinished transaction is to be cleared first.
    pub(super) reset: bool,
    /// Whether its envelope leaves before the letter before has its reply.
    pub(super) behind: bool,
}

impl Letter {
    pub(super) fn new(envelope: &Envelope, size: u64, context: &Context<'_>, domains: &mut DomainsTold) -> Self {
        let offered = context.offered;
        // LMTP with BDAT: RFC 2033 does not say which chunk gets the reply per recipient, so only where nothing else can carry the letter.
        let binary = envelope.body == BodyKind::BinaryMime;
        let way = match (binary, offered.chunking && context.protocol == Protocol::Smtp) {
            (true, _) => Way::Binary,
            (false, true) => Way::Chunks(TextCheck::default()),
            (false, false) => Way::Dots(DotEncoder::new()),
        };
        let mut letter = Self {
            slots: Vec::with_capacity(envelope.recipients.len()),
            todo: VecDeque::with_capacity(envelope.recipients.len() + 3),
            expected: VecDeque::new(),
            protocol: context.protocol,
            pipelined: offered.pipelining,
            way,
            body: Body::Closed,
            rest: size,
            held: None,
            begun: false,
            first_taken: false,
            end_at: None,
            unreadable: false,
            must_drop: false,
            needs_reset: false,
            eight_bit_undeclared: envelope.body == BodyKind::EightBitMime && !offered.eight_bit_mime,
            behind: context.behind,
            refused_behind: false,
            chunks: context.chunks,
            all_or_none: context.all_or_none,
        };
        letter.plan(envelope, size, context, domains);
        letter
    }

    /// Decides who can be sent to at all, and what commands that takes.
    fn plan(&mut self, envelope: &Envelope, size: u64, context: &Context<'_>, domains: &mut DomainsTold) {
        let offered = context.offered;
        let whole = fit::unsendable(envelope, size, context);
        let utf8_wanted = envelope.smtputf8 || envelope.recipients.iter().any(|recipient| recipient.address.needs_smtputf8());
        let utf8 = offered.smtputf8 && (utf8_wanted || fit::sender_needs_utf8(envelope));
        let recipients_max = offered.limits.recipients_max.unwrap_or(usize::MAX);
        let mut steps = Vec::new();
        for (index, recipient) in envelope.recipients.iter().enumerate() {
            let slot = if let Some(reply) = &whole {
                Slot::Ended(RecipientResult::Unsendable(reply.clone()))
            } else if recipient.address.needs_smtputf8() && !offered.smtputf8 {
                Slot::Ended(RecipientResult::Unsendable(fit::no_smtputf8("this recipient's address")))
            } else if steps.len() >= recipients_max {
                // RFC 9422 §4.2: more than the announced limit would only be refused.
                Slot::Ended(RecipientResult::NotTried(format!("the server takes {recipients_max} recipients at a time")))
            } else if !domains.tell(recipient.address.domain(), offered.limits) {
                let text = "the server takes no recipient of another domain over this connection";
                Slot::Ended(RecipientResult::NotTried(text.to_owned()))
            } else {
                steps.push(Step::Rcpt(index, command::rcpt(recipient, offered)));
                Slot::Waiting
            };
            self.slots.push(slot);
        }
        if self.all_or_none && self.slots.iter().any(|slot| matches!(slot, Slot::Ended(_))) {
            steps.clear();
            self.end_all(&left_out());
        }
        if steps.is_empty() {
            self.body = Body::Over;
            self.needs_reset = context.reset;
            return;
        }
        if context.reset {
            self.todo.push_back(Step::Reset);
        }
        self.todo.push_back(Step::Mail(command::mail(envelope, size, utf8, offered, context.time)));
        self.todo.extend(steps);
        if !self.is_chunked() {
            self.todo.push_back(Step::Data);
        } else if self.pipelined && self.protocol == Protocol::Smtp && !self.all_or_none {
            // In LMTP the end may only be sent once it is known how many replies it will get.
            self.body = Body::Open;
        }
    }

    /// Sends what can be sent now.
    pub(super) fn advance(&mut self, out: &mut Outbox) -> Result<(), SessionError> {
        while self.pipelined || self.expected.is_empty() {
            if matches!(self.todo.front(), Some(Step::Data)) {
                if self.all_or_none && self.envelope_pending() {
                    break;
                }
                if (self.all_or_none || !self.pipelined) && !self.is_wanted() {
                    self.todo.clear();
                    self.leave();
                }
            }
            let (line, expected) = match self.todo.pop_front() {
                Some(Step::Reset) => ("RSET".to_owned(), Expected::Reset),
                Some(Step::Mail(line)) => (line, Expected::Mail),
                Some(Step::Rcpt(index, line)) => (line, Expected::Rcpt(index)),
                Some(Step::Data) => ("DATA".to_owned(), Expected::Data),
                None => break,
            };
            out.command(&line)?;
            self.expected.push_back(expected);
        }
        // The envelope of a letter in chunks is through.
        if self.is_chunked() && self.todo.is_empty() && !self.envelope_pending() && self.body != Body::Over {
            if self.is_wanted() {
                self.body = Body::Open;
            } else {
                self.leave();
            }
        }
        Ok(())
    }

    /// Takes the next reply.
    pub(super) fn reply(&mut self, reply: Reply, out: &mut Outbox) -> Result<(), SessionError> {
        let Some(expected) = self.expected.pop_front() else { return self.unasked(reply) };
        let stage = expected.stage();
        // RFC 5321 §3.8: 421 may answer anything, and nothing comes after it.
        if reply.code() == 421 {
            self.end_all(&RecipientResult::Refused(reply));
            self.abandon();
            return Ok(());
        }
        if (300..400).contains(&reply.code()) != (matches!(expected, Expected::Data) && reply.is_positive()) {
            return Err(SessionError::Protocol { stage, what: "a reply that does not fit the command" });
        }
        match expected {
            Expected::Reset if reply.is_positive() => {}
            Expected::Reset => return Err(SessionError::Protocol { stage, what: "RSET was refused" }),
            Expected::Mail => self.mail(reply),
            Expected::Rcpt(index) => self.rcpt(index, reply),
            Expected::Data => self.data(reply, out),
            // The letter for nobody was refused, or taken for nobody.
            Expected::LoneDot => self.needs_reset = false,
            Expected::Chunk | Expected::End if self.is_ignorant_of_chunks(&reply) => self.leave_to_data(&reply),
            Expected::Chunk if reply.is_positive() => {
                self.first_taken = true;
                self.chunks = Chunks::Work;
            }
            Expected::Chunk => {
                self.end_all(&RecipientResult::Refused(reply));
                self.give_up();
            }
            Expected::End => {
                // RFC 3030 §2: after a chunk that was refused only RSET tells where the server stands.
                self.needs_reset = self.is_chunked() && !reply.is_positive();
                if self.is_chunked() && reply.is_positive() {
                    self.chunks = Chunks::Work;
                }
                self.end_accepted(&ended(reply));
            }
            Expected::EndFor(index) => {
                self.needs_reset = false;
                self.end(index, ended(reply));
            }
        }
        self.advance(out)
    }

    /// Whether the next octets are wanted.
    pub(super) fn wants_body(&self) -> bool {
        let ready = if !self.is_chunked() {
            self.todo.is_empty() && self.expected.is_empty()
        } else if self.pipelined {
            // The first chunk travels with the envelope; more of a large letter follows when its reply shows that somebody takes it.
            !self.begun || self.first_taken
        } else {
            self.expected.is_empty()
        };
        self.body == Body::Open && ready
    }

    /// Takes octets of the letter.
    pub(super) fn body(&mut self, chunk: Bytes, out: &mut Outbox) -> Result<(), SessionError> {
        if self.body != Body::Open || chunk.is_empty() {
            return Ok(());
        }
        let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.rest = self.rest.checked_sub(length).ok_or(SessionError::BodyLength { given: "more" })?;
        let checked = match &mut self.way {
            Way::Dots(encoder) => {
                let mut dotted = Vec::new();
                encoder.encode(&chunk, &mut dotted).map(|()| Bytes::from(dotted))
            }
            Way::Chunks(text) => text.piece(&chunk).map(|()| chunk),
            Way::Binary => Ok(chunk),
        };
        match checked {
            Err(fault) => self.malformed(fault),
            Ok(chunk) if self.is_chunked() => {
                if let Some(before) = self.held.replace(chunk) {
                    self.send_chunk(before, false, out)?;
                }
            }
            Ok(chunk) => out.push(chunk),
        }
        Ok(())
    }

    /// The letter is complete: sends its end.
    pub(super) fn body_end(&mut self, out: &mut Outbox) -> Result<(), SessionError> {
        if self.body != Body::Open {
            return Ok(());
        }
        if self.rest > 0 {
            return Err(SessionError::BodyLength { given: "fewer" });
        }
        let mut end = Vec::new();
        let checked = match &mut self.way {
            Way::Dots(encoder) => std::mem::take(encoder).finish(&mut end),
            Way::Chunks(text) => std::mem::take(text).finish(),
            Way::Binary => Ok(()),
        };
        if let Err(fault) = checked {
            self.malformed(fault);
            return Ok(());
        }
        if end.is_empty() {
            let last = self.held.take().unwrap_or_default();
            self.send_chunk(last, true, out)?;
        } else {
            out.copy(&end);
            self.expect_end();
        }
        self.body = Body::Over;
        self.end_at = Some(out.queued());
        Ok(())
    }

    /// The rest of the letter cannot be read: it will never be ended.
    pub(super) fn body_failed(&mut self) {
        self.unreadable = true;
        self.abandon();
    }

    pub(super) fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Whether all of it was given out and only replies are missing: RFC 2920 §3.1 lets the next letter's envelope follow at once.
    pub(super) fn is_sent(&self) -> bool {
        self.end_at.is_some() && self.pipelined
    }

    /// Whether its end leaves the server where nobody knows until the reply came: RFC 3030 §2 wants a RSET after a chunk that was refused, and without it the
    /// next letter would go to this one's recipients.
    pub(super) fn may_leave_transaction(&self) -> bool {
        self.is_chunked()
    }

    pub(super) fn is_over(&self) -> bool {
        self.must_drop || (self.body == Body::Over && self.todo.is_empty() && self.expected.is_empty())
    }

    /// The connection is gone or useless. The results, if what is known of the letter is worth telling; `written` is the place up to which all has
    /// left us.
    pub(super) fn lost(mut self, why: &SessionError, written: u64) -> Option<Vec<RecipientResult>> {
        self.end_at.filter(|&end_at| end_at <= written)?;
        self.end_all(&RecipientResult::Unknown(format!("the letter was sent, then {why}")));
        Some(self.into_results())
    }

    pub(super) fn into_results(self) -> Vec<RecipientResult> {
        let result = |slot| match slot {
            Slot::Ended(result) => result,
            Slot::Waiting | Slot::Accepted => RecipientResult::Unknown("the server did not answer for this recipient".to_owned()),
        };
        self.slots.into_iter().map(result).collect()
    }

    /// Whether nothing more can be said on this connection.
    pub(super) fn must_drop(&self) -> bool {
        self.must_drop
    }

    /// What its end says of the server's BDAT.
    pub(super) fn chunks(&self) -> Chunks {
        self.chunks
    }

    /// Whether the next letter must not be begun before this one's end is known: what was sent behind a chunk that the server has not understood would be read as
    /// something else.
    pub(super) fn tries_chunks(&self) -> bool {
        self.is_chunked() && self.chunks == Chunks::Untried
    }

    /// Whether the server refused it for standing behind another one.
    pub(super) fn was_refused_behind(&self) -> bool {
        self.refused_behind
    }

    /// Whether the server still has a transaction open.
    pub(super) fn needs_reset(&self) -> bool {
        self.needs_reset
    }

    /// Whether 8-bit octets were declared to us and could not be declared to the server.
    pub(super) fn eight_bit_undeclared(&self) -> bool {
        self.eight_bit_undeclared
    }

    /// Where the dialogue stands.
    pub(super) fn stage(&self) -> Stage {
        match self.expected.front() {
            Some(expected) => expected.stage(),
            None if self.body == Body::Open => Stage::Letter,
            None => Stage::Envelope,
        }
    }

    /// How long the next thing may take (RFC 5321 §4.5.3.2).
    pub(super) fn patience(&self, timeouts: &Timeouts) -> Duration {
        match self.expected.front() {
            Some(expected) => expected.patience(timeouts),
            None if self.body == Body::Open => timeouts.data_block,
            None => timeouts.command,
        }
    }

    fn mail(&mut self, reply: Reply) {
        if reply.is_positive() {
            self.needs_reset = true;
            return;
        }
        // RFC 2920 §3.1 lets an envelope stand behind the end of a letter. A server that takes that for smuggling has not looked at it.
        self.refused_behind = self.behind && reply.code() == 503;
        // The replies to the pipelined recipients say only that there is no sender.
        self.end_all(&if self.refused_behind {
            RecipientResult::NotTried(reply.to_string())
        } else {
            RecipientResult::Refused(reply)
        });
        self.todo.clear();
        self.give_up();
        self.needs_reset = false;
    }

    fn rcpt(&mut self, index: usize, reply: Reply) {
        let slot = if reply.is_positive() {
            Slot::Accepted
        } else if is_too_many(&reply) && self.any_accepted() {
            Slot::Ended(RecipientResult::NotTried(reply.to_string()))
        } else {
            Slot::Ended(RecipientResult::Refused(reply))
        };
        if let Some(waiting @ Slot::Waiting) = self.slots.get_mut(index) {
            *waiting = slot;
        }
    }

    fn data(&mut self, reply: Reply, out: &mut Outbox) {
        if !reply.is_positive() {
            self.end_accepted(&RecipientResult::Refused(reply));
            self.give_up();
        } else if self.any_accepted() {
            self.body = Body::Open;
        } else if self.protocol == Protocol::Lmtp {
            // RFC 2033 §4.2: there would be no reply to the end, and no telling where the server stands.
            self.abandon();
        } else {
            // RFC 2920 §3.1: a server that goes ahead without recipients gets a lone dot.
            out.copy(b".\r\n");
            self.expected.push_back(Expected::LoneDot);
            self.body = Body::Over;
        }
    }

    /// A reply while nothing is expected: a refusal in the middle of the letter, or nonsense.
    fn unasked(&mut self, reply: Reply) -> Result<(), SessionError> {
        if reply.is_positive() || self.body != Body::Open {
            return Err(SessionError::Protocol { stage: self.stage(), what: "a reply that nobody asked for" });
        }
        // The letter cannot be taken back in DATA but by never ending it.
        self.end_all(&RecipientResult::Refused(reply));
        self.abandon();
        Ok(())
    }

    fn send_chunk(&mut self, chunk: Bytes, last: bool, out: &mut Outbox) -> Result<(), SessionError> {
        self.begun = true;
        out.command(&format!("BDAT {}{}", chunk.len(), if last { " LAST" } else { "" }))?;
        out.push(chunk);
        if last {
            self.expect_end();
        } else {
            self.expected.push_back(Expected::Chunk);
        }
        Ok(())
    }

    fn expect_end(&mut self) {
        match self.protocol {
            Protocol::Smtp => self.expected.push_back(Expected::End),
            // RFC 2033 §4.2: one reply for each recipient that was taken, in their order.
            Protocol::Lmtp => {
                let taken = self.slots.iter().enumerate().filter(|(_, slot)| matches!(slot, Slot::Accepted));
                self.expected.extend(taken.map(|(index, _)| Expected::EndFor(index)));
            }
        }
    }

    fn malformed(&mut self, fault: LineError) {
        let reply = Reply::new(554, Status::permanent(6, 0), &fault.to_string());
        self.end_all(&RecipientResult::Unsendable(reply));
        self.abandon();
    }

    /// Whether the refusal of the first chunk is about BDAT and not about the letter (RFC 5321 §4.2.1: x0z). Where nobody was taken, 501 and 503 are what a server says that
    /// knows it.
    fn is_ignorant_of_chunks(&self, reply: &Reply) -> bool {
        let is_of_command = match reply.code() {
            500 | 502 => true,
            501 | 503 | 504 => self.any_accepted(),
            _ => false,
        };
        self.tries_chunks() && is_of_command
    }

    /// The server has none of the letter, and may have read what stood in the chunk as commands: nothing more is said on this connection, and the letter goes by
    /// DATA over another one.
    fn leave_to_data(&mut self, reply: &Reply) {
        self.chunks = Chunks::Broken;
        self.end_accepted(&RecipientResult::NotTried(reply.to_string()));
        self.abandon();
    }

    /// No more of the letter will be sent; the dialogue goes on.
    fn give_up(&mut self) {
        self.body = Body::Over;
        self.held = None;
    }

    /// The dialogue cannot go on.
    fn abandon(&mut self) {
        self.give_up();
        self.must_drop = true;
    }

    fn is_chunked(&self) -> bool {
        matches!(self.way, Way::Chunks(_) | Way::Binary)
    }

    fn envelope_pending(&self) -> bool {
        self.expected.iter().any(|expected| matches!(expected, Expected::Reset | Expected::Mail | Expected::Rcpt(_)))
    }

    /// Whether the letter is to be sent, as far as the replies to its envelope go.
    fn is_wanted(&self) -> bool {
        let is_taken = |slot: &Slot| matches!(slot, Slot::Accepted);
        if self.all_or_none { self.slots.iter().all(is_taken) } else { self.slots.iter().any(is_taken) }
    }

    /// The envelope is through, and the letter does not follow.
    fn leave(&mut self) {
        self.end_accepted(&left_out());
        self.give_up();
    }

    fn any_accepted(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot, Slot::Accepted))
    }

    fn end_all(&mut self, result: &RecipientResult) {
        for slot in self.slots.iter_mut().filter(|slot| !matches!(slot, Slot::Ended(_))) {
            *slot = Slot::Ended(result.clone());
        }
    }

    fn end_accepted(&mut self, result: &RecipientResult) {
        for slot in self.slots.iter_mut().filter(|slot| matches!(slot, Slot::Accepted)) {
            *slot = Slot::Ended(result.clone());
        }
    }

    fn end(&mut self, index: usize, result: RecipientResult) {
        if let Some(slot @ (Slot::Waiting | Slot::Accepted)) = self.slots.get_mut(index) {
            *slot = Slot::Ended(result);
        }
    }
}

/// For those who would have been taken.
fn left_out() -> RecipientResult {
    RecipientResult::NotTried("it was to be all or none, and another recipient was not taken".to_owned())
}

fn ended(reply: Reply) -> RecipientResult {
    if reply.is_positive() { RecipientResult::Accepted(reply) } else { RecipientResult::Refused(reply) }
}

/// 452 for too many recipients (RFC 5321 §4.5.3.1.10, where 552 is the old form), as far as the status does not say something else (RFC 3463: X.5.3).
fn is_too_many(reply: &Reply) -> bool {
    match (reply.code(), reply.status()) {
        (452 | 552, Some(status)) => (status.subject, status.detail) == (5, 3),
        (452, None) => true,
        _ => false,
    }
}
