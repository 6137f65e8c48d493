//! What becomes of a letter, recipient by recipient.

use posthouse_mail::Reply;

/// What became of one recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecipientResult {
    /// The server has the letter for this recipient and answers for it.
    Accepted(Reply),
    /// The server does not take it: 4xx for now, 5xx for good.
    Refused(Reply),
    /// We cannot give it to this server: it lacks something that the letter needs (5.6.3, 5.6.7, 5.3.4), or the letter is malformed (5.6.0). The reply is
    /// ours, and permanent. A caller that looks for the server itself says so too when there is none, for good or for now.
    Unsendable(Reply),
    /// The whole letter was sent and no reply came: the server has it or not (RFC 5321 §4.5.3.2.6). Trying again may make a duplicate; not
    /// trying may lose it.
    Unknown(String),
    /// The server takes no more recipients with this letter: send it again to these. At least one other recipient was taken, so that it ends. Or it wants the letter in another
    /// way, which is used from now on ([`ClientSession::chunks`](super::ClientSession::chunks)): send it again.
    NotTried(String),
}
