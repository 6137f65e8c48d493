//! An event, written as an object.

use super::lines::{attendee, escaped, write};
use super::{Calendar, CalendarError};
use crate::mime::Mailbox;
use crate::time::UnixMillis;

/// Something that people are invited to.
///
/// The same `uid` with a higher [`Self::sequence`] is the same event, changed.
///
/// ```
/// use posthouse_mail::UnixMillis;
/// use posthouse_mail::mime::Event;
///
/// let start = UnixMillis::from_rfc3339("2026-12-24T18:00:00Z").unwrap();
/// let end = UnixMillis::from_rfc3339("2026-12-24T21:00:00Z").unwrap();
/// let event = Event::new("dinner-42@example.org", "Dinner", start, end)
///     .place("Chez Bob")
///     .organizer("Alice <alice@example.org>".parse()?)
///     .guest("bob@example.net".parse()?);
/// let invitation = event.request(start)?;
/// assert!(invitation.as_str().contains("DTSTART:20261224T180000Z\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    uid: String,
    summary: String,
    start: UnixMillis,
    end: UnixMillis,
    place: Option<String>,
    description: Option<String>,
    organizer: Option<Mailbox>,
    guests: Vec<Mailbox>,
    sequence: u32,
}

impl Event {
    /// An event by the id that it keeps for ever, from `start` to `end`.
    #[must_use]
    pub fn new(uid: impl Into<String>, summary: impl Into<String>, start: UnixMillis, end: UnixMillis) -> Self {
        Self {
            uid: uid.into(),
            summary: summary.into(),
            start,
            end,
            place: None,
            description: None,
            organizer: None,
            guests: Vec::new(),
            sequence: 0,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn place(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    /// What else there is to say.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Who invites, and gets the answers.
    #[must_use]
    pub fn organizer(mut self, organizer: Mailbox) -> Self {
        self.organizer = Some(organizer);
        self
    }

    /// One more who is invited.
    #[must_use]
    pub fn guest(mut self, guest: Mailbox) -> Self {
        self.guests.push(guest);
        self
    }

    /// How often it was changed.
    #[must_use]
    pub fn sequence(mut self, sequence: u32) -> Self {
        self.sequence = sequence;
        self
    }

    /// Who invites, if that was said.
    #[must_use]
    pub fn has_organizer(&self) -> bool {
        self.organizer.is_some()
    }

    /// Whether anybody is invited.
    #[must_use]
    pub fn has_guests(&self) -> bool {
        !self.guests.is_empty()
    }

    /// The invitation (RFC 5546 §3.2.2).
    ///
    /// # Errors
    /// [`CalendarError`]: without organizer or guests, or backwards.
    pub fn request(&self, now: UnixMillis) -> Result<Calendar, CalendarError> {
        self.written("REQUEST", "CONFIRMED", now)
    }

    /// That it does not take place (RFC 5546 §3.2.5).
    ///
    /// # Errors
    /// [`CalendarError`]: without organizer, or backwards.
    pub fn cancel(&self, now: UnixMillis) -> Result<Calendar, CalendarError> {
        self.written("CANCEL", "CANCELLED", now)
    }

    fn written(&self, method: &str, status: &str, now: UnixMillis) -> Result<Calendar, CalendarError> {
        if self.end < self.start {
            return Err(CalendarError::Backwards);
        }
        let mut text = begin(method);
        write(&mut text, "BEGIN:VEVENT");
        write(&mut text, &format!("DTSTAMP:{}", time(now)));
        write(&mut text, &format!("DTSTART:{}", time(self.start)));
        write(&mut text, &format!("DTEND:{}", time(self.end)));
        let texts = [
            ("UID", Some(&self.uid)),
            ("SUMMARY", Some(&self.summary)),
            ("LOCATION", self.place.as_ref()),
            ("DESCRIPTION", self.description.as_ref()),
        ];
        for (name, value) in texts {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                write(&mut text, &format!("{name}:{}", escaped(value)));
            }
        }
        if let Some(organizer) = &self.organizer {
            write(&mut text, &attendee("ORGANIZER", organizer, ""));
        }
        for guest in &self.guests {
            write(&mut text, &attendee("ATTENDEE", guest, ";ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE"));
        }
        write(&mut text, &format!("SEQUENCE:{}", self.sequence));
        write(&mut text, &format!("STATUS:{status}"));
        write(&mut text, "END:VEVENT");
        write(&mut text, "END:VCALENDAR");
        Calendar::parse(&text)
    }
}

/// The beginning of an object (RFC 5545 §3.6).
pub(super) fn begin(method: &str) -> String {
    let mut text = String::new();
    for line in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Posthouse//Posthouse//EN"] {
        write(&mut text, line);
    }
    write(&mut text, &format!("METHOD:{method}"));
    text
}

/// `DATE-TIME` in UTC (RFC 5545 §3.3.5, form 2).
pub(super) fn time(time: UnixMillis) -> String {
    time.to_rfc3339_seconds().replace(['-', ':'], "")
}
