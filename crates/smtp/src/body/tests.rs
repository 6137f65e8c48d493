use bytes::{Bytes, BytesMut};

use super::bdat::{ChunkDecoder, TextCheck};
use super::dot::{Decoded, DotDecoder, DotEncoder};
use crate::syntax::LineError;

/// The letter and what is left; `None` while the end has not come.
type Outcome = Result<Option<(Vec<u8>, Vec<u8>)>, LineError>;

/// Decodes octets that come in pieces of `size`.
fn decode(wire: &[u8], size: usize) -> Outcome {
    let (mut decoder, mut input, mut letter) = (DotDecoder::new(), BytesMut::new(), Vec::new());
    let mut pieces = wire.chunks(size);
    loop {
        match decoder.decode(&mut input)? {
            Decoded::Chunk(piece) => {
                assert!(!piece.is_empty());
                letter.extend_from_slice(&piece);
            }
            Decoded::End => {
                let rest: Vec<u8> = input.iter().chain(pieces.flatten()).copied().collect();
                return Ok(Some((letter, rest)));
            }
            Decoded::Incomplete => {
                assert!(input.len() <= 3, "{} octets wait", input.len());
                let Some(piece) = pieces.next() else { return Ok(None) };
                input.extend_from_slice(piece);
            }
        }
    }
}

#[test]
fn dots_are_taken_out_and_the_end_is_found_however_the_octets_come() {
    for (wire, letter, rest) in [
        (".\r\n", "", ""),
        ("\r\n.\r\nQUIT", "\r\n", "QUIT"),
        ("a\r\n.\r\n.\r\n", "a\r\n", ".\r\n"),
        ("..\r\n.\r\n", ".\r\n", ""),
        ("...\r\n..a\r\n.b\r\n.\r\n", "..\r\n.a\r\nb\r\n", ""),
        ("a.\r\n.\r\n", "a.\r\n", ""),
        ("\r\n\r\n..\r\n\r\n.\r\nx", "\r\n\r\n.\r\n\r\n", "x"),
    ] {
        for size in 1..=wire.len() {
            let expected = Some((letter.as_bytes().to_vec(), rest.as_bytes().to_vec()));
            assert_eq!(decode(wire.as_bytes(), size), Ok(expected), "{wire:?} by {size}");
        }
    }
}

#[test]
fn what_only_looks_like_a_line_end_is_an_error_however_the_octets_come() {
    for (wire, error) in [
        ("a\n.\r\n", LineError::BareLf),
        ("a\r.\r\n", LineError::BareCr),
        ("a\r\n.\n", LineError::BareLf),
        ("a\r\n.\rx", LineError::BareCr),
        ("a\r\r\n.\r\n", LineError::BareCr),
        ("a\0\r\n.\r\n", LineError::Nul),
        (".\0\r\n", LineError::Nul),
        ("\n", LineError::BareLf),
        ("\r\r", LineError::BareCr),
    ] {
        for size in 1..=wire.len() {
            assert_eq!(decode(wire.as_bytes(), size), Err(error), "{wire:?} by {size}");
        }
    }
}

#[test]
fn an_end_that_has_not_come_is_not_guessed() {
    for wire in ["", "a", "a\r\n", "a\r\n.", "a\r\n.\r", ".", ".\r", "a.\r\n"] {
        for size in 1..=wire.len().max(1) {
            assert_eq!(decode(wire.as_bytes(), size), Ok(None), "{wire:?} by {size}");
        }
    }
}

#[test]
fn clean_text_is_handed_on_without_a_copy() {
    let mut input = BytesMut::from(&b"one\r\ntwo\r\n\r\nthree.\r\n"[..]);
    let (start, length) = (input.as_ptr(), input.len());
    let Decoded::Chunk(piece) = DotDecoder::new().decode(&mut input).unwrap() else { panic!() };
    assert_eq!((piece.as_ptr(), piece.len()), (start, length));
}

#[test]
fn what_is_encoded_is_decoded_as_it_was() {
    for letter in ["", "a", ".", "..\r\n", ".\r\n.\r\n", "\r\n.\r\n", "a\r\n..b\r\n.", "a\r\n"] {
        for size in 1..=letter.len().max(1) {
            let (mut encoder, mut wire) = (DotEncoder::new(), Vec::new());
            for piece in letter.as_bytes().chunks(size) {
                encoder.encode(piece, &mut wire).unwrap();
            }
            encoder.finish(&mut wire).unwrap();
            // A letter travels in whole lines.
            let ended = letter.is_empty() || letter.ends_with("\r\n");
            let lines = if ended { letter.to_owned() } else { format!("{letter}\r\n") };
            assert_eq!(decode(&wire, 3), Ok(Some((lines.into_bytes(), Vec::new()))), "{letter:?} by {size}");
        }
    }
}

#[test]
fn a_letter_that_cannot_travel_as_text_is_not_sent() {
    for (letter, error) in [
        ("a\n", LineError::BareLf),
        ("a\rb", LineError::BareCr),
        ("a\0", LineError::Nul),
        ("a\r", LineError::BareCr),
        ("\r\r\n", LineError::BareCr),
    ] {
        for size in 1..=letter.len() {
            let (mut encoder, mut wire, mut check) = (DotEncoder::new(), Vec::new(), TextCheck::default());
            let encoded = letter.as_bytes().chunks(size).try_for_each(|piece| encoder.encode(piece, &mut wire));
            assert_eq!(encoded.and_then(|()| encoder.finish(&mut wire)), Err(error), "{letter:?} by {size}");
            let checked = letter.as_bytes().chunks(size).try_for_each(|piece| check.piece(piece));
            assert_eq!(checked.and_then(|()| check.finish()), Err(error), "{letter:?} by {size}");
        }
    }
}

#[test]
fn a_chunk_takes_what_was_counted_and_no_more() {
    let mut input = BytesMut::from(&b"abcdef"[..]);
    let mut chunk = ChunkDecoder::new(4);
    assert_eq!(chunk.decode(&mut input), Some(Bytes::from_static(b"abcd")));
    assert!(chunk.is_done());
    assert_eq!((chunk.decode(&mut input), &input[..]), (None, &b"ef"[..]));
    let mut chunk = ChunkDecoder::new(u64::MAX);
    assert_eq!(chunk.decode(&mut input), Some(Bytes::from_static(b"ef")));
    assert_eq!((chunk.is_done(), chunk.left()), (false, u64::MAX - 2));
}
