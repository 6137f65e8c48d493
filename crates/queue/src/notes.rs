//! Small lists beside the segments: files `PREFIX-N`, of which the one with the highest number that can be read counts.
//!
//! A new one is durable before the older is removed. One that was cut short or has rotted is known by its checksum and counts as nothing, for an older
//! one may stand beside it.

use std::io::{self, ErrorKind, IoSlice};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::storage::{self, Storage};

/// What is read of one, and written into one.
const BYTES_MAX: usize = 4 << 20;

/// Reads what an earlier run left.
pub(crate) fn load<T: DeserializeOwned>(storage: &dyn Storage, prefix: &str) -> io::Result<Option<T>> {
    for (_, name) in files(storage, prefix)?.into_iter().rev() {
        let file = match storage.open(&name) {
            Ok(file) => file,
            // Replaced while it was looked for.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut octets = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX).min(BYTES_MAX)];
        let read = storage::read_up_to(file.as_ref(), &mut octets, 0)?;
        octets.truncate(read);
        if let Some(list) = decode(&octets) {
            return Ok(Some(list));
        }
    }
    Ok(None)
}

/// Makes it durable. One that is too long to be read again is not written.
pub(crate) fn store<T: Serialize>(storage: &dyn Storage, prefix: &str, list: &T) -> io::Result<()> {
    let octets = encode(list);
    if octets.len() > BYTES_MAX {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the list is too long"));
    }
    let before = files(storage, prefix)?;
    let number = before.last().map_or(0, |(number, _)| number + 1);
    let file = storage.create(&format!("{prefix}{number}"))?;
    storage::write_all(file.as_ref(), &mut [IoSlice::new(&octets)], 0)?;
    file.sync_data()?;
    storage.sync_dir()?;
    for (_, name) in before {
        storage.remove(&name)?;
    }
    storage.sync_dir()
}

/// Makes durable what was loaded: a process that was killed may have left it in the page cache alone, and after a sync that failed the kernel calls such
/// pages clean, so it is written anew. Where there is no room for that, a sync must do.
pub(crate) fn keep<T: Serialize>(storage: &dyn Storage, prefix: &str, list: &T) -> io::Result<()> {
    let files = files(storage, prefix)?;
    if files.is_empty() || store(storage, prefix, list).is_ok() {
        return Ok(());
    }
    for (_, name) in files {
        match storage.open(&name) {
            Ok(file) => file.sync_data()?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    storage.sync_dir()
}

fn files(storage: &dyn Storage, prefix: &str) -> io::Result<Vec<(u64, String)>> {
    let number = |name: String| name.strip_prefix(prefix)?.parse().ok().map(|number| (number, name));
    let mut files: Vec<_> = storage.list()?.into_iter().filter_map(number).collect();
    files.sort_unstable();
    Ok(files)
}

/// `crc SP json LF`.
fn encode<T: Serialize>(list: &T) -> Vec<u8> {
    let json = serde_json::to_string(list).unwrap_or_default();
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
}

fn decode<T: DeserializeOwned>(octets: &[u8]) -> Option<T> {
    let (crc, json) = std::str::from_utf8(octets).ok()?.strip_suffix('\n')?.split_once(' ')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}
