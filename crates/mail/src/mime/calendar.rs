//! Invitations: iCalendar objects (RFC 5545) as they travel in letters (iTIP, RFC 5546; iMIP, RFC 6047).
//!
//! A [`Calendar`] was read far enough to be sent and answered: its form, its method, and what iTIP wants of every component. [`Event`] writes one. This is
//! no calendar: nothing is expanded, compared or kept.

mod event;
mod lines;

use thiserror::Error;

use crate::address::Address;
use crate::mime::Mailbox;
use crate::mime::lines::to_crlf;
use crate::time::UnixMillis;
pub use event::Event;
use lines::{attendee, is_named, name_of, unfolded, value_of, write};

/// The octets of an object.
const BYTES_MAX: usize = 1 << 20;
/// Components inside each other; VCALENDAR, VEVENT and VALARM are three.
const DEPTH_MAX: usize = 8;
/// What a reply repeats of the request, so that its organizer finds the event and people see which it is (RFC 5546 §3.2.3).
const REPEATED: [&str; 7] = ["UID", "ORGANIZER", "RECURRENCE-ID", "SEQUENCE", "SUMMARY", "DTSTART", "DTEND"];

/// An iCalendar object with a method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calendar {
    method: String,
    component: String,
    text: String,
}

/// Why an object cannot be sent. The caller's to mend.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// It does not begin with `BEGIN:VCALENDAR` and end with its `END`, or components overlap.
    #[error("this is not an iCalendar object: what begins with BEGIN:VCALENDAR has to end with END:VCALENDAR, and so on")]
    Form,
    /// More than 1 MiB.
    #[error("the calendar has more than {BYTES_MAX} octets")]
    TooLong,
    /// A control character.
    #[error("the calendar has a control character")]
    Control,
    /// No `METHOD`, or two of them: nobody would know what to do with it.
    #[error("the calendar has no METHOD, or more than one; an invitation has METHOD:REQUEST")]
    Method,
    /// A property that iTIP wants.
    #[error("the calendar's {component} has {what} {property}")]
    Property {
        /// The component, such as `VEVENT`.
        component: String,
        /// `no` or `more than one`.
        what: &'static str,
        /// The property.
        property: &'static str,
    },
    /// An event that ends before it begins.
    #[error("the event ends before it begins")]
    Backwards,
    /// Only a request can be answered.
    #[error("this is not an invitation, there is nothing to answer: its method is {0}")]
    NotARequest(String),
}

/// What a guest says to an invitation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Comes.
    Accepted,
    /// Comes perhaps.
    Tentative,
    /// Does not come.
    Declined,
}

impl Calendar {
    /// Reads an object, with any line ends.
    ///
    /// ```
    /// use posthouse_mail::mime::Calendar;
    ///
    /// let text = "BEGIN:VCALENDAR\nMETHOD:CANCEL\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20261124T000000Z\nORGANIZER:mailto:a@x.example\n\
    ///             END:VEVENT\nEND:VCALENDAR\n";
    /// assert_eq!(Calendar::parse(text)?.method(), "CANCEL");
    /// # Ok::<(), posthouse_mail::mime::CalendarError>(())
    /// ```
    ///
    /// # Errors
    /// [`CalendarError`].
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        if text.len() > BYTES_MAX {
            return Err(CalendarError::TooLong);
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')) {
            return Err(CalendarError::Control);
        }
        let mut text = String::from_utf8_lossy(&to_crlf(text.trim().as_bytes())).into_owned();
        text.push_str("\r\n");
        let (method, component) = checked(&unfolded(&text))?;
        Ok(Self { method, component, text })
    }

    /// What is to be done with it: `REQUEST`, `REPLY`, `CANCEL`, …
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What it is about, such as `VEVENT`.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.component
    }

    /// The object, with CRLF line ends.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who invites, if the organizer has an address of mail.
    #[must_use]
    pub fn organizer(&self) -> Option<Address> {
        let lines = unfolded(&self.text);
        lines::address(value_of(lines.iter().find(|line| is_named(line, "ORGANIZER"))?))
    }

    /// What it is about, in words.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let lines = unfolded(&self.text);
        lines.iter().find(|line| is_named(line, "SUMMARY")).map(|line| lines::unescaped(value_of(line)))
    }

    /// What a guest answers to a request (RFC 5546 §3.2.3).
    ///
    /// # Errors
    /// [`CalendarError::NotARequest`].
    pub fn answer(&self, who: &Mailbox, answer: Answer, now: UnixMillis) -> Result<Self, CalendarError> {
        if self.method != "REQUEST" {
            return Err(CalendarError::NotARequest(self.method.clone()));
        }
        let lines = unfolded(&self.text);
        let mut text = event::begin("REPLY");
        let zone =
            |line: &String, begins: bool| is_named(line, if begins { "BEGIN" } else { "END" }) && value_of(line) == "VTIMEZONE";
        let mut in_zone = false;
        for line in &lines {
            in_zone |= zone(line, true);
            if in_zone {
                write(&mut text, line);
            }
            in_zone &= !zone(line, false);
        }
        write(&mut text, &format!("BEGIN:{}", self.component));
        write(&mut text, &format!("DTSTAMP:{}", event::time(now)));
        let begin = format!("BEGIN:{}", self.component);
        let inside = lines.iter().skip_while(|line| !line.eq_ignore_ascii_case(&begin)).skip(1);
        // Those of an alarm inside are not the event's.
        for line in inside.take_while(|line| !is_named(line, "BEGIN") && !is_named(line, "END")) {
            if REPEATED.iter().any(|name| is_named(line, name)) {
                write(&mut text, line);
            }
        }
        let state = match answer {
            Answer::Accepted => "ACCEPTED",
            Answer::Tentative => "TENTATIVE",
            Answer::Declined => "DECLINED",
        };
        write(&mut text, &attendee("ATTENDEE", who, &format!(";PARTSTAT={state}")));
        write(&mut text, &format!("END:{}", self.component));
        write(&mut text, "END:VCALENDAR");
        Self::parse(&text)
    }
}

