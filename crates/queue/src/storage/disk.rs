//! The real files.

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{File, Storage};

/// The name of the file whose lock says that the spool is in use.
const LOCK: &str = "lock";
const ZEROES: usize = 1024 * 1024;

/// A directory on disk.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    handle: fs::File,
    /// Held for the life of the value; let go by closing it, so a killed process leaves no lock behind.
    _lock: Option<fs::File>,
}

impl Disk {
    /// Makes the directory if it is not there and locks it; `None` when another process holds the lock.
    pub(crate) fn locked(path: &Path) -> io::Result<Option<Self>> {
        let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|parent| !parent.exists()).collect();
        // Letters are nobody else's to read.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        // Its name must be on the disk before a letter in it is acknowledged, and so must those of the directories above that are new.
        for made in missing.into_iter().chain([path]) {
            if let Some(parent) = made.parent() {
                sync_names(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
            }
        }
        let lock = options().create(true).truncate(false).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path: path.to_owned(), handle: fs::File::open(path)?, _lock: Some(lock) })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The directory as it is, without the lock, for reading.
    pub(crate) fn unlocked(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), handle: fs::File::open(path)?, _lock: None })
    }
}

/// Makes the names in a directory durable. In one that we may not read somebody else has made ours, long ago.
fn sync_names(directory: &Path) -> io::Result<()> {
    match fs::File::open(directory) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        directory => directory?.sync_all(),
    }
}

fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

impl Storage for Disk {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let path = self.path.join(name);
        if self._lock.is_none() {
            return Ok(Arc::new(DiskFile(fs::File::open(path)?)));
        }
        Ok(Arc::new(DiskFile(options().open(path)?)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(DiskFile(options().create_new(true).open(self.path.join(name))?)))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free(&self) -> io::Result<u64> {
        let system = rustix::fs::fstatvfs(&self.handle)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

#[derive(Debug)]
struct DiskFile(fs::File);

impl File for DiskFile {
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.0, slices, offset)?)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            result => return Ok(result?),
        }
        // The file system cannot reserve: written zeroes take the room.
        let zeroes = vec![0; ZEROES];
        let mut at = self.len()?;
        while at < len {
            let some = usize::try_from(len - at).unwrap_or(ZEROES).min(ZEROES);
            self.0.write_all_at(zeroes.get(..some).unwrap_or_default(), at)?;
            at += u64::try_from(some).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}
