//! The parameters of MAIL and RCPT.

use super::ArgumentError;

/// A parameter and its value.
pub(super) type Parameter<'a> = (&'a str, Option<&'a str>);

/// Parts what stands behind a path.
///
/// ```text
/// Mail-parameters = esmtp-param *(SP esmtp-param)                    ; RFC 5321 §4.1.2
/// esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
/// esmtp-value     = 1*(%d33-60 / %d62-126)                           ; and UTF-8, RFC 6531 §3.3
/// ```
pub(super) fn parameters(text: &str) -> impl Iterator<Item = Result<Parameter<'_>, ArgumentError>> {
    text.split(' ').filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let (keyword, value) = match parameter.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (parameter, None),
        };
        let keyword_right = keyword.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value_right = value.is_none_or(|value| {
            !value.is_empty() && value.chars().all(|c| c != '=' && (c.is_ascii_graphic() || is_text_beyond_ascii(c)))
        });
        if keyword_right && value_right && !keyword.is_empty() && !keyword.starts_with('-') {
            Ok((keyword, value))
        } else {
            Err(ArgumentError::Form("the form of a parameter is KEYWORD or KEYWORD=value"))
        }
    })
}

/// Puts a value where there is none yet.
pub(super) fn once<T>(place: &mut Option<T>, name: &'static str, value: Option<T>) -> Result<(), ArgumentError> {
    match (place.is_some(), value) {
        (false, Some(value)) => {
            *place = Some(value);
            Ok(())
        }
        _ => Err(ArgumentError::Parameter(name)),
    }
}

/// Letters and signs outside ASCII, without the controls and the separators that some programs take for line ends.
pub(super) fn is_text_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && !matches!(c, '\u{2028}' | '\u{2029}')
}
