//! A letter that is given whole, of any size: its beginning is looked at, and the rest is read when the letter is made.

use std::io::{self, Cursor, ErrorKind, Read};

use posthouse_client::{Message, MessageError};
use posthouse_mail::Envelope;

/// What is looked at. The header has to be in it.
const HEAD_BYTES_MAX: usize = 512 * 1024;

/// The letter.
pub(super) struct Given {
    /// All of it, or its first lines.
    pub(super) head: Vec<u8>,
    /// What is behind them.
    pub(super) tail: Option<Box<dyn Read>>,
}

impl Given {
    /// Reads as far as is looked at. More than `bytes_max` octets are an error, now or when the rest is read.
    pub(super) fn read(input: impl Read + 'static, bytes_max: u64) -> io::Result<Self> {
        let mut input = Bounded { input, left: bytes_max };
        let mut head = Vec::new();
        let most = u64::try_from(HEAD_BYTES_MAX).unwrap_or(u64::MAX);
        input.by_ref().take(most).read_to_end(&mut head)?;
        if head.len() < HEAD_BYTES_MAX {
            return Ok(Self { head, tail: None });
        }
        let end = head.iter().rposition(|&octet| octet == b'\n').map_or(0, |at| at + 1);
        let begun = head.split_off(end);
        Ok(Self { head, tail: Some(Box::new(Cursor::new(begun).chain(input))) })
    }

    /// The letter that was made of the head, with what is behind it.
    pub(super) fn complete(self, made: Message) -> Result<Message, MessageError> {
        let Some(tail) = self.tail else { return Ok(made) };
        let envelope = made.envelope().clone();
        let to = envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        let mut whole = Message::from_eml_reader(Cursor::new(self.head).chain(tail), envelope.reverse_path.clone(), to)?;
        let (body, smtputf8) = (whole.envelope().body, whole.envelope().smtputf8);
        *whole.envelope_mut() = Envelope { body, smtputf8, ..envelope };
        Ok(whole)
    }
}

/// Gives no more than it may.
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self
            .left
            .checked_sub(u64::try_from(count).unwrap_or(u64::MAX))
            .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the letter is larger than it may be"))?;
        Ok(count)
    }
}
