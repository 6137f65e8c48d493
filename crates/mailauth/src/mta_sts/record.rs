//! The TXT record at `_mta-sts.DOMAIN` (RFC 8461 §3.1): whether there is a policy, and whether it is still the one that is known.

use std::fmt;

use thiserror::Error;

use crate::fields;

/// `v=STSv1`, letter for letter.
const VERSION: &str = "v=STSv1";
/// `sts-id = %s"id=" 1*32(ALPHA / DIGIT)`.
const ID_BYTES_MAX: usize = 32;

/// What the record says: the name of the policy's present form. It changes when the policy does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    id: Box<str>,
}

/// Why a domain's records announce no policy. A sender goes on as if there were none (§3.1), but keeps the policy that it knows (§5.1).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the record at _mta-sts cannot be used: {0}")]
pub struct RecordError(String);

impl Record {
    /// Reads the texts at `_mta-sts.DOMAIN`. `None` when none of them is such a record.
    ///
    /// # Errors
    /// There are several, or the one is malformed.
    pub fn read(texts: &[Vec<u8>]) -> Result<Option<Self>, RecordError> {
        let Some(record) = fields::only(texts, VERSION).map_err(RecordError)? else { return Ok(None) };
        let fields = fields::fields(record).map_err(RecordError)?;
        // Of fields that come twice the first counts, as in a policy (§3.2); unknown ones mean nothing.
        let id = fields.iter().find(|(name, _)| *name == "id").map(|(_, value)| *value);
        let id = id.ok_or_else(|| RecordError("it has no `id`".to_owned()))?;
        Self::new(id).map(Some)
    }

    /// The record for a policy of ours.
    ///
    /// # Errors
    /// The id is not made of 1 to 32 letters and digits.
    pub fn new(id: &str) -> Result<Self, RecordError> {
        let right = (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
        if !right {
            return Err(RecordError(format!("its `id` is not made of 1 to {ID_BYTES_MAX} letters and digits")));
        }
        Ok(Self { id: id.into() })
    }

    /// The name of the policy's present form.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The text of the record.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}; id={};", self.id)
    }
}
