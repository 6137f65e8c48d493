//! A small file that is written as a whole, now and then: what is worth keeping and may be lost.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Reads it; `None` when there is none.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes it, whole or not at all: readers and crashes see the old file or the new one. It blocks.
///
/// # Errors
/// It cannot be written; what was there before still is.
pub fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(octets)?;
    file.sync_data()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_replaces_what_was_there_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        assert_eq!(read(&path).unwrap(), None);
        for octets in [&b"a longer text"[..], b"short", b""] {
            write(&path, octets).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(octets));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write(&folder.path().join("nowhere/kept"), b"").unwrap_err();
    }
}
