use super::*;

fn read(letter: &[u8]) -> Result<Message, MessageError> {
    Message::from_eml_reader(letter, "a@x.test".parse().unwrap(), vec!["b@y.test".parse().unwrap()])
}

/// Gives its octets one at a time, or in pieces of a size that parts line ends.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

#[test]
fn a_large_letter_is_what_a_small_one_would_be() {
    let mut letter = b"Subject: s\nBcc: secret@y.test\n\n".to_vec();
    for number in 0..60_000 {
        letter.extend_from_slice(format!("line {number} ends as it likes").as_bytes());
        letter.extend_from_slice([&b"\n"[..], b"\r\n", b"\r"][number % 3]);
    }
    letter.extend_from_slice("no end, é".as_bytes());
    assert!(letter.len() > MEMORY_BYTES_MAX);
    let whole = Message::from_eml(&letter, "a@x.test".parse().unwrap(), vec!["b@y.test".parse().unwrap()]).unwrap();
    for size in [7, 1000, 65_536] {
        let read =
            Message::from_eml_reader(Pieces(&letter, size), "a@x.test".parse().unwrap(), vec!["b@y.test".parse().unwrap()]);
        let read = read.unwrap();
        assert!(read.to_bytes().unwrap() == whole.to_bytes().unwrap(), "in pieces of {size}");
        assert_eq!((read.size(), read.envelope()), (whole.size(), whole.envelope()));
        assert!(read.to_bytes().unwrap() == whole.to_bytes().unwrap(), "a second time");
    }
}

#[test]
fn nothing_is_added_to_a_letter_that_ends_where_memory_does() {
    let letter = [&b"Subject: s\r\n\r\n"[..], &b"x\r\n".repeat(MEMORY_BYTES_MAX / 3 + 1)].concat();
    for end in 0..12 {
        let letter = &letter[..MEMORY_BYTES_MAX + 6 - end];
        let whole = Message::from_eml(letter, "a@x.test".parse().unwrap(), vec!["b@y.test".parse().unwrap()]).unwrap();
        assert!(read(letter).unwrap().to_bytes().unwrap() == whole.to_bytes().unwrap(), "{end}");
    }
}

#[test]
fn what_is_wrong_with_it_is_found_wherever_it_stands() {
    assert_eq!(read(&[&b"Subject: s\n\n"[..], &b"x\n".repeat(MEMORY_BYTES_MAX), b"\0"].concat()).unwrap_err(), MessageError::Nul);
    assert_eq!(read(&b"Subject: s\n".repeat(200_000)).unwrap_err(), MessageError::TooLarge);
    assert_eq!(read(b"Subject: s\n\nhi").unwrap().to_bytes().unwrap(), "Subject: s\r\n\r\nhi\r\n");
}
