//! Several mailboxes in one text.

/// The parts between the commas that stand outside of quotes, comments and angle brackets.
pub(super) fn items(value: &str) -> Vec<&str> {
    let (mut items, mut begin) = (Vec::new(), 0);
    let (mut quoted, mut comments, mut escaped, mut angle) = (false, 0_u32, false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if comments == 0 => quoted = !quoted,
            '(' if !quoted => comments += 1,
            ')' if !quoted => comments = comments.saturating_sub(1),
            '<' if !quoted && comments == 0 => angle = true,
            '>' if !quoted && comments == 0 => angle = false,
            ',' if !quoted && comments == 0 && !angle => {
                items.extend(value.get(begin..at));
                begin = at + 1;
            }
            _ => {}
        }
    }
    items.extend(value.get(begin..));
    items
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn commas_in_names_part_nothing() {
        assert_eq!(
            items("a@x.test, \"B, b\" <b@x.test>,c@x.test (c, d)"),
            ["a@x.test", " \"B, b\" <b@x.test>", "c@x.test (c, d)"]
        );
        assert_eq!(items("{{ email }}, {{ other|default(\"a,b\") }}"), ["{{ email }}", " {{ other|default(\"a,b\") }}"]);
    }
}
