//! The names of users.

use std::fs;

const PASSWD: &str = "/etc/passwd";

/// The name of a user of this machine; `None` when `/etc/passwd` has none (one that only a network service knows).
#[must_use]
pub fn name(uid: u32) -> Option<String> {
    find(&fs::read_to_string(PASSWD).ok()?, uid)
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
