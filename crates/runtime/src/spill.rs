//! Octets that wait: in memory while they are few, in a file without a name when they are many.
//!
//! For what must be seen whole before it can be stored, and may be large. The file is gone with the process, whatever becomes of it. Nothing here
//! is durable.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::task;

/// What is kept in memory.
const MEMORY_BYTES: usize = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Spill {
    folder: PathBuf,
    /// What comes behind the file's octets.
    memory: BytesMut,
    file: Option<Arc<File>>,
    file_bytes: u64,
}

impl Spill {
    /// Nothing yet. The file, if there comes to be one, is in `folder`.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, memory: BytesMut::new(), file: None, file_bytes: 0 }
    }

    /// How many octets there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.file_bytes + u64::try_from(self.memory.len()).unwrap_or(u64::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds octets.
    ///
    /// # Errors
    /// The file cannot be made or written; what was added before may then be gone as well.
    pub async fn push(&mut self, octets: &[u8]) -> io::Result<()> {
        self.memory.extend_from_slice(octets);
        if self.memory.len() <= MEMORY_BYTES {
            return Ok(());
        }
        let (folder, file, at) = (self.folder.clone(), self.file.clone(), self.file_bytes);
        let octets = std::mem::take(&mut self.memory).freeze();
        let count = octets.len();
        let written = task::blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile_in(folder)?),
            };
            file.write_all_at(&octets, at)?;
            Ok::<_, io::Error>(file)
        });
        self.file = Some(written.await?);
        self.file_bytes += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(())
    }

    /// At most `bytes_max` octets from a place on; none at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn read_at(&self, at: u64, bytes_max: usize) -> io::Result<Bytes> {
        if let Some(file) = self.file.as_ref().filter(|_| at < self.file_bytes) {
            let left = usize::try_from(self.file_bytes - at).unwrap_or(usize::MAX);
            let file = Arc::clone(file);
            return task::blocking(move || {
                let mut octets = vec![0; left.min(bytes_max)];
                file.read_exact_at(&mut octets, at)?;
                Ok(Bytes::from(octets))
            })
            .await;
        }
        let from = usize::try_from(at - self.file_bytes).unwrap_or(usize::MAX).min(self.memory.len());
        let to = from.saturating_add(bytes_max).min(self.memory.len());
        Ok(Bytes::copy_from_slice(self.memory.get(from..to).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn few_or_many_octets_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            for count in [0_usize, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES + 17] {
                let octets: Vec<u8> = (0..count).map(|n| u8::try_from(n % 251).unwrap()).collect();
                let mut spill = Spill::new(folder.path().to_owned());
                for piece in octets.chunks(10_007) {
                    spill.push(piece).await.unwrap();
                }
                assert_eq!(spill.len(), u64::try_from(count).unwrap());
                let mut read = Vec::new();
                loop {
                    let piece = spill.read_at(u64::try_from(read.len()).unwrap(), 9_999).await.unwrap();
                    if piece.is_empty() {
                        break;
                    }
                    read.extend_from_slice(&piece);
                }
                assert!(read == octets, "{count}");
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has no name");
            }
        })
        .unwrap();
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_when_it_is_needed() {
        block_on(async {
            let mut spill = Spill::new("/nonexistent/folder".into());
            spill.push(b"few").await.unwrap();
            spill.push(&vec![0; MEMORY_BYTES]).await.unwrap_err();
        })
        .unwrap();
    }
}
