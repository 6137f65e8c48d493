//! The two ways a letter travels.

use bytes::BytesMut;
use posthouse_smtp::body::bdat::{ChunkDecoder, TextCheck};
use posthouse_smtp::body::dot::{Decoded, DotDecoder, DotEncoder};
use posthouse_smtp::syntax::LineError;

use crate::pieces;

/// What came of dotted text: the letter and what follows it, or nothing while it has not ended.
type Outcome = Result<Option<(Vec<u8>, Vec<u8>)>, LineError>;

/// Dotted text. The first octet cuts the rest into pieces.
pub fn dot_body(data: &[u8]) {
    let Some((&seed, wire)) = data.split_first() else { return };
    let whole = undot(&[wire]);
    assert_eq!(whole, undot(&pieces(wire, seed)), "cut by {seed}");
    if let Ok(Some((letter, _))) = whole {
        let mut check = TextCheck::default();
        assert_eq!(check.piece(&letter).and_then(|()| check.finish()), Ok(()));
        round_trip(&letter, seed);
    }
    round_trip(wire, seed);
}

/// A letter in chunks: octets 1 and 2 are the first chunk's size.
pub fn bdat_body(data: &[u8]) {
    let [seed, low, high, wire @ ..] = data else { return };
    let size = u16::from_le_bytes([*low, *high]);
    let mut decoder = ChunkDecoder::new(size.into());
    let (mut input, mut taken) = (BytesMut::new(), Vec::new());
    for piece in pieces(wire, *seed) {
        input.extend_from_slice(piece);
        while let Some(octets) = decoder.decode(&mut input) {
            assert!(!octets.is_empty());
            taken.extend_from_slice(&octets);
        }
    }
    let expected = wire.len().min(size.into());
    assert_eq!(taken, wire[..expected]);
    assert_eq!(input, wire[expected..]);
    assert_eq!(decoder.is_done(), expected == usize::from(size));
    assert_eq!(checked(&[wire]), checked(&pieces(wire, *seed)), "cut by {seed}");
}

/// What can travel as text comes out as it went in; what cannot is refused by both sides for the same reason.
fn round_trip(letter: &[u8], seed: u8) {
    let (mut encoder, mut wire) = (DotEncoder::new(), Vec::new());
    let encoded = pieces(letter, seed).into_iter().try_for_each(|piece| encoder.encode(piece, &mut wire));
    let encoded = encoded.and_then(|()| encoder.finish(&mut wire));
    assert_eq!(encoded, checked(&[letter]));
    if encoded.is_ok() {
        let mut lines = letter.to_vec();
        if !lines.is_empty() && !lines.ends_with(b"\r\n") {
            lines.extend_from_slice(b"\r\n");
        }
        assert_eq!(undot(&[&wire]), Ok(Some((lines, Vec::new()))));
    }
}

fn checked(pieces: &[&[u8]]) -> Result<(), LineError> {
    let mut check = TextCheck::default();
    pieces.iter().try_for_each(|piece| check.piece(piece))?;
    check.finish()
}

fn undot(pieces: &[&[u8]]) -> Outcome {
    let (mut decoder, mut input, mut letter) = (DotDecoder::new(), BytesMut::new(), Vec::new());
    let mut rest = pieces.iter();
    loop {
        match decoder.decode(&mut input)? {
            Decoded::Chunk(piece) => letter.extend_from_slice(&piece),
            Decoded::End => {
                let behind = input.iter().chain(rest.copied().flatten()).copied().collect();
                return Ok(Some((letter, behind)));
            }
            Decoded::Incomplete => {
                assert!(input.len() <= 3);
                let Some(piece) = rest.next() else { return Ok(None) };
                input.extend_from_slice(piece);
            }
        }
    }
}
