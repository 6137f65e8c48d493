//! The names of users.

use std::fs;

const PASSWD: &str = "/etc/passwd";

/// The name of a user of this machine; `None` when `/etc/passwd` has none (one that only a network service knows).
#[must_use]
pub fn name(uid: u32) -> Option<String> {
    find(&fs::read_to_string(PASSWD).ok()?, uid)
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

/// passwd(5): `name:password:UID:GID:GECOS:directory:shell`.
fn find(passwd: &str, uid: u32) -> Option<String> {
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    };
    passwd.lines().find_map(named)
}

#[cfg(test)]
mod tests;
