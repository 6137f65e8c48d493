use super::*;
use crate::block_on;

#[test]
fn a_letter_larger_than_a_chunk_comes_in_chunks_and_whole() {
    let letter: Vec<u8> = (0..CHUNK_BYTES_MAX * 2 + 7).map(|n| n.to_le_bytes()[0]).collect();
    let mut source = Buffered::new(letter.clone());
    assert_eq!(source.len(), u64::try_from(letter.len()).unwrap());
    let sizes = block_on(async {
        let mut sizes = Vec::new();
        while let Some(chunk) = source.next().await.unwrap() {
            sizes.push(chunk.len());
        }
        assert!(source.next().await.unwrap().is_none(), "the end stays the end");
        sizes
    })
    .unwrap();
    assert_eq!(sizes, [CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, 7]);
    assert_eq!(block_on(collect(&mut Buffered::new(letter.clone()), usize::MAX)).unwrap().unwrap(), letter);
}

#[test]
fn an_empty_letter_has_no_chunk() {
    let mut source = Buffered::new(Vec::new());
    assert!(source.is_empty());
    assert!(block_on(source.next()).unwrap().unwrap().is_none());
}

#[test]
fn collecting_more_than_allowed_is_refused() {
    let refused = block_on(collect(&mut Buffered::new(vec![0; 11]), 10)).unwrap().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
}
