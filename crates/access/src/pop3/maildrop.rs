//! What one session sees of a mailbox: the messages as they were when it began, and which of them it has marked as deleted.

use posthouse_mailbox::{Message, Uid};

#[derive(Debug, Default)]
pub(crate) struct Maildrop {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    deleted: bool,
    fetched: bool,
}

impl Maildrop {
    pub(crate) fn new(messages: Vec<Message>) -> Self {
        Self { entries: messages.into_iter().map(|message| Entry { message, deleted: false, fetched: false }).collect() }
    }

    /// The message with this number, counted from 1, unless it is marked as deleted.
    pub(crate) fn message(&self, number: usize) -> Option<&Message> {
        self.entries.get(number.checked_sub(1)?).filter(|entry| !entry.deleted).map(|entry| &entry.message)
    }

    /// The first message that is not marked, from this number on.
    pub(crate) fn from(&self, number: usize) -> Option<(usize, &Message)> {
        let rest = (number..).zip(self.entries.get(number.checked_sub(1)?..)?);
        rest.into_iter().find(|(_, entry)| !entry.deleted).map(|(number, entry)| (number, &entry.message))
    }

    /// How many messages are not marked, and their octets.
    pub(crate) fn stat(&self) -> (usize, u64) {
        let left = self.entries.iter().filter(|entry| !entry.deleted);
        left.fold((0, 0), |(count, octets), entry| (count + 1, octets + entry.message.size))
    }

    /// Marks a message; false if there is none.
    pub(crate) fn delete(&mut self, number: usize) -> bool {
        let entry = number.checked_sub(1).and_then(|index| self.entries.get_mut(index)).filter(|entry| !entry.deleted);
        entry.map(|entry| entry.deleted = true).is_some()
    }

    /// Notes that the whole message went out.
    pub(crate) fn fetched(&mut self, uid: Uid) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.message.uid == uid) {
            entry.fetched = true;
        }
    }

    /// Takes all marks back.
    pub(crate) fn reset(&mut self) {
        for entry in &mut self.entries {
            entry.deleted = false;
        }
    }

    /// What is to be removed, and what stays but was read for the first time.
    pub(crate) fn changes(&self) -> (Vec<Uid>, Vec<Uid>) {
        let (removed, kept): (Vec<_>, Vec<_>) = self.entries.iter().partition(|entry| entry.deleted);
        let read = kept.into_iter().filter(|entry| entry.fetched && !entry.message.seen);
        (removed.iter().map(|entry| entry.message.uid).collect(), read.map(|entry| entry.message.uid).collect())
    }
}
