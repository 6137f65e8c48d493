//! What the connections of a run carried, read from its trace.

use std::collections::BTreeMap;
use std::time::Duration;

use posthouse_runtime::sim::{Event, Host, Side};

use crate::client::end_of;
use crate::ledger::name_in;
use crate::remote::path;

/// A letter that was sent to its end over a connection.
#[derive(Debug, Clone)]
pub(crate) struct Carriage {
    pub(crate) client: Host,
    pub(crate) name: String,
    pub(crate) to: Vec<String>,
    /// When its last octets were sent.
    pub(crate) at: Duration,
    /// Whether the client went on after an answer to it had come: then it knew what had become of the letter.
    pub(crate) is_settled: bool,
}

/// One connection while the trace is read.
struct Line {
    client: Host,
    /// What the client has sent.
    said: Vec<u8>,
    /// Up to where it has been looked at.
    seen: usize,
    from: String,
    to: Vec<String>,
    /// Octets that the server has read; that it has sent; that the client has read.
    server_read: usize,
    server_sent: usize,
    client_read: usize,
    open: Option<Open>,
}

/// A letter whose answer is not known to have come.
struct Open {
    carriage: Carriage,
    /// The end of the letter in what the client said: with all that it sent before it was answered.
    end: usize,
    /// What the server had sent before it had read that end.
    sent_before: Option<usize>,
    is_answered: bool,
}

/// Every letter that was sent whole, whoever sent it.
pub(crate) fn carriages(events: &[(Duration, Event)]) -> Vec<Carriage> {
    let mut lines: BTreeMap<usize, Line> = BTreeMap::new();
    let mut done = Vec::new();
    for (at, event) in events {
        match event {
            Event::Connected { id, client, .. } => drop(lines.insert(*id, Line::new(*client))),
            Event::Sent { id, side: Side::Client, octets } => {
                if let Some(line) = lines.get_mut(id) {
                    line.client_sends(*at, octets, &mut done);
                }
            }
            Event::Sent { id, side: Side::Server, octets } => {
                if let Some(line) = lines.get_mut(id) {
                    line.server_sent += octets.len();
                }
            }
            Event::Read { id, side, count } => {
                if let Some(line) = lines.get_mut(id) {
                    line.read(*side, *count);
                }
            }
            Event::Shut { .. }
            | Event::Closed { .. }
            | Event::Broken { .. }
            | Event::Cut { .. }
            | Event::Healed { .. }
            | Event::Crashed { .. }
            | Event::Started { .. }
            | Event::Clock { .. }
            | Event::Note { .. } => {}
        }
    }
    done.extend(lines.into_values().filter_map(|line| line.open).map(|open| open.carriage));
    done
}

impl Line {
    fn new(client: Host) -> Self {
        Self {
            client,
            said: Vec::new(),
            seen: 0,
            from: String::new(),
            to: Vec::new(),
            server_read: 0,
            server_sent: 0,
            client_read: 0,
            open: None,
        }
    }

    fn client_sends(&mut self, at: Duration, octets: &[u8], done: &mut Vec<Carriage>) {
        if self.open.as_ref().is_some_and(|open| open.is_answered)
            && let Some(mut open) = self.open.take()
        {
            open.carriage.is_settled = true;
            done.push(open.carriage);
        }
        self.said.extend_from_slice(octets);
        if let Some(open) = &mut self.open {
            (open.end, open.sent_before) = (self.said.len(), None);
        }
        while let Some(end) = memchr::memmem::find(&self.said[self.seen..], b"\r\n") {
            let line = String::from_utf8_lossy(&self.said[self.seen..self.seen + end]).into_owned();
            self.seen += end + 2;
            self.hear(at, &line, done);
        }
    }

    fn hear(&mut self, at: Duration, line: &str, done: &mut Vec<Carriage>) {
        if line.starts_with("MAIL FROM:") {
            (self.from, self.to) = (path(line), Vec::new());
        } else if line.starts_with("RCPT TO:") {
            self.to.push(path(line));
        }
        let name = name_in(&self.from).or_else(|| self.to.iter().find_map(|to| name_in(to))).unwrap_or_default();
        // Of a report only the header that it returns is known: its end is the last that was sent.
        let is_report = self.from.is_empty() && line.strip_prefix("X-Sim: ") == Some(name);
        if name.is_empty() || !(is_report || format!("{line}\r\n") == end_of(name)) {
            return;
        }
        let carriage = Carriage { client: self.client, name: name.to_owned(), to: self.to.clone(), at, is_settled: false };
        let open = Open { carriage, end: self.said.len(), sent_before: None, is_answered: false };
        // A letter whose answer nobody heard of before the next one was sent.
        done.extend(self.open.replace(open).map(|open| open.carriage));
    }

    fn read(&mut self, side: Side, count: usize) {
        match side {
            Side::Server => self.server_read += count,
            Side::Client => self.client_read += count,
        }
        let Some(open) = &mut self.open else { return };
        if open.sent_before.is_none() && self.server_read >= open.end {
            open.sent_before = Some(self.server_sent);
        }
        open.is_answered |= open.sent_before.is_some_and(|before| self.client_read > before);
    }
}
