//! The lines that go over the socket.

use serde::{Deserialize, Serialize};

use crate::error::Kind;
use crate::queue::{Change, Filter, Suspend};

/// The socket's name in the data directory.
pub const SOCKET: &str = "admin.sock";
/// The version of the protocol; an order may get fields, its meaning never changes.
pub(crate) const VERSION: u32 = 1;
/// The octets of a request, its line's end included.
pub(crate) const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// The octets of one line of an answer: a letter with its header and its whole timeline.
pub(crate) const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// `{"v":1,"do":"queue-list",…}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The version that is spoken.
    pub(crate) v: u32,
    #[serde(flatten)]
    pub(crate) order: Order,
}

/// What is asked for. The items that answer it are named with each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Order {
    /// How the server is: one [`crate::Status`].
    Status,
    /// Another process takes over: its number, when it is ready to.
    Restart,
    /// The alarms that stand: [`crate::AlarmInfo`].
    Alarms,
    /// Everybody who is told of alarms is told of a test: a [`super::Tried`] for each.
    AlarmsTest,
    /// The letters that a filter means: [`crate::queue::QueuedInfo`], oldest first.
    QueueList {
        /// Which.
        #[serde(default)]
        filter: Filter,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<usize>,
    },
    /// How many letters a filter means: one number.
    QueueCount {
        /// Which.
        #[serde(default)]
        filter: Filter,
    },
    /// The queue by destination: one [`crate::queue::Summary`].
    QueueSummary,
    /// One letter: one [`crate::queue::QueuedLetter`].
    QueueShow {
        /// Which.
        id: String,
    },
    /// A change to the letters that a filter means: a [`crate::queue::Changed`] for each.
    QueueChange {
        /// Which.
        #[serde(default)]
        filter: Filter,
        /// What is done to them.
        change: Change,
    },
    /// Delivery stops: no item.
    QueueSuspend(Suspend),
    /// And goes on: no item.
    QueueResume {
        /// The destination or next hop; `None`: everything.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
    },
}

/// A line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line<T> {
    /// One of what was asked for.
    Item(T),
    /// That was all.
    End {
        /// There would have been more than the limit let through.
        more: bool,
    },
    /// It could not be done, or not to its end.
    Error {
        /// Whose fault it is.
        kind: Kind,
        /// The words.
        text: String,
    },
}
