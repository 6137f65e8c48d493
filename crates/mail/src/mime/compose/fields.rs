//! Header fields as they stand on the wire: folded at 78 columns, never a line of 998 octets, never anything but ASCII outside an address.

use super::encode::encoded_words;
use super::{Mailbox, is_token};

/// Where a line is broken if it can be (RFC 5322 §2.1.1).
const COLUMN_MAX: usize = 78;
/// A word longer than this is encoded, so that it can be broken.
const WORD_BYTES_MAX: usize = 900;
/// What a name's first encoded word may take, so that it fits behind the field's.
const NAME_ROOM: usize = 60;
/// A quoted string or parameter longer than this is encoded in pieces.
const QUOTED_BYTES_MAX: usize = 60;

/// Writes fields one after the other.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) out: Vec<u8>,
}

impl Fields {
    /// A value that needs no encoding and no folding.
    pub(super) fn plain(&mut self, name: &str, value: &str) {
        self.folded(name, &[value.to_owned()]);
    }

    /// An unstructured value (RFC 5322 §2.2.1).
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.folded(name, &text_tokens(name.len() + 2, value.trim()));
    }

    /// `mailbox-list` (RFC 5322 §3.4).
    pub(super) fn mailboxes(&mut self, name: &str, mailboxes: &[Mailbox]) {
        let mut tokens: Vec<String> = Vec::new();
        for (index, mailbox) in mailboxes.iter().enumerate() {
            if index > 0
                && let Some(last) = tokens.last_mut()
            {
                last.push(',');
            }
            match mailbox.name.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
                Some(name) => {
                    tokens.extend(phrase(name));
                    tokens.push(format!("<{}>", mailbox.address));
                }
                None => tokens.push(mailbox.address.to_string()),
            }
        }
        self.folded(name, &tokens);
    }

    /// `1*msg-id` (RFC 5322 §3.6.4).
    pub(super) fn ids(&mut self, name: &str, ids: &[String]) {
        let tokens: Vec<String> = ids.iter().map(|id| format!("<{id}>")).collect();
        self.folded(name, &tokens);
    }

    /// A value with parameters (RFC 2045 §5.1), what is not ASCII or too long by RFC 2231.
    pub(super) fn parameters(&mut self, name: &str, value: &str, parameters: &[(&str, &str)]) {
        let mut tokens = vec![value.to_owned()];
        for (key, value) in parameters {
            for token in parameter(key, value) {
                if let Some(last) = tokens.last_mut() {
                    last.push(';');
                }
                tokens.push(token);
            }
        }
        self.folded(name, &tokens);
    }

    fn folded(&mut self, name: &str, tokens: &[String]) {
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b':');
        let mut column = name.len() + 1;
        let mut has_text = true;
        for (number, token) in tokens.iter().enumerate() {
            // A line of nothing but white space would end the field for some readers, and an empty first one is read as a space.
            if column + 1 + token.len() > COLUMN_MAX && has_text && number > 0 {
                self.out.extend_from_slice(b"\r\n");
                column = 0;
                has_text = false;
            }
            self.out.push(b' ');
            self.out.extend_from_slice(token.as_bytes());
            column += 1 + token.len();
            has_text |= !token.is_empty();
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Words, from the first that cannot stand as it is to the last encoded as one run: white space between two encoded words is not shown.
fn text_tokens(column: usize, value: &str) -> Vec<String> {
    let words: Vec<&str> = value.split(' ').collect();
    let odd = |word: &&str| !word.is_ascii() || word.contains("=?") || word.len() > WORD_BYTES_MAX;
    let (Some(first), Some(last)) = (words.iter().position(odd), words.iter().rposition(odd)) else {
        return words.into_iter().map(str::to_owned).collect();
    };
    let part = |range: &[&str]| range.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let (before, rest) = words.split_at_checked(first).unwrap_or((&words, &[]));
    let (run, after) = rest.split_at_checked(last + 1 - first).unwrap_or((rest, &[]));
    // Behind words there can be a new line; behind the name the first must fit.
    let room = if first == 0 { COLUMN_MAX - column } else { COLUMN_MAX };
    [part(before), encoded_words(&run.join(" "), room), part(after)].concat()
}

/// `phrase` (RFC 5322 §3.2.5): words, a quoted string, or encoded words.
fn phrase(name: &str) -> Vec<String> {
    let atom =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b));
    let plain = name.is_ascii() && !name.contains("=?");
    if plain && name.split(' ').all(|word| atom(word) && word.len() <= WORD_BYTES_MAX) {
        return name.split(' ').map(str::to_owned).collect();
    }
    if plain && name.len() <= QUOTED_BYTES_MAX { vec![quoted(name)] } else { encoded_words(name, NAME_ROOM) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `key=value`, `key="value"`, `key*=utf-8''value`, or the last in pieces `key*0*=…` (RFC 2231 §3, §4).
fn parameter(key: &str, value: &str) -> Vec<String> {
    // Readers decode what looks like an encoded word even where none may stand (RFC 2047 §5).
    if value.is_ascii() && value.len() <= QUOTED_BYTES_MAX && !value.contains("=?") {
        return vec![format!("{key}={}", if is_token(value) { value.to_owned() } else { quoted(value) })];
    }
    let mut pieces = vec!["utf-8''".to_owned()];
    for c in value.chars() {
        let mut buffer = [0; 4];
        // `attribute-char` is a token's without `*`, `'` and `%`.
        let literal = c.is_ascii_alphanumeric() || "!#$&+-.^_`{|}~".contains(c);
        let encoded: String =
            if literal { c.to_string() } else { c.encode_utf8(&mut buffer).bytes().map(|byte| format!("%{byte:02X}")).collect() };
        match pieces.last_mut() {
            Some(last) if last.len() + encoded.len() <= QUOTED_BYTES_MAX => last.push_str(&encoded),
            _ => pieces.push(encoded),
        }
    }
    if let [one] = pieces.as_slice() {
        return vec![format!("{key}*={one}")];
    }
    pieces.iter().enumerate().map(|(index, piece)| format!("{key}*{index}*={piece}")).collect()
}
