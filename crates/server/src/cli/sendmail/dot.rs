//! A letter that ends at a line of a single dot, as it does for sendmail without `-i`.

use std::io::{self, BufRead, BufReader, Read};

/// Reads as far as that line. It begins at the beginning of a line.
pub(super) struct UntilDot<R> {
    input: BufReader<R>,
    /// Octets that were looked at.
    ready: Vec<u8>,
    begins_line: bool,
    is_over: bool,
}

impl<R: Read> UntilDot<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), ready: Vec::new(), begins_line: true, is_over: false }
    }
}

impl<R: Read> Read for UntilDot<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_over || buffer.is_empty() {
            return Ok(0);
        }
        if self.ready.is_empty() && self.begins_line && self.input.fill_buf()?.first() == Some(&b'.') {
            // Three octets tell.
            self.input.by_ref().take(2).read_until(b'\n', &mut self.ready)?;
            if self.ready == b".\r" {
                self.input.by_ref().take(1).read_until(b'\n', &mut self.ready)?;
            }
            self.is_over = matches!(self.ready.as_slice(), b"." | b".\n" | b".\r\n");
            if self.is_over {
                return Ok(0);
            }
        }
        let count = if self.ready.is_empty() {
            let available = self.input.fill_buf()?;
            let line = available.iter().position(|&octet| octet == b'\n').map_or(available.len(), |at| at + 1);
            let count = line.min(buffer.len());
            buffer.iter_mut().zip(available).take(count).for_each(|(to, from)| *to = *from);
            self.input.consume(count);
            count
        } else {
            let count = self.ready.len().min(buffer.len());
            buffer.iter_mut().zip(self.ready.drain(..count)).for_each(|(to, from)| *to = from);
            count
        };
        if let Some(last) = count.checked_sub(1).and_then(|last| buffer.get(last)) {
            self.begins_line = *last == b'\n';
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_ends_at_a_lone_dot_and_at_no_other() {
        for (input, expected) in [
            ("a\n.\nb\n", "a\n"),
            ("a\r\n.\r\nb\r\n", "a\r\n"),
            ("a\n..\n.b\nc.\n", "a\n..\n.b\nc.\n"),
            (".\nb", ""),
            ("a\n.", "a\n"),
            (".\rb\n", ".\rb\n"),
            (".a", ".a"),
            ("", ""),
        ] {
            for size in 1..5 {
                let (mut dots, mut read, mut buffer) = (UntilDot::new(input.as_bytes()), Vec::new(), vec![0; size]);
                while let Ok(count @ 1..) = dots.read(&mut buffer) {
                    read.extend_from_slice(&buffer[..count]);
                }
                assert_eq!(String::from_utf8(read).unwrap(), expected, "{input:?} in pieces of {size}");
            }
        }
    }
}
