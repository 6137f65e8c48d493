//! The files under the spool: a border so small that the tests can stand on the other side of it.
//!
//! [`Disk`] is the real one. The tests' own keeps what was written apart from what was synced, and loses the difference.
//! Nothing here knows records or letters; an error is passed on as the system gave it.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::Arc;

mod disk;
#[cfg(test)]
pub(crate) mod fault;

pub(crate) use disk::Disk;

/// At most this many slices go into one write (`IOV_MAX` of Linux).
const SLICES_MAX: usize = 1024;

/// One open file.
pub(crate) trait File: Send + Sync + fmt::Debug {
    /// Writes some of the slices at `offset`; says how many octets.
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;
    /// Reads some octets at `offset`; 0 at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Returns when everything written is on stable storage.
    fn sync_data(&self) -> io::Result<()>;
    /// The file's length.
    fn len(&self) -> io::Result<u64>;
    /// Makes the file `len` long and takes the room for it, so that no later write inside finds the disk full.
    fn reserve(&self, len: u64) -> io::Result<()>;
}

/// One directory of files.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// The names in it.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Makes a file that is not.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when makings and removals are on stable storage.
    fn sync_dir(&self) -> io::Result<()>;
    /// The octets that are left for us where it lies.
    fn free(&self) -> io::Result<u64>;
}

/// Writes all slices at `offset`.
pub(crate) fn write_all(file: &dyn File, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let some = slices.get(..SLICES_MAX).unwrap_or(slices);
        match file.write_at(some, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                IoSlice::advance_slices(&mut slices, n);
                offset += u64::try_from(n).unwrap_or(u64::MAX);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills the buffer from `offset`; an end before that is an error.
pub(crate) fn read_exact(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    if read_up_to(file, buffer, offset)? == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Fills the buffer from `offset` as far as the file goes; says how far.
pub(crate) fn read_up_to(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + u64::try_from(done).unwrap_or(u64::MAX)) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
