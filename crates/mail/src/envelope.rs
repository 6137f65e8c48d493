//! The envelope: who a letter is from, whom it is for, and what was asked of its transport.

use std::fmt;
use std::str::FromStr;

use crate::address::{Address, AddressError};
use crate::time::UnixMillis;

/// `Reverse-path = Path / "<>"` (RFC 5321 §4.1.2): where a failure is reported; empty for letters that must never be answered.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ReversePath(pub Option<Address>);

/// A letter's envelope (RFC 5321 §2.3.1) with the parameters that travel with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    /// `MAIL FROM`.
    pub reverse_path: ReversePath,
    /// `RCPT TO`, in the order given.
    pub recipients: Vec<Recipient>,
    /// `BODY=` (RFC 6152 §3, RFC 3030 §3).
    pub body: BodyKind,
    /// Whether `SMTPUTF8` was given (RFC 6531 §3.4).
    pub smtputf8: bool,
    /// `RET=`: how much of the letter a failure report returns (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`, decoded: printable ASCII, at most 100 octets (RFC 3461 §4.4).
    pub envid: Option<String>,
    /// `MT-PRIORITY=` (RFC 6710 §4).
    pub priority: Priority,
    /// `HOLDFOR=` or `HOLDUNTIL=`: when it may leave at the earliest (RFC 4865).
    pub release_at: Option<UnixMillis>,
    /// `BY=` (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// `REQUIRETLS`, or its opposite in the header (RFC 8689).
    pub tls: TlsWish,
}

/// `MT-PRIORITY=` (RFC 6710 §4): from −9 to 9, 0 when nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Priority(i8);

impl Priority {
    /// A priority; `None` outside −9 … 9.
    #[must_use]
    pub fn new(level: i8) -> Option<Self> {
        (-9..=9).contains(&level).then_some(Self(level))
    }

    /// The level, from −9 to 9.
    #[must_use]
    pub const fn level(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `BY=` with its seconds made a point in time (RFC 2852 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeliverBy {
    /// When the letter is to have been delivered.
    pub at: UnixMillis,
    /// What follows when it is not.
    pub mode: ByMode,
    /// Whether each hop reports that it has relayed the letter (the `T` of by-mode).
    pub trace: bool,
}

/// The by-mode of `BY=` (RFC 2852 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByMode {
    /// `R`: it goes back to its sender.
    Return,
    /// `N`: its sender is told, and it is tried further.
    Notify,
}

/// One `RCPT TO`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipient {
    /// The forward-path.
    pub address: Address,
    /// `NOTIFY=`; `None` when not given, which means the sender wants to hear of failure and, where usual, of delay (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient>,
}

/// What a sender wants to hear of (RFC 3461 §4.1). All false is `NEVER`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Notify {
    /// `SUCCESS`.
    pub success: bool,
    /// `FAILURE`.
    pub failure: bool,
    /// `DELAY`.
    pub delay: bool,
}

/// `ORCPT=addr-type;address`, decoded from xtext (RFC 3461 §4.2): printable, without line breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OriginalRecipient {
    /// The address type, usually `rfc822` or `utf-8`.
    pub kind: String,
    /// The address as the sender wrote it.
    pub address: String,
}

/// `RET=` (RFC 3461 §4.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ret {
    /// `FULL`: the whole letter.
    Full,
    /// `HDRS`: its header only.
    Headers,
}

/// What a letter's sender asks of the connections on its way (RFC 8689).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum TlsWish {
    /// Nothing: what its destination promises is obeyed.
    #[default]
    AsPromised,
    /// `REQUIRETLS`: it goes only to servers that are verified and ask the same of the next, or back.
    Required,
    /// `TLS-Required: No`: it matters more that it arrives; what its destination promises is not insisted on.
    Optional,
}

/// `BODY=`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyKind {
    /// `7BIT`, and what holds when nothing is said.
    #[default]
    SevenBit,
    /// `8BITMIME` (RFC 6152).
    EightBitMime,
    /// `BINARYMIME` (RFC 3030 §3): lines need not end, so it travels by BDAT only.
    BinaryMime,
}

impl ReversePath {
    /// The empty reverse-path, `<>`.
    pub const NULL: Self = Self(None);

    /// Whether this is `<>`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_none()
    }

    /// The address, unless this is `<>`.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        self.0.as_ref()
    }
}

impl From<Address> for ReversePath {
    fn from(address: Address) -> Self {
        Self(Some(address))
    }
}

impl From<Address> for Recipient {
    fn from(address: Address) -> Self {
        Self { address, notify: None, orcpt: None }
    }
}

impl FromStr for ReversePath {
    type Err = AddressError;

    /// Reads the form without angle brackets; the empty text is `<>`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() { Ok(Self::NULL) } else { text.parse().map(|address| Self(Some(address))) }
    }
}

/// The address without brackets; nothing for `<>`. Read back by [`FromStr`].
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |address| address.fmt(f))
    }
}

impl Envelope {
    /// An envelope with nothing asked for.
    #[must_use]
    pub fn new(reverse_path: ReversePath, recipients: Vec<Recipient>) -> Self {
        Self {
            reverse_path,
            recipients,
            body: BodyKind::default(),
            smtputf8: false,
            ret: None,
            envid: None,
            priority: Priority::default(),
            release_at: None,
            deliver_by: None,
            tls: TlsWish::default(),
        }
    }
}
