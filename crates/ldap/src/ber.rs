//! The part of BER (X.690) that LDAP uses (RFC 4511 §5.1): definite lengths, primitive octet strings.
//!
//! A reader borrows and never trusts a length; what does not fit is `None`.

/// `BOOLEAN`, `INTEGER`, `OCTET STRING`, `ENUMERATED`, `SEQUENCE`.
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;

/// An element: tag, length, content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let long: Vec<u8> = octets.into_iter().skip_while(|&octet| octet == 0).collect();
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
            out.extend(long);
        }
    }
    out.extend_from_slice(content);
    out
}

/// A number that is not negative.
pub(crate) fn number(tag: u8, value: u32) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let mut content: Vec<u8> = octets.into_iter().skip_while(|&octet| octet == 0).collect();
    // The first bit is a sign.
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    element(tag, &content)
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// The next element, whatever its tag.
    pub(crate) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (length, header) = length(rest)?;
        let rest = rest.get(header..)?;
        let content = rest.get(..length)?;
        self.0 = rest.get(length..)?;
        Some((tag, content))
    }

    /// The content of the next element, if it has this tag.
    pub(crate) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// A number that is not negative and fits.
    pub(crate) fn number(&mut self, tag: u8) -> Option<u32> {
        let content = self.take(tag)?;
        if content.is_empty() || content.len() > 5 || content.first().is_some_and(|first| *first >= 0x80) {
            return None;
        }
        let value = content.iter().fold(0_u64, |value, octet| value << 8 | u64::from(*octet));
        u32::try_from(value).ok()
    }
}

/// The length, and the octets that say it. RFC 4511 §5.1: the definite form alone.
fn length(octets: &[u8]) -> Option<(usize, usize)> {
    let first = *octets.first()?;
    if first < 0x80 {
        return Some((usize::from(first), 1));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return None;
    }
    let value = octets.get(1..=count)?.iter().fold(0_usize, |value, octet| value << 8 | usize::from(*octet));
    Some((value, count + 1))
}

/// How long the first message in these octets is, once enough of it is there; `Err`: it is none, or longer than `max`.
pub(crate) fn message_length(octets: &[u8], max: usize) -> Result<Option<usize>, ()> {
    match octets.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(()),
    }
    let Some(rest) = octets.get(1..).filter(|rest| !rest.is_empty()) else { return Ok(None) };
    let Some((value, header)) = length(rest) else {
        let is_short = rest.len() < 5 && rest.first().is_some_and(|first| (0x81..=0x84).contains(first));
        return if is_short { Ok(None) } else { Err(()) };
    };
    let whole = value.saturating_add(header).saturating_add(1);
    if whole > max { Err(()) } else { Ok(Some(whole)) }
}

#[cfg(test)]
mod tests;
