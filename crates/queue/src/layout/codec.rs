//! Integers and texts as octets, and back. Reading checks every length before it is used; nothing is allocated on a length's word.

use posthouse_mail::TlsWish;

use super::{LayoutError, u32_of, usize_of};

/// The length that stands for "no text".
const NONE: u32 = u32::MAX;

/// What a sender asks of TLS, in two bits.
pub(super) fn wish(wish: TlsWish) -> u8 {
    match wish {
        TlsWish::AsPromised => 0,
        TlsWish::Required => 1,
        TlsWish::Optional => 2,
    }
}

/// And back.
pub(super) fn wish_of(bits: u8) -> Result<TlsWish, LayoutError> {
    match bits {
        0 => Ok(TlsWish::AsPromised),
        1 => Ok(TlsWish::Required),
        2 => Ok(TlsWish::Optional),
        _ => Err(LayoutError::Value),
    }
}

/// Writing.
pub(super) trait Put {
    fn u8(&mut self, n: u8);
    fn i8(&mut self, n: i8);
    fn u16(&mut self, n: u16);
    fn u32(&mut self, n: u32);
    fn u64(&mut self, n: u64);
    /// A number of things that follow.
    fn count(&mut self, n: usize);
    fn text(&mut self, text: &str);
    fn maybe(&mut self, text: Option<&str>);
}

impl Put for Vec<u8> {
    fn u8(&mut self, n: u8) {
        self.push(n);
    }

    fn i8(&mut self, n: i8) {
        self.extend_from_slice(&n.to_le_bytes());
    }

    fn u16(&mut self, n: u16) {
        self.extend_from_slice(&n.to_le_bytes());
    }

    fn u32(&mut self, n: u32) {
        self.extend_from_slice(&n.to_le_bytes());
    }

    fn u64(&mut self, n: u64) {
        self.extend_from_slice(&n.to_le_bytes());
    }

    fn count(&mut self, n: usize) {
        self.u32(u32_of(n));
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.extend_from_slice(text.as_bytes());
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            None => self.u32(NONE),
            Some(text) => self.text(text),
        }
    }
}

/// Reading.
pub(super) struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) fn octets(&mut self, n: usize) -> Result<&'a [u8], LayoutError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(LayoutError::Short)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], LayoutError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(LayoutError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, LayoutError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn i8(&mut self) -> Result<i8, LayoutError> {
        Ok(i8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, LayoutError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, LayoutError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, LayoutError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things that follow, each of one octet at least.
    pub(super) fn count(&mut self) -> Result<usize, LayoutError> {
        let count = usize_of(self.u32()?);
        if count > self.0.len() { Err(LayoutError::Short) } else { Ok(count) }
    }

    pub(super) fn text(&mut self) -> Result<String, LayoutError> {
        self.maybe()?.ok_or(LayoutError::Value)
    }

    pub(super) fn maybe(&mut self) -> Result<Option<String>, LayoutError> {
        let len = self.u32()?;
        if len == NONE {
            return Ok(None);
        }
        let text = std::str::from_utf8(self.octets(usize_of(len))?).map_err(|_| LayoutError::Value)?;
        Ok(Some(text.to_owned()))
    }

    /// Nothing may be left over.
    pub(super) fn end(&self) -> Result<(), LayoutError> {
        if self.0.is_empty() { Ok(()) } else { Err(LayoutError::Value) }
    }
}
