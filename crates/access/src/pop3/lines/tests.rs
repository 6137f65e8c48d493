use super::*;

fn all(lines: &mut Lines, bytes_max: usize) -> Vec<Line> {
    std::iter::from_fn(|| lines.next(bytes_max)).collect()
}

fn text(text: &str) -> Line {
    Line::Text(text.into())
}

#[test]
fn a_line_that_comes_in_pieces_is_one_line() {
    let octets = b"NOOP\r\n\r\nSTAT\r\n";
    for split in 0..octets.len() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for part in [&octets[..split], &octets[split..]] {
            lines.push(part);
            found.extend(all(&mut lines, 255));
        }
        assert_eq!(found, [text("NOOP"), text(""), text("STAT")], "{split}");
        assert!(!lines.is_begun());
    }
}

#[test]
fn only_crlf_ends_a_line() {
    for bad in [&b"NOOP\n"[..], b"NO\rOP\r\n", b"NOOP\r\r\n", b"\n", b"NO\0OP\r\n", b"NOOP\x1b[1m\r\n", b"NOOP\t\r\n"] {
        let mut lines = Lines::default();
        lines.push(bad);
        assert_eq!(all(&mut lines, 255), [Line::Malformed], "{bad:?}");
    }
}

#[test]
fn a_line_at_the_limit_passes_and_one_above_does_not() {
    for (length, fits) in [(253, true), (254, false), (2000, false)] {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; length]);
        lines.push(b"\r\nNOOP\r\n");
        let found = all(&mut lines, 255);
        assert_eq!(matches!(found[0], Line::Text(_)), fits, "{length}");
        assert_eq!(found[1], text("NOOP"), "the line behind a long one is whole");
    }
}

#[test]
fn a_line_of_ten_megabytes_never_fills_memory() {
    let mut lines = Lines::default();
    let mut told = None;
    for sent in 1..=10_240 {
        lines.push(&[b'x'; 1024]);
        told = lines.next(255);
        assert!(lines.buffer.capacity() <= 4096, "{}", lines.buffer.capacity());
        if told.is_some() {
            assert!(sent <= 66, "{sent}");
            break;
        }
    }
    assert_eq!(told, Some(Line::Endless));
}

#[test]
fn a_long_line_that_comes_octet_by_octet_is_told_once() {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    for octet in [&[b'x'; 300][..], b"\r\nNOOP\r\n"].concat() {
        lines.push(&[octet]);
        found.extend(all(&mut lines, 255));
    }
    assert_eq!(found, [Line::TooLong, text("NOOP")]);
}
