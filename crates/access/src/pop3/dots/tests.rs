use super::*;

/// The letter as a client gets it, cut at `split`.
fn response(letter: &[u8], mut dots: Dots, split: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = dots.chunk(&letter[..split], &mut out) && dots.chunk(&letter[split..], &mut out);
    dots.end(&mut out);
    out
}

/// The same response wherever the letter is cut.
fn whole(letter: &[u8]) -> Vec<u8> {
    let expected = response(letter, Dots::whole(), 0);
    for split in 0..=letter.len() {
        assert_eq!(response(letter, Dots::whole(), split), expected, "{letter:?} at {split}");
    }
    expected
}

fn top(letter: &[u8], lines: u64) -> Vec<u8> {
    let expected = response(letter, Dots::top(lines), 0);
    for split in 0..=letter.len() {
        assert_eq!(response(letter, Dots::top(lines), split), expected, "{letter:?} at {split}");
    }
    expected
}

#[test]
fn a_dot_at_the_beginning_of_a_line_is_doubled_and_no_other() {
    for (letter, expected) in [
        (&b"a\r\n.b\r\nc.d\r\n"[..], &b"a\r\n..b\r\nc.d\r\n.\r\n"[..]),
        (b".\r\n", b"..\r\n.\r\n"),
        (b"..\r\n.\r\n\r\n.x\r\n", b"...\r\n..\r\n\r\n..x\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"x.\r\n", b"x.\r\n.\r\n"),
    ] {
        assert_eq!(whole(letter), expected);
    }
}

#[test]
fn a_letter_without_a_last_crlf_still_ends_on_a_line_of_its_own() {
    for (letter, expected) in [
        (&b""[..], &b".\r\n"[..]),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r", b"a\r\r\n.\r\n"),
        (b"a\n", b"a\n\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"\n", b"\n\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
    ] {
        assert_eq!(whole(letter), expected, "{letter:?}");
    }
}

#[test]
fn a_bare_line_feed_does_not_smuggle_an_end_of_letter() {
    assert_eq!(whole(b"a\n.\r\n+OK forged\r\n"), b"a\n..\r\n+OK forged\r\n.\r\n");
    assert_eq!(whole(b"a\n.\n"), b"a\n..\n\r\n.\r\n");
}

#[test]
fn a_letter_of_dots_and_line_ends_comes_back_as_it_was() {
    // Every letter of up to six octets of this alphabet, read as a client reads.
    let alphabet = [b'.', b'\r', b'\n', b'a'];
    for length in 0..=6_u32 {
        for number in 0..4_usize.pow(length) {
            let letter: Vec<u8> = (0..length).map(|place| alphabet[number / 4_usize.pow(place) % 4]).collect();
            let out = response(&letter, Dots::whole(), letter.len() / 2);
            let (lines, rest) = read_by_line_feeds(&out);
            assert!(rest.is_empty(), "{letter:?}: {rest:?} is behind the end");
            assert!(lines == letter || lines == [&letter[..], b"\r\n"].concat(), "{letter:?} became {lines:?}");
        }
    }
}

/// Reads lines that end with LF up to the line `.`, and undoubles dots.
fn read_by_line_feeds(out: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut lines = Vec::new();
    let mut rest = out;
    loop {
        let end = rest.iter().position(|&octet| octet == b'\n').expect("a line without an end") + 1;
        let (line, behind) = rest.split_at(end);
        rest = behind;
        if line == b".\r\n" || line == b".\n" {
            return (lines, rest);
        }
        lines.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
}

#[test]
fn the_top_is_the_header_and_as_many_lines_as_asked_for() {
    let letter = b"A: 1\r\nB: 2\r\n\r\none\r\n.two\r\n\r\nfour\r\n";
    for (lines, expected) in [
        (0, &b"A: 1\r\nB: 2\r\n\r\n.\r\n"[..]),
        (1, b"A: 1\r\nB: 2\r\n\r\none\r\n.\r\n"),
        (2, b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n.\r\n"),
        (3, b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n\r\n.\r\n"),
        (4, b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n\r\nfour\r\n.\r\n"),
        (u64::MAX, b"A: 1\r\nB: 2\r\n\r\none\r\n..two\r\n\r\nfour\r\n.\r\n"),
    ] {
        assert_eq!(top(letter, lines), expected, "{lines}");
    }
}

#[test]
fn the_top_of_a_letter_without_a_body_is_all_of_it() {
    for letter in [&b""[..], b"A: 1\r\n", b"A: 1", b"\r\n"] {
        assert_eq!(top(letter, 0), whole(letter), "{letter:?}");
    }
}

#[test]
fn the_top_of_a_large_letter_stops_asking_for_it() {
    let mut dots = Dots::top(1);
    let mut out = Vec::new();
    assert!(dots.chunk(b"A: 1\r\n\r\non", &mut out));
    assert!(!dots.chunk(b"e\r\ntwo\r\n", &mut out));
    assert_eq!(out, b"A: 1\r\n\r\none\r\n");
}
