//! Alarms that stand: each begins once, is told again after a while, and ends once; over restarts too.

use std::time::Duration;

use posthouse_mail::UnixMillis;
use serde::{Deserialize, Serialize};

use super::{AlarmName, AlarmSettings, Trouble, title};

/// The alarms that are kept at a time. Those above are told when others have ended.
const ALARMS_MAX: usize = 200;
/// After a start nobody knows how it is with destinations and lists until they were asked again.
const UNKNOWN_FOR: Duration = Duration::from_hours(2);

/// All alarms. [`Alarms::look`] makes notices of what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarms(Vec<Entry>);

/// Something that is wrong, or was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    trouble: Trouble,
    /// When it was first and last seen, in milliseconds since 1970.
    first: u64,
    last: u64,
    /// When it was told last; `None`: it has not lasted long enough.
    told: Option<u64>,
    /// It was read after a start and has not been seen since.
    #[serde(skip)]
    carried: bool,
}

/// What becomes of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// It begins.
    Began,
    /// It has been told and stands still.
    Stands,
    /// It ends.
    Ended,
    /// Nothing is wrong: somebody tries whether alarms arrive.
    Test,
}

/// What is told to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What becomes of it.
    pub turn: Turn,
    /// Which alarm; none in a test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<AlarmName>,
    /// With what something is wrong: a destination, a list; empty where there is only one.
    pub subject: String,
    /// Both: `list dead.example`.
    pub title: String,
    /// What is wrong, or was.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Since when it is wrong, RFC 3339.
    pub since: String,
    /// When this was seen, RFC 3339.
    pub at: String,
}

/// An alarm that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmInfo {
    /// What is wrong.
    #[serde(flatten)]
    pub trouble: Trouble,
    /// What to do.
    pub remedy: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it was told last, RFC 3339.
    pub told: String,
}

impl Turn {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Stands => "stands",
            Self::Ended => "ended",
            Self::Test => "test",
        }
    }
}

impl Alarms {
    /// What a process before this one knew: what is not seen again has its calm before it ends.
    #[must_use]
    pub fn carried_over(mut self, now: UnixMillis) -> Self {
        self.0.retain(|entry| entry.told.is_some());
        for entry in &mut self.0 {
            (entry.last, entry.carried) = (now.0, true);
        }
        self
    }

    /// Takes what is wrong now and says what is to be told of it.
    pub fn look(&mut self, troubles: Vec<Trouble>, settings: &AlarmSettings, now: UnixMillis) -> Vec<Notice> {
        for trouble in troubles.into_iter().filter(|trouble| !settings.ignore.contains(&trouble.name)) {
            self.see(trouble, now);
        }
        let mut notices = Vec::new();
        self.0.retain_mut(|entry| match entry.turn(settings, now) {
            Step::Waits => true,
            Step::Over => false,
            Step::Told(turn) => {
                notices.push(entry.notice(turn, now));
                entry.told = Some(now.0);
                turn != Turn::Ended
            }
        });
        notices
    }

    /// The alarms that stand.
    #[must_use]
    pub fn standing(&self) -> Vec<AlarmInfo> {
        let info = |entry: &Entry| {
            Some(AlarmInfo {
                told: UnixMillis(entry.told?).to_string(),
                trouble: entry.trouble.clone(),
                remedy: entry.trouble.name.remedy().to_owned(),
                since: UnixMillis(entry.first).to_string(),
            })
        };
        self.0.iter().filter_map(info).collect()
    }

    fn see(&mut self, trouble: Trouble, now: UnixMillis) {
        let is_same = |entry: &&mut Entry| entry.trouble.name == trouble.name && entry.trouble.subject == trouble.subject;
        if let Some(entry) = self.0.iter_mut().find(is_same) {
            (entry.last, entry.carried, entry.trouble) = (now.0, false, trouble);
        } else if self.0.len() < ALARMS_MAX {
            self.0.push(Entry { trouble, first: now.0, last: now.0, told: None, carried: false });
        }
    }
}

enum Step {
    Waits,
    Over,
    Told(Turn),
}

impl Entry {
    fn turn(&self, settings: &AlarmSettings, now: UnixMillis) -> Step {
        let is_there = self.last == now.0 && !self.carried;
        let since = |then| now.since(UnixMillis(then));
        match self.told {
            None if !is_there => Step::Over,
            None if since(self.first) >= settings.lasts(self.trouble.name) => Step::Told(Turn::Began),
            None => Step::Waits,
            Some(_) if !is_there && since(self.last) >= self.calm(settings) => Step::Told(Turn::Ended),
            Some(told) if is_there && self.is_due(settings, since(told)) => Step::Told(Turn::Stands),
            Some(_) => Step::Waits,
        }
    }

    fn is_due(&self, settings: &AlarmSettings, since_told: Duration) -> bool {
        let every = settings.remind_every.duration();
        every > Duration::ZERO && since_told >= every
    }

    fn calm(&self, settings: &AlarmSettings) -> Duration {
        let calm = settings.calm.duration();
        let is_unknown = self.carried && matches!(self.trouble.name, AlarmName::Destination | AlarmName::List);
        if is_unknown { calm.max(UNKNOWN_FOR) } else { calm }
    }

    fn notice(&self, turn: Turn, now: UnixMillis) -> Notice {
        Notice {
            turn,
            title: title(self.trouble.name, &self.trouble.subject),
            remedy: self.trouble.name.remedy().to_owned(),
            name: Some(self.trouble.name),
            subject: self.trouble.subject.clone(),
            what: self.trouble.what.clone(),
            since: UnixMillis(self.first).to_string(),
            at: now.to_string(),
        }
    }
}
