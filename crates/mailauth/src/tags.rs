//! Lists of tags, `name=value; name=value`, as DKIM (RFC 6376 §3.2) and what came after it write them.

/// A list may have so many; the longest standard one has fifteen.
const TAGS_MAX: usize = 100;

/// The tags of a list, in order; names are as they were written, values without the white space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tags<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    /// Reads a list. The error says what is wrong: a tag without `=`, a name that is none, one that comes twice.
    pub(crate) fn parse(text: &'a str) -> Result<Self, String> {
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let mut parts = text.split(';').peekable();
        while let Some(part) = parts.next() {
            let part = part.trim_matches(is_space);
            // One `;` may stand at the end.
            if part.is_empty() && parts.peek().is_none() {
                break;
            }
            let (name, value) = part.split_once('=').ok_or_else(|| format!("`{}` is not a tag", shown(part)))?;
            let name = name.trim_end_matches(is_space);
            let right = name.starts_with(|c: char| c.is_ascii_alphabetic());
            if !right || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err(format!("`{}` is not the name of a tag", shown(name)));
            }
            // §3.2: tags with duplicate names make the whole list invalid.
            if tags.iter().any(|(other, _)| *other == name) {
                return Err(format!("the tag `{name}` comes twice"));
            }
            if tags.len() >= TAGS_MAX {
                return Err(format!("there are more than {TAGS_MAX} tags"));
            }
            tags.push((name, value.trim_matches(is_space)));
        }
        Ok(Self(tags))
    }

    /// The value of a tag.
    pub(crate) fn find(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// The name of the first tag.
    pub(crate) fn first(&self) -> Option<&'a str> {
        self.0.first().map(|(name, _)| *name)
    }
}

/// The value of a tag in a list that may be broken. It may be shown, and nothing may rest on it.
pub(crate) fn loosely<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut tags = text.split(';').filter_map(|part| part.split_once('='));
    tags.find(|(other, _)| other.trim_matches(is_space) == name).map(|(_, value)| value.trim_matches(is_space))
}

/// `FWS` of RFC 6376 §2.8, unfolded or not.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The text without any white space.
pub(crate) fn without_space(text: &str) -> String {
    text.chars().filter(|&c| !is_space(c)).collect()
}

/// A number of at most twelve digits (RFC 6376 §3.5 allows more; seconds and octets need no more).
pub(crate) fn number(text: &str) -> Option<u64> {
    (text.len() <= 12 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

/// The beginning of a stranger's text, for a message.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(40).filter(|c| !c.is_control()).collect()
}
