//! Which letters lead to which addresses already.
//!
//! Whoever asks for an address is shown the whole timelines of the letters that name it, so one entry of a letter has to be found under it. Most letters end
//! moments after they came, and their last entries name whom the first ones named: a row of the index for each recipient is saved.
//! What is long ago is forgotten, and indexed again, so that the entries of a letter that waits for days are found when its first ones have been pruned.

use std::collections::{HashMap, HashSet, VecDeque};

use posthouse_mail::LetterId;

/// The addresses that are remembered, of all letters together: some megabytes, and some seconds of a busy server.
const ADDRESSES_MAX: usize = 32_768;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    letters: HashMap<LetterId, HashSet<String>>,
    /// The oldest first.
    order: VecDeque<LetterId>,
    addresses: usize,
}

impl Recent {
    /// Whether no entry of the letter has been found under the address yet; from now on one is.
    pub(crate) fn is_new(&mut self, letter: LetterId, address: &str) -> bool {
        let known = self.letters.entry(letter).or_insert_with(|| {
            self.order.push_back(letter);
            HashSet::new()
        });
        if known.contains(address) {
            return false;
        }
        known.insert(address.to_owned());
        self.addresses += 1;
        while self.addresses > ADDRESSES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.addresses -= self.letters.remove(&oldest).map_or(0, |known| known.len());
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: u32) -> LetterId {
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        LetterId::from_bytes(octets)
    }

    #[test]
    fn a_letter_leads_to_an_address_once() {
        let mut recent = Recent::default();
        assert!(recent.is_new(letter(1), "a@a.test"));
        assert!(!recent.is_new(letter(1), "a@a.test"));
        assert!(recent.is_new(letter(1), "b@a.test"));
        assert!(recent.is_new(letter(2), "a@a.test"));
    }

    #[test]
    fn what_is_long_ago_is_forgotten_and_memory_has_an_end() {
        let mut recent = Recent::default();
        for number in 0..40_000 {
            assert!(recent.is_new(letter(number), "a@a.test"));
            assert!(recent.addresses <= ADDRESSES_MAX && recent.letters.len() == recent.order.len());
        }
        assert!(recent.is_new(letter(0), "a@a.test"));
        assert!(!recent.is_new(letter(39_999), "a@a.test"));
        // One letter alone may be too large: then it is not remembered.
        for number in 0..=ADDRESSES_MAX {
            recent.is_new(letter(7), &format!("{number}@a.test"));
        }
        assert!(recent.addresses <= ADDRESSES_MAX && recent.letters.len() == recent.order.len());
    }
}
