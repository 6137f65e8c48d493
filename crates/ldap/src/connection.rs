//! A conversation with the server: one question at a time, each with its number.

use bytes::BytesMut;
use posthouse_runtime::net::Stream;

use crate::ber;
use crate::message::{self, Answer, Outcome, SIZE_LIMIT_EXCEEDED, SUCCESS};

/// The octets of one answer: a distinguished name, or a few words.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// The answers to one search that are looked at: two entries at most, and references that are not followed.
const ANSWERS_MAX: usize = 32;

pub(crate) struct Connection {
    stream: Stream,
    read: BytesMut,
    last: u32,
}

/// What a search has found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nobody,
    One(String),
    Several,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, read: BytesMut::new(), last: 0 }
    }

    /// Asks for TLS; the stream to begin it on. What came with the answer would be somebody else's words, so there may be nothing.
    pub(crate) async fn start_tls(mut self) -> Result<Stream, String> {
        let id = self.next_id();
        self.send(&message::start_tls(id)).await?;
        match self.answer(id).await? {
            Answer::Extended(Outcome { code: SUCCESS, .. }) if self.read.is_empty() => Ok(self.stream),
            Answer::Extended(Outcome { code: SUCCESS, .. }) => {
                Err("it speaks on in clear behind its answer to StartTLS".to_owned())
            }
            Answer::Extended(Outcome { code, words }) => Err(format!("it does not start TLS: result {code}, {words}")),
            other @ (Answer::Bound(_) | Answer::Entry(_) | Answer::Reference | Answer::Searched(_)) => Err(unexpected(&other)),
        }
    }

    /// Says who we are.
    pub(crate) async fn bind(&mut self, name: &str, password: &str) -> Result<Outcome, String> {
        let id = self.next_id();
        self.send(&message::bind(id, name, password)).await?;
        match self.answer(id).await? {
            Answer::Bound(outcome) => Ok(outcome),
            other @ (Answer::Entry(_) | Answer::Reference | Answer::Searched(_) | Answer::Extended(_)) => Err(unexpected(&other)),
        }
    }

    /// Whom a filter finds.
    pub(crate) async fn search(&mut self, base: &str, filter: &[u8], seconds: u32) -> Result<Found, String> {
        let id = self.next_id();
        self.send(&message::search(id, base, filter, seconds)).await?;
        let mut found = Found::Nobody;
        for _ in 0..ANSWERS_MAX {
            match self.answer(id).await? {
                Answer::Entry(name) => found = if found == Found::Nobody { Found::One(name) } else { Found::Several },
                Answer::Reference => {}
                Answer::Searched(Outcome { code: SUCCESS, .. }) => return Ok(found),
                Answer::Searched(Outcome { code: SIZE_LIMIT_EXCEEDED, .. }) => return Ok(Found::Several),
                Answer::Searched(Outcome { code, words }) => return Err(format!("the search failed: result {code}, {words}")),
                other @ (Answer::Bound(_) | Answer::Extended(_)) => return Err(unexpected(&other)),
            }
        }
        Err("it answers a search without end".to_owned())
    }

    /// Goes. Whether it is heard does not matter.
    pub(crate) async fn end(mut self) {
        let id = self.next_id();
        let _ = self.send(&message::unbind(id)).await;
        self.stream.close().await;
    }

    fn next_id(&mut self) -> u32 {
        self.last += 1;
        self.last
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), String> {
        self.stream.write_all(message).await.map_err(|error| error.to_string())
    }

    async fn answer(&mut self, id: u32) -> Result<Answer, String> {
        loop {
            let length = ber::message_length(&self.read, MESSAGE_BYTES_MAX);
            let length = length.map_err(|()| "what it says is not LDAP, or longer than any answer".to_owned())?;
            if let Some(length) = length.filter(|length| *length <= self.read.len()) {
                let octets = self.read.split_to(length);
                return message::answer(&octets, id).ok_or_else(|| "its answer is not one to our question".to_owned());
            }
            match self.stream.read(&mut self.read).await {
                Ok(0) => return Err("it closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

fn unexpected(answer: &Answer) -> String {
    let what = match answer {
        Answer::Bound(_) => "a bind",
        Answer::Entry(_) | Answer::Reference | Answer::Searched(_) => "a search",
        Answer::Extended(_) => "an extended operation",
    };
    format!("it answers {what} that was not asked for")
}
