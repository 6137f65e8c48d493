//! The names of users, and where they live.

use std::fs;
use std::path::PathBuf;

const PASSWD: &str = "/etc/passwd";
/// passwd(5): `name:password:UID:GID:GECOS:directory:shell`.
const NAME: usize = 0;
const UID: usize = 2;
const DIRECTORY: usize = 5;

/// The name of a user of this machine; `None` when `/etc/passwd` has none (one that only a network service knows).
#[must_use]
pub fn name(uid: u32) -> Option<String> {
    field(&fs::read_to_string(PASSWD).ok()?, uid, NAME)
}

/// The home directory of a user of this machine, for programs that run without `HOME`.
#[must_use]
pub fn home(uid: u32) -> Option<PathBuf> {
    field(&fs::read_to_string(PASSWD).ok()?, uid, DIRECTORY).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Whether this machine has a user of this name.
#[must_use]
pub fn exists(name: &str) -> bool {
    let passwd = fs::read_to_string(PASSWD).unwrap_or_default();
    passwd.lines().any(|line| line.split(':').next() == Some(name))
}

/// The number of the user that this process acts as.
#[must_use]
pub fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A field of a user's line.
fn field(passwd: &str, uid: u32, which: usize) -> Option<String> {
    let is_theirs = |line: &&str| line.split(':').nth(UID).and_then(|number| number.parse().ok()) == Some(uid);
    let line = passwd.lines().find(is_theirs)?;
    line.split(':').nth(which).map(str::to_owned)
}

#[cfg(test)]
mod tests;
