//! Profiles: who sends through which server, kept in `~/.config/posthouse/profiles.toml`.
//!
//! ```toml
//! [work]
//! from = "Alice <alice@example.org>"
//! server = "smtps://alice%40example.org@mail.example.org"
//! password-command = "pass show mail/work"
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use posthouse_mail::mime::Mailbox;
use serde::Deserialize;

use crate::cli::{Exit, Failure};

/// One sender.
#[derive(Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Profile {
    /// The sender; `--from` with the same address chooses this profile.
    pub(super) from: Option<String>,
    /// As `--server`.
    pub(super) server: Option<String>,
    /// As `--direct`.
    #[serde(default)]
    pub(super) direct: bool,
    /// As `--user`.
    pub(super) user: Option<String>,
    /// As `--password-command`.
    pub(super) password_command: Option<String>,
    /// As `--password-file`.
    pub(super) password_file: Option<PathBuf>,
    /// As `--ca`.
    pub(super) ca: Option<PathBuf>,
    /// As `--helo`.
    pub(super) helo: Option<String>,
    /// As `--proxy`.
    pub(super) proxy: Option<String>,
}

/// The profile that was named, or that of the sender, or the only one, or none.
pub(super) fn find(name: Option<&str>, from: Option<&str>) -> Result<Profile, Failure> {
    let Some(path) = place() else { return none(name) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return none(name),
        Err(error) => return Err(Failure::say(Exit::NoInput, format_args!("{}: {error}", path.display()))),
    };
    let profiles =
        toml::from_str(&text).map_err(|error| Failure::say(Exit::Config, format_args!("{}: {error}", path.display())))?;
    choose(profiles, name, from)
}

fn choose(mut profiles: BTreeMap<String, Profile>, name: Option<&str>, from: Option<&str>) -> Result<Profile, Failure> {
    if let Some(name) = name {
        return profiles.remove(name).map_or_else(|| none(Some(name)), Ok);
    }
    let address = |text: &str| text.parse::<Mailbox>().ok().map(|mailbox| mailbox.address);
    if let Some(wanted) = from.and_then(address) {
        let fits = |profile: &&Profile| profile.from.as_deref().and_then(address).is_some_and(|from| from == wanted);
        return Ok(profiles.values().find(fits).cloned().unwrap_or_default());
    }
    Ok(if profiles.len() == 1 { profiles.into_values().next().unwrap_or_default() } else { Profile::default() })
}

fn none(name: Option<&str>) -> Result<Profile, Failure> {
    match name {
        Some(name) => {
            Err(Failure::say(Exit::Config, format_args!("there is no profile `{name}` in ~/.config/posthouse/profiles.toml")))
        }
        None => Ok(Profile::default()),
    }
}

fn place() -> Option<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".config"));
    config.or_else(home).map(|path| path.join("posthouse").join("profiles.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_chooses_the_profile() {
        let text = "[work]\nfrom = \"Alice <alice@x.test>\"\nserver = \"smtps://x\"\n[home]\nfrom = \"al@y.test\"\nserver = \"smtps://y\"\n";
        let profiles: BTreeMap<String, Profile> = toml::from_str(text).unwrap();
        let server = |name, from| choose(profiles.clone(), name, from).map(|profile| profile.server);
        assert_eq!(server(None, Some("A. <alice@x.test>")).unwrap().as_deref(), Some("smtps://x"));
        assert_eq!(server(Some("home"), Some("alice@x.test")).unwrap().as_deref(), Some("smtps://y"));
        assert_eq!(server(None, Some("other@x.test")).unwrap(), None);
        assert_eq!(server(None, None).unwrap(), None, "two profiles, and nothing says which");
        assert_eq!(server(Some("none"), None).unwrap_err().exit(), Exit::Config);
        let only: BTreeMap<String, Profile> = toml::from_str("[a]\nserver = \"smtps://x\"\n").unwrap();
        assert_eq!(choose(only, None, None).unwrap().server.as_deref(), Some("smtps://x"));
        assert!(
            toml::from_str::<BTreeMap<String, Profile>>("[a]\npassword = \"x\"\n").is_err(),
            "a password does not belong there"
        );
    }
}
