//! Passwords and keys in the configuration: inline, from a file, or from the environment.
//!
//! A secret is read once, when the configuration is loaded, so that a missing file is shown at its line and not at three in the
//! morning. It is never printed: `Debug` and `Display` show `***`, and there is no `Serialize`. The memory is overwritten on drop.
//! Failure means the file cannot be read, may be read by everybody, or the variable is not set.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use thiserror::Error;
use zeroize::Zeroizing;

/// A secret file is a password or a key, not a document.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A password or key: `"inline"`, `{ file = "/path" }` or `{ env = "NAME" }`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// Why a secret could not be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file cannot be opened or read.
    #[error("the secret's file `{}` cannot be read: {cause}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Everybody on the machine may read the file.
    #[error("the secret's file `{0}` may be read by everybody: run `chmod 600 {0}`", path.display())]
    WorldReadable {
        /// Which file.
        path: PathBuf,
    },
    /// The file is no text, or longer than 64 KiB.
    #[error("the secret's file `{}` must hold one line of text, at most 64 KiB", path.display())]
    NotText {
        /// Which file.
        path: PathBuf,
    },
    /// Nothing in it.
    #[error("the secret is empty")]
    Empty,
    /// The variable is not set, or not text.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
}

impl Secret {
    /// A secret that is already in memory.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Reads a file: one line of text, its line end dropped. Refused when everybody may read it.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let read_error = |cause| SecretError::Read { path: path.to_owned(), cause };
        let file = std::fs::File::open(path).map_err(read_error)?;
        let mode = file.metadata().map_err(read_error)?.permissions().mode();
        if mode & 0o004 != 0 {
            return Err(SecretError::WorldReadable { path: path.to_owned() });
        }
        let mut text = Zeroizing::new(String::new());
        let not_text = || SecretError::NotText { path: path.to_owned() };
        file.take(FILE_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(|cause| if cause.kind() == std::io::ErrorKind::InvalidData { not_text() } else { read_error(cause) })?;
        let line = text.trim_end_matches(['\r', '\n']);
        if u64::try_from(text.len()).is_ok_and(|len| len > FILE_BYTES_MAX) || line.contains(['\r', '\n']) {
            return Err(not_text());
        }
        if line.is_empty() { Err(SecretError::Empty) } else { Ok(Self::new(line)) }
    }

    /// Reads an environment variable.
    ///
    /// # Errors
    /// [`SecretError::Unset`], [`SecretError::Empty`].
    pub fn from_env(name: &str) -> Result<Self, SecretError> {
        match std::env::var(name) {
            Ok(text) if text.is_empty() => Err(SecretError::Empty),
            Ok(text) => Ok(Self::new(text)),
            Err(_) => Err(SecretError::Unset(name.to_owned())),
        }
    }

    /// The secret itself, for the moment of use. Do not keep a copy.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

thread_local! {
    /// The directory of the file being decoded on this thread: serde passes no context to a `Deserialize`.
    static BASE: RefCell<PathBuf> = const { RefCell::new(PathBuf::new()) };
    /// The files of secrets that were read since.
    static FILES: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
}

/// Runs `decode` with relative paths of secrets taken from `directory`; with what came of it, the files that it read.
pub(crate) fn relative_to<T>(directory: &Path, decode: impl FnOnce() -> T) -> (T, Vec<PathBuf>) {
    let before = (BASE.replace(directory.to_owned()), FILES.take());
    let decoded = decode();
    BASE.set(before.0);
    (decoded, FILES.replace(before.1))
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret: \"text\", { file = \"/path\" } or { env = \"NAME\" }")
    }

    // Numbers and the like fall to serde's "invalid type", which would repeat the value: a password of digits without quotes.
    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("a secret is text: put it in quotes"))
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("a secret is text: put it in quotes"))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("a secret is text: put it in quotes"))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
        if text.is_empty() { Err(E::custom(SecretError::Empty)) } else { Ok(Secret::new(text)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        const FIELDS: &[&str] = &["file", "env"];
        let Some(key) = map.next_key::<String>()? else {
            return Err(A::Error::custom("a secret needs `file = \"/path\"` or `env = \"NAME\"`"));
        };
        let secret = match key.as_str() {
            "file" => {
                let file = map.next_value::<PathBuf>()?;
                let path = BASE.with_borrow(|base| base.join(file));
                let secret = Secret::from_file(&path).map_err(A::Error::custom)?;
                FILES.with_borrow_mut(|files| files.push(path));
                secret
            }
            "env" => Secret::from_env(&map.next_value::<String>()?).map_err(A::Error::custom)?,
            unknown => return Err(A::Error::unknown_field(unknown, FIELDS)),
        };
        match map.next_key::<String>()? {
            None => Ok(secret),
            Some(_) => Err(A::Error::custom("a secret has one source: either `file` or `env`")),
        }
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let source = |name: &str| json_schema!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name], "additionalProperties": false });
        json_schema!({
            "format": "secret",
            "anyOf": [{ "type": "string" }, source("file"), source("env")],
        })
    }
}

#[cfg(test)]
mod tests;
