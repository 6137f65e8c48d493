//! Walks a segment and finds its records: what recovery and inspection read with.
//!
//! Never writes. An invalid record is not the end: the walk goes on at the next place where a valid header of the same segment
//! stands, so that rot in one letter does not hide the rest, and what was passed over is reported.

use posthouse_mail::LetterId;

use crate::layout::{self, ALIGN, RECORD_HEADER, RecordHeader, SEGMENT_HEADER, usize_of};

/// One find.
#[derive(Debug)]
pub(crate) enum Find<'a> {
    /// A whole record.
    Record { offset: u32, header: RecordHeader, body: &'a [u8] },
    /// Octets that were a record of this segment, or stand between such.
    Damage { offset: u32, id: Option<LetterId>, lsn: Option<u64> },
}

/// The walk over one segment, read into memory.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    data: &'a [u8],
    salt: u64,
    at: u32,
}

impl<'a> Scan<'a> {
    /// A walk over the octets of a whole segment whose header holds this salt.
    pub(crate) fn new(data: &'a [u8], salt: u64) -> Self {
        Self { data, salt, at: SEGMENT_HEADER }
    }

    fn from(&self, offset: u32) -> &'a [u8] {
        self.data.get(usize_of(offset)..).unwrap_or_default()
    }

    /// The next aligned place from `offset` on with a valid header.
    fn resync(&self, mut offset: u32) -> Option<u32> {
        while usize_of(offset) < self.data.len() {
            if RecordHeader::decode(self.from(offset), self.salt).is_ok() {
                return Some(offset);
            }
            offset = offset.checked_add(ALIGN)?;
        }
        None
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Find<'a>;

    fn next(&mut self) -> Option<Find<'a>> {
        let offset = self.at;
        let rest = self.from(offset);
        if let Ok(header) = RecordHeader::decode(rest, self.salt) {
            self.at = offset.saturating_add(header.stride());
            let body = rest.get(usize_of(RECORD_HEADER)..usize_of(RECORD_HEADER.saturating_add(header.len)));
            if let Some(body) = body.filter(|body| layout::check_body(&header, body).is_ok()) {
                return Some(Find::Record { offset, header, body });
            }
            return Some(Find::Damage { offset, id: Some(header.id), lsn: Some(header.lsn) });
        }
        match self.resync(offset.saturating_add(ALIGN)) {
            Some(next) => {
                self.at = next;
                Some(Find::Damage { offset, id: None, lsn: None })
            }
            None => {
                // Behind the last record stand zeroes or an earlier use of the segment. Only a header that was ours is damage.
                self.at = u32::MAX;
                let ours = layout::may_have_been_record(rest, self.salt);
                ours.then_some(Find::Damage { offset, id: None, lsn: None })
            }
        }
    }
}

#[cfg(test)]
mod tests;
