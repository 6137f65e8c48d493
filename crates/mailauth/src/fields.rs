//! Records of the form `v=STSv1; id=1; name=value`: those of RFC 8461 §3.1 and RFC 8460 §3, which share one grammar.

use crate::tags::shown;

/// A record may have so many fields; the standards know one each.
const FIELDS_MAX: usize = 32;
/// The octets of a record.
const RECORD_BYTES_MAX: usize = 4096;
/// `sts-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")`.
const NAME_BYTES_MAX: usize = 32;

/// The one text that begins with this version, as `v=STSv1`; the others are no records of this kind (RFC 8461 §3.1). The error says why
/// there is none although there are such texts: more than one is none.
pub(crate) fn only<'a>(texts: &'a [Vec<u8>], version: &str) -> Result<Option<&'a [u8]>, String> {
    let is_ours = |text: &&Vec<u8>| {
        let rest = text.strip_prefix(version.as_bytes());
        rest.is_some_and(|rest| rest.iter().find(|octet| !matches!(octet, b' ' | b'\t')) == Some(&b';'))
    };
    let mut found = texts.iter().filter(is_ours);
    match (found.next(), found.count()) {
        (None, _) => Ok(None),
        (Some(one), 0) => Ok(Some(one)),
        (Some(_), more) => Err(format!("there are {} records that begin with `{version};`, and more than one is none", more + 1)),
    }
}

/// The fields behind the version, in order.
pub(crate) fn fields(record: &[u8]) -> Result<Vec<(&str, &str)>, String> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(format!("the record is longer than {RECORD_BYTES_MAX} octets"));
    }
    let text = std::str::from_utf8(record).map_err(|_| "the record is not a text".to_owned())?;
    let mut parts = text.split(';').skip(1).peekable();
    let mut fields = Vec::new();
    while let Some(part) = parts.next() {
        let part = part.trim_matches([' ', '\t']);
        // One `;` may stand at the end.
        if part.is_empty() && parts.peek().is_none() {
            break;
        }
        let field = part.split_once('=').filter(|(name, _)| is_name(name));
        fields.push(field.ok_or_else(|| format!("`{}` is not a field", shown(part)))?);
        if fields.len() > FIELDS_MAX {
            return Err(format!("there are more than {FIELDS_MAX} fields"));
        }
    }
    Ok(fields)
}

/// Whether a text can be the name of a field.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.'))
}
