//! By which of our addresses letters leave: chosen by their sender and where they go, before they wait for their turn.
//!
//! Letters that leave by different addresses are different callers to the host they go to, so each has its own line there, and its own
//! limits. The addresses themselves are delivery's matter.

use std::sync::Arc;

use posthouse_mail::Domain;

/// The name of some of our addresses.
pub type Source = Arc<str>;

/// The rules, in their order.
#[derive(Debug, Clone, Default)]
pub struct Sources(Vec<SourceRule>);

/// Which letters leave by some of our addresses.
#[derive(Debug, Clone)]
pub struct SourceRule {
    /// Their name, without spaces.
    pub source: Source,
    /// The domains of reverse-paths; none: any.
    pub senders: Vec<Domain>,
    /// The domains of recipients; none: any.
    pub destinations: Vec<Domain>,
}

impl Sources {
    /// The first rule that fits counts.
    #[must_use]
    pub fn new(rules: Vec<SourceRule>) -> Self {
        Self(rules)
    }

    /// The addresses for a letter of this sender to that domain; `None`: the usual ones.
    pub(crate) fn of(&self, sender: Option<&Domain>, to: &Domain) -> Option<Source> {
        let fits = |rule: &&SourceRule| {
            (rule.senders.is_empty() || sender.is_some_and(|sender| rule.senders.contains(sender)))
                && (rule.destinations.is_empty() || rule.destinations.contains(to))
        };
        self.0.iter().find(fits).map(|rule| Arc::clone(&rule.source))
    }
}

#[cfg(test)]
mod tests;