impl std::str::FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        Self::parse(text)
    }
}

/// Method and component of an object that is as iTIP wants it.
fn checked(lines: &[String]) -> Result<(String, String), CalendarError> {
    let mut open: Vec<&str> = Vec::new();
    let (mut method, mut component) = (None, None);
    let mut counts = Counts::default();
    for (index, line) in lines.iter().enumerate() {
        let (name, value) = (name_of(line), value_of(line));
        if name.is_empty() || (open.is_empty() && index > 0) {
            return Err(CalendarError::Form);
        }
        if name.eq_ignore_ascii_case("BEGIN") {
            if open.is_empty() != value.eq_ignore_ascii_case("VCALENDAR") || open.len() >= DEPTH_MAX {
                return Err(CalendarError::Form);
            }
            open.push(value);
            if open.len() == 2 {
                counts = Counts::default();
            }
        } else if name.eq_ignore_ascii_case("END") {
            let ended = open.pop().filter(|begun| begun.eq_ignore_ascii_case(value)).ok_or(CalendarError::Form)?;
            if open.len() == 1 && !ended.eq_ignore_ascii_case("VTIMEZONE") {
                counts.check(ended, method.as_deref().ok_or(CalendarError::Method)?)?;
                component.get_or_insert_with(|| ended.to_ascii_uppercase());
            }
        } else if open.is_empty() {
            return Err(CalendarError::Form);
        } else if open.len() == 1 && name.eq_ignore_ascii_case("METHOD") {
            let found = value.trim().to_ascii_uppercase();
            let token = !found.is_empty() && found.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !token || method.replace(found).is_some() {
                return Err(CalendarError::Method);
            }
        } else if open.len() == 2 {
            counts.take(name);
        }
    }
    if !open.is_empty() {
        return Err(CalendarError::Form);
    }
    let component = component.ok_or(CalendarError::Form)?;
    Ok((method.ok_or(CalendarError::Method)?, component))
}

/// How often a component has what iTIP asks for.
#[derive(Default)]
struct Counts {
    uid: usize,
    stamp: usize,
    organizer: usize,
    attendee: usize,
}

impl Counts {
    fn take(&mut self, name: &str) {
        for (counted, count) in [
            ("UID", &mut self.uid),
            ("DTSTAMP", &mut self.stamp),
            ("ORGANIZER", &mut self.organizer),
            ("ATTENDEE", &mut self.attendee),
        ] {
            *count += usize::from(name.eq_ignore_ascii_case(counted));
        }
    }

    /// RFC 5546 §3.2: all methods but ADD's and PUBLISH's cousins share these.
    fn check(&self, component: &str, method: &str) -> Result<(), CalendarError> {
        let wrong = |what, property| Err(CalendarError::Property { component: component.to_owned(), what, property });
        for (property, count) in [("UID", self.uid), ("DTSTAMP", self.stamp), ("ORGANIZER", self.organizer)] {
            match count {
                0 => return wrong("no", property),
                1 => {}
                _ => return wrong("more than one", property),
            }
        }
        match (method, self.attendee) {
            ("REQUEST" | "REPLY", 0) => wrong("no", "ATTENDEE"),
            ("REPLY", 2..) => wrong("more than one", "ATTENDEE"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
