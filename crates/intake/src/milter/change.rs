//! What a milter makes of a letter's header. Pure.

use posthouse_mail::header::Header;

/// A header as fields that can be changed. What is not touched stays to the octet.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<Field>);

#[derive(Debug)]
struct Field {
    name: Vec<u8>,
    /// With its CRLF.
    raw: Vec<u8>,
}

impl Fields {
    pub(super) fn of(header: &Header<'_>) -> Self {
        Self(header.fields().map(|field| Field { name: field.name().as_bytes().to_vec(), raw: field.raw().to_vec() }).collect())
    }

    /// Names and values as milters get them: without the blank behind the colon, lines within a value ended by LF.
    pub(super) fn shown(&self) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
        self.0.iter().map(|field| {
            let value = field.raw.get(field.name.len()..).unwrap_or_default();
            // RFC 5322 §4.5.1 has blanks before the colon.
            let value =
                value.iter().position(|octet| *octet == b':').map_or(&[][..], |colon| value.get(colon + 1..).unwrap_or_default());
            let value = value.strip_suffix(b"\r\n").unwrap_or(value);
            let value = value.strip_prefix(b" ").unwrap_or(value);
            (field.name.as_slice(), value.iter().copied().filter(|octet| *octet != b'\r').collect())
        })
    }

    /// `place`: before which field, from 0; beyond the last: at the end.
    pub(super) fn insert(&mut self, place: usize, name: &[u8], value: &[u8]) {
        let field = field(name, value);
        self.0.insert(place.min(self.0.len()), field);
    }

    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        self.insert(usize::MAX, name, value);
    }

    /// The `nth` field of the name, from 1. One that there is not is added, as sendmail does, unless it was to go.
    pub(super) fn change(&mut self, nth: usize, name: &[u8], value: &[u8]) {
        let mut same = self.0.iter().enumerate().filter(|(_, field)| field.name.eq_ignore_ascii_case(name));
        match (same.nth(nth.saturating_sub(1)).map(|(place, _)| place), value.is_empty()) {
            (Some(place), true) => drop(self.0.remove(place)),
            (Some(place), false) => {
                if let Some(found) = self.0.get_mut(place) {
                    *found = field(name, value);
                }
            }
            (None, true) => {}
            (None, false) => self.add(name, value),
        }
    }

    /// Takes every field of the name out; whether there was one.
    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        let before = self.0.len();
        self.0.retain(|field| !field.name.eq_ignore_ascii_case(name));
        self.0.len() < before
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_iter().flat_map(|field| field.raw).collect()
    }
}

/// A field of a milter's. Its value cannot become another field or end the header: a line that does not begin with a blank gets one.
fn field(name: &[u8], value: &[u8]) -> Field {
    let mut raw = [name, b": "].concat();
    let value: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | 0)).collect();
    let mut lines = value.split(|octet| *octet == b'\n');
    raw.extend_from_slice(lines.next().unwrap_or_default());
    for line in lines.filter(|line| !line.iter().all(u8::is_ascii_whitespace)) {
        raw.extend_from_slice(b"\r\n");
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            raw.push(b'\t');
        }
        raw.extend_from_slice(line);
    }
    raw.extend_from_slice(b"\r\n");
    Field { name: name.to_vec(), raw }
}

/// Ends every line with CRLF. A milter that writes lines as its own system does must not make a letter that cannot travel; `last` is what the
/// piece before ended with.
pub(super) fn crlf(piece: &[u8], last: &mut u8) -> Vec<u8> {
    let mut octets = Vec::with_capacity(piece.len() + piece.len() / 32);
    for &octet in piece {
        if octet == b'\n' && *last != b'\r' {
            octets.push(b'\r');
        } else if *last == b'\r' && octet != b'\n' {
            octets.push(b'\n');
        }
        if octet != 0 {
            octets.push(octet);
        }
        *last = octet;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields::of(&Header::parse(b"Subject: a\r\n b\r\nX: 1\r\nx: 2\r\nOdd :y\r\n").unwrap())
    }

    fn text(fields: Fields) -> String {
        String::from_utf8(fields.into_bytes()).unwrap()
    }

    #[test]
    fn a_milter_sees_names_and_values_and_changes_nothing_by_looking() {
        let fields = fields();
        let shown: Vec<_> =
            fields.shown().map(|(name, value)| format!("{}={}", name.escape_ascii(), value.escape_ascii())).collect();
        assert_eq!(shown, ["Subject=a\\n b", "X=1", "x=2", "Odd=y"]);
        assert_eq!(text(fields), "Subject: a\r\n b\r\nX: 1\r\nx: 2\r\nOdd :y\r\n");
    }

    #[test]
    fn fields_are_added_changed_and_removed_where_they_stand() {
        let mut fields = fields();
        fields.insert(0, b"First", b"f");
        fields.insert(2, b"Third", b"t");
        fields.change(2, b"X", b"3");
        fields.change(1, b"subject", b"");
        fields.change(9, b"Nobody", b"");
        fields.change(1, b"New", b"n");
        fields.add(b"Last", b"l");
        assert_eq!(text(fields), "First: f\r\nThird: t\r\nX: 1\r\nX: 3\r\nOdd :y\r\nNew: n\r\nLast: l\r\n");
    }

    #[test]
    fn a_value_cannot_become_another_field_or_end_the_header() {
        let mut fields = Fields::default();
        fields.add(b"A", b"1\r\nBcc: eve\n\n\tfolded\r\n\r\n.\r\nMAIL FROM:<>");
        assert_eq!(text(fields), "A: 1\r\n\tBcc: eve\r\n\tfolded\r\n\t.\r\n\tMAIL FROM:<>\r\n");
    }

    #[test]
    fn lines_of_a_new_body_end_with_crlf_however_they_are_cut() {
        for (body, right) in [
            ("a\nb\n", "a\r\nb\r\n"),
            ("a\r\nb\r\n", "a\r\nb\r\n"),
            ("a\rb", "a\r\nb"),
            ("\n.\n", "\r\n.\r\n"),
            ("\r\r\n", "\r\n\r\n"),
        ] {
            for cut in 0..=body.len() {
                let (mut last, (one, other)) = (0, body.as_bytes().split_at(cut));
                let octets = [crlf(one, &mut last), crlf(other, &mut last)].concat();
                assert_eq!(octets, right.as_bytes(), "{body:?} cut at {cut}");
            }
        }
    }
}
