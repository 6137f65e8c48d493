//! A small file that is written as a whole, now and then: what is worth keeping and may be lost.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
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

/// Writes it, whole or not at all: readers and crashes see the old file or the new one. It is its owner's alone, whatever the umask, and a link that stands in its place, or
/// beside it, is replaced and not followed. It blocks.
///
/// # Errors
/// It cannot be written; what was there before still is.
pub fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    // One that a crash has left.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(octets)?;
    file.sync_data()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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

    #[test]
    fn it_is_its_owners_alone_and_no_link_leads_it_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("kept"), folder.path().join("victim"));
        fs::write(&victim, "precious").unwrap();
        for link in ["kept", "kept.new"] {
            symlink(&victim, folder.path().join(link)).unwrap();
            write(&path, b"state").unwrap();
            assert_eq!(fs::read(&victim).unwrap(), b"precious");
            assert_eq!(read(&path).unwrap().as_deref(), Some(&b"state"[..]));
            assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode(), 0o100_600);
            fs::remove_file(&path).unwrap();
        }
    }
}
