//! Which letters are meant.

use serde::{Deserialize, Serialize};

use posthouse_mail::{LetterId, UnixMillis};
use posthouse_queue::{Queued, RecipientState};

use super::results::{QueuedInfo, QueuedState};
use crate::error::AdminError;

/// The ids that one request names at most.
const IDS_MAX: usize = 1_000;

/// Which letters are meant: those for which every field that is set holds. Nothing set: all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// One of these letters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// From this address, or from `@domain`; `<>` for those without a sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Still waiting for this address, or for one `@domain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Still waiting for somebody at this domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Accepted at least so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older: Option<u64>,
    /// Accepted less than so many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub younger: Option<u64>,
    /// The last answer has this text in it, whatever its case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Held by an operator.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// A filter whose texts have been read.
#[derive(Debug, Clone)]
pub(crate) struct Sieve {
    filter: Filter,
    ids: Vec<LetterId>,
}

impl Filter {
    /// Whether it means all letters.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it names letters by their ids and by nothing else.
    #[must_use]
    pub fn is_ids_alone(&self) -> bool {
        !self.ids.is_empty() && Self { ids: Vec::new(), ..self.clone() }.is_everything()
    }

    pub(crate) fn sieve(&self) -> Result<Sieve, AdminError> {
        if self.ids.len() > IDS_MAX {
            return Err(AdminError::Invalid(format!("more than {IDS_MAX} ids; use a filter")));
        }
        let parse =
            |text: &String| text.trim().parse().map_err(|_| AdminError::Invalid(format!("`{text}` is not the id of a letter")));
        let ids = self.ids.iter().map(parse).collect::<Result<_, _>>()?;
        let domain = self.domain.as_deref().map(|domain| domain.trim_start_matches('@').to_lowercase());
        let reason = self.reason.as_deref().map(str::to_lowercase);
        Ok(Sieve { filter: Self { domain, reason, ..self.clone() }, ids })
    }
}

impl Sieve {
    /// The letters it names, when it names any.
    pub(crate) fn ids(&self) -> Option<&[LetterId]> {
        (!self.ids.is_empty()).then_some(self.ids.as_slice())
    }

    /// What can be said by a letter's id alone, which has its time.
    pub(crate) fn may_pass(&self, id: LetterId, now: UnixMillis) -> bool {
        let age = now.since(id.time()).as_secs();
        // A letter of ours has the time of its cause and may be younger than its id.
        self.filter.older.is_none_or(|older| age >= older)
    }

    /// Whether the letter is meant.
    pub(crate) fn passes(&self, queued: &Queued, info: &QueuedInfo) -> bool {
        let filter = &self.filter;
        let pending = || queued.recipients.iter().filter(|recipient| recipient.is_pending());
        let domain_of = |recipient: &RecipientState| recipient.recipient.address.domain().as_str().to_lowercase();
        filter.sender.as_deref().is_none_or(|sender| is_address(sender, &info.from))
            && filter
                .recipient
                .as_deref()
                .is_none_or(|wanted| pending().any(|recipient| is_address(wanted, &recipient.recipient.address.to_string())))
            && filter.domain.as_deref().is_none_or(|domain| pending().any(|recipient| domain_of(recipient) == domain))
            && filter.older.is_none_or(|older| info.age >= older)
            && filter.younger.is_none_or(|younger| info.age < younger)
            && filter.reason.as_deref().is_none_or(|text| pending().any(|recipient| says(recipient, text)))
            && (!filter.held || info.state == QueuedState::Held)
    }
}

fn says(recipient: &RecipientState, text: &str) -> bool {
    recipient.last.as_ref().is_some_and(|last| last.to_string().to_lowercase().contains(text))
}

/// Whether `address` is what was asked for: the same but for case, or at the domain.
fn is_address(wanted: &str, address: &str) -> bool {
    let wanted = wanted.trim().trim_start_matches('<').trim_end_matches('>').to_lowercase();
    let address = address.to_lowercase();
    if wanted.starts_with('@') { address.ends_with(&wanted) } else { address == wanted }
}

#[cfg(test)]
mod tests;
