//! Verdicts, and how they are said.

use std::borrow::Cow;

use posthouse_mail::{Class, Reply, Status};

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Accept,
    /// Not now.
    Defer(Reason),
    /// No.
    Reject(Reason),
    /// No, and the connection ends.
    Drop(Reason),
}

/// Why not, in the words the peer gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    code: u16,
    status: Status,
    text: Cow<'static, str>,
}

impl Reason {
    /// A reason. The class of the code and of the status are made to fit the verdict it comes to stand in.
    #[must_use]
    pub fn new(code: u16, status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, text: text.into() }
    }

    fn temporary(&self) -> Reply {
        let code = if (400..500).contains(&self.code) { self.code } else { 451 };
        Reply::new(code, Status { class: Class::Temporary, ..self.status }, &self.text)
    }

    fn permanent(&self) -> Reply {
        let code = if (500..600).contains(&self.code) { self.code } else { 554 };
        Reply::new(code, Status { class: Class::Permanent, ..self.status }, &self.text)
    }
}

impl Verdict {
    /// The one place where a verdict becomes a reply; `accepted` is what an acceptance says where it was asked.
    ///
    /// A verdict's class wins over its reason's code: a deferral is never permanent, a rejection never temporary.
    #[must_use]
    pub fn reply(&self, accepted: impl FnOnce() -> Reply) -> Reply {
        match self {
            Self::Accept => accepted(),
            Self::Defer(reason) => reason.temporary(),
            Self::Reject(reason) => reason.permanent(),
            Self::Drop(reason) if reason.code < 500 => reason.temporary(),
            Self::Drop(reason) => reason.permanent(),
        }
    }
}
