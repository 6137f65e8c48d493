//! Passwords that nobody has to think of.

use posthouse_config::Secret;
use posthouse_runtime::random;

/// Digits and lower case without what is mistaken for another: `0 o 1 l i`.
const ALPHABET: &[u8] = b"23456789abcdefghjkmnpqrstuvwxyz";
const GROUPS: usize = 4;
const GROUP_CHARS: usize = 5;

/// A random password: four groups of five characters, 99 bits.
#[must_use]
pub fn generate_password() -> Secret {
    let mut text = String::with_capacity(GROUPS * (GROUP_CHARS + 1));
    for group in 0..GROUPS {
        if group > 0 {
            text.push('-');
        }
        for _ in 0..GROUP_CHARS {
            let letter = ALPHABET.get(random::below(ALPHABET.len())).copied().unwrap_or(b'2');
            text.push(char::from(letter));
        }
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests;
