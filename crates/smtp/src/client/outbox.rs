//! What is to be written, gathered so that what belongs together leaves in one write.
//!
//! With `TCP_NODELAY` set each write is a packet of its own, and small ones cost the peer a wake-up each; so commands and small letters are
//! copied together, while large clean blocks are passed on as they are.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use posthouse_mail::Reply;

use super::command::is_one_line;
use super::error::SessionError;
use super::transcript::Line;

/// Blocks of at least this many octets are passed on without a copy.
const PASSED_ON_BYTES_MIN: usize = 16 * 1024;
/// Once this much waits, it is written before more of the letter is asked for.
const FULL_BYTES: usize = 64 * 1024;

/// The lines a transcript keeps; what comes after them is left out.
const TRANSCRIPT_LINES_MAX: usize = 2000;

#[derive(Default)]
pub(super) struct Outbox {
    whole: VecDeque<Bytes>,
    tail: BytesMut,
    waiting: usize,
    /// Octets put in and taken out since the beginning: where a letter's end stands, and whether it has left.
    queued: u64,
    popped: u64,
    transcript: Option<Vec<Line>>,
}

impl Outbox {
    pub(super) fn new(transcript: bool) -> Self {
        Self { transcript: transcript.then(Vec::new), ..Self::default() }
    }

    /// A command, CRLF added.
    pub(super) fn command(&mut self, line: &str) -> Result<(), SessionError> {
        self.secret(line, line)
    }

    /// A command that the transcript shows as `shown`.
    pub(super) fn secret(&mut self, line: &str, shown: &str) -> Result<(), SessionError> {
        if !is_one_line(line) {
            return Err(SessionError::Misuse("a command with a line break"));
        }
        self.copy(line.as_bytes());
        self.copy(b"\r\n");
        self.record(|| Line::Client(shown.to_owned()));
        Ok(())
    }

    pub(super) fn heard(&mut self, reply: &Reply) {
        self.record(|| Line::Server(reply.clone()));
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.record(|| Line::Note(text.into()));
    }

    pub(super) fn take_transcript(&mut self) -> Vec<Line> {
        self.transcript.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn record(&mut self, line: impl FnOnce() -> Line) {
        if let Some(lines) = self.transcript.as_mut().filter(|lines| lines.len() < TRANSCRIPT_LINES_MAX) {
            lines.push(line());
        }
    }

    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.tail.extend_from_slice(bytes);
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.len() < PASSED_ON_BYTES_MIN {
            return self.copy(&bytes);
        }
        self.count(bytes.len());
        if !self.tail.is_empty() {
            self.whole.push_back(self.tail.split().freeze());
        }
        self.whole.push_back(bytes);
    }

    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let next = match self.whole.pop_front() {
            Some(block) => block,
            None if self.tail.is_empty() => return None,
            None => std::mem::take(&mut self.tail).freeze(),
        };
        self.waiting -= next.len();
        self.popped += u64::try_from(next.len()).unwrap_or_default();
        Some(next)
    }

    fn count(&mut self, octets: usize) {
        self.waiting += octets;
        self.queued += u64::try_from(octets).unwrap_or_default();
    }

    /// The place behind all that was put in so far.
    pub(super) fn queued(&self) -> u64 {
        self.queued
    }

    /// The place behind all that was given out, less what of it could not be written.
    pub(super) fn written(&self, unwritten: usize) -> u64 {
        self.popped.saturating_sub(u64::try_from(unwritten).unwrap_or(u64::MAX))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting >= FULL_BYTES
    }

    pub(super) fn clear(&mut self) {
        (self.whole, self.tail, self.waiting) = Default::default();
        self.queued = self.popped;
    }
}
