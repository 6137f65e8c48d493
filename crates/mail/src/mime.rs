//! The MIME façade: letters made, and letters read. The only module that names the MIME crate.
//!
//! [`compose`] makes a letter of words and files; no field of it can add a header or a line, and what would is an error. [`parse`] reads a letter of
//! anybody's: bounded by [`Limits`], and fenced, so that a fault of the library is an error of ours and not the end of the process. Both work in memory: a
//! letter that only travels is never put through here.
//!
//! It never reads a clock or draws randomness: date, message id and boundary are given.

mod calendar;
mod compose;
mod html;
mod lines;
mod parse;

pub use calendar::{Answer, Calendar, CalendarError, Event};
pub use compose::{
    Attachment, BASE64_LINE_BYTES, ComposeError, Composed, Composition, Content, Inline, Mailbox, Segment, base64_len,
    base64_lines, compose,
};
pub use html::to_text;
pub use lines::to_crlf;
pub use parse::{Limits, ParseError, Parsed, ParsedAttachment, ParsedMailbox, parse};
