//! What every state of a session shares: the profile, the replies not yet sent, the notes, the counts and the deadline.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use posthouse_mail::Reply;

use super::profile::{Profile, Protocol, Tls};
use super::question::{CloseReason, Note, Refusal, Stage};
use super::replies;
use super::state::{Ended, Open, State};

/// See the module.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) profile: Profile,
    pub(super) now: Instant,
    pub(super) tls: Option<Tls>,
    pub(super) login: Option<String>,
    /// When the peer must have done what it is waited for.
    pub(super) deadline: Instant,
    pub(super) stopping: bool,
    pub(super) letters: u32,
    out: Vec<u8>,
    notes: VecDeque<Note>,
    /// When the whole letter must have come.
    letter_deadline: Option<Instant>,
    /// The octets of a letter that must come before [`Self::deadline`].
    progress_left: u64,
    bad_commands: u32,
    idle_commands: u32,
    auth_failures: u32,
    refused_recipients: u32,
}

impl Core {
    pub(super) fn new(profile: Profile, tls: Option<Tls>, now: Instant) -> Self {
        let deadline = now + profile.command_timeout;
        Self {
            profile,
            now,
            tls,
            login: None,
            deadline,
            stopping: false,
            letters: 0,
            out: Vec::new(),
            notes: VecDeque::new(),
            letter_deadline: None,
            progress_left: 0,
            bad_commands: 0,
            idle_commands: 0,
            auth_failures: 0,
            refused_recipients: 0,
        }
    }

    pub(super) fn is_lmtp(&self) -> bool {
        self.profile.protocol == Protocol::Lmtp
    }

    /// Says yes.
    pub(super) fn say(&mut self, reply: &Reply) {
        let before = self.out.len();
        reply.write_to(&mut self.out);
        // `textstring = 1*(%d09 / %d32-126)` (RFC 5321 §4.2). What we quote may be more; RFC 6531 §3.7.4 lets it through in VRFY and EXPN alone.
        for octet in self.out.iter_mut().skip(before).filter(|octet| !octet.is_ascii()) {
            *octet = b'?';
        }
    }

    /// Says the next step of a login. Not a [`Reply`], which may cut its text.
    pub(super) fn say_challenge(&mut self, base64: &str) {
        self.out.extend_from_slice(format!("334 {base64}\r\n").as_bytes());
    }

    /// Says no, and notes it.
    pub(super) fn refuse(&mut self, stage: Stage, about: Option<String>, reply: Reply) {
        self.say(&reply);
        self.notes.push_back(Note::Refused(Refusal { stage, about, reply }));
    }

    /// Says what a verdict came to.
    pub(super) fn say_or_refuse(&mut self, stage: Stage, about: Option<String>, reply: Reply) {
        if reply.is_positive() { self.say(&reply) } else { self.refuse(stage, about, reply) }
    }

    /// Says no to a command that is wrong in itself. After too many of them the session ends.
    pub(super) fn bad(&mut self, back: Open, stage: Stage, reply: Reply) -> State {
        self.bad_commands += 1;
        if self.bad_commands > self.profile.bad_commands_max {
            return self.end(stage, replies::too_many_errors(), CloseReason::TooMany);
        }
        self.refuse(stage, None, reply);
        State::Open(back)
    }

    /// Counts a command that brings no letter nearer; true when it was one too many.
    pub(super) fn count_idle_command(&mut self) -> bool {
        self.idle_commands += 1;
        self.idle_commands > self.profile.idle_commands_max
    }

    /// Says no for the last time.
    pub(super) fn end(&mut self, stage: Stage, reply: Reply, why: CloseReason) -> State {
        self.refuse(stage, None, reply);
        State::Ended(Ended { why })
    }

    pub(super) fn note(&mut self, note: Note) {
        self.notes.push_back(note);
    }

    pub(super) fn next_note(&mut self) -> Option<Note> {
        self.notes.pop_front()
    }

    pub(super) fn held(&self) -> usize {
        self.out.len()
    }

    pub(super) fn take_held(&mut self) -> Option<Bytes> {
        if self.out.is_empty() { None } else { Some(std::mem::take(&mut self.out).into()) }
    }

    /// Counts a login that failed; true when it was one too many.
    pub(super) fn count_auth_failure(&mut self) -> bool {
        self.auth_failures += 1;
        self.auth_failures >= self.profile.auth_failures_max
    }

    /// Counts a recipient refused for good; true when it was one too many.
    pub(super) fn count_refused_recipient(&mut self) -> bool {
        self.refused_recipients += 1;
        self.refused_recipients > self.profile.refused_recipients_max
    }

    /// The peer has this long for what comes next.
    pub(super) fn allow(&mut self, time: Duration) {
        self.deadline = self.now + time;
    }

    /// A letter begins.
    pub(super) fn letter_begins(&mut self) {
        self.letter_deadline = Some(self.now + self.profile.letter_timeout);
        self.next_body_window();
    }

    /// A letter ended, in whatever way.
    pub(super) fn letter_ended(&mut self) {
        self.letter_deadline = None;
        self.idle_commands = 0;
    }

    /// Octets of a letter came. Only enough of them buy more time.
    pub(super) fn progress(&mut self, octets: usize) {
        self.progress_left = self.progress_left.saturating_sub(u64::try_from(octets).unwrap_or(u64::MAX));
        if self.progress_left == 0 {
            self.next_body_window();
        }
    }

    /// The next [`Profile::body_timeout`], within the letter's own deadline.
    pub(super) fn next_body_window(&mut self) {
        self.progress_left = self.profile.body_progress_bytes_min.max(1);
        let window = self.now + self.profile.body_timeout;
        self.deadline = self.letter_deadline.map_or(window, |whole| whole.min(window));
    }
}
