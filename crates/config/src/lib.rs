//! The configuration file: units, networks, secrets, and mistakes shown where they stand.
//!
//! Every crate declares its own `Settings` (`Deserialize`, [`JsonSchema`], `Default`, unknown fields denied); the server puts them
//! together into one root type and reads it with [`load`]. A mistake becomes a [`ConfigError`]: file, line, caret, what would be
//! right, and for an unknown key the nearest known one. The same doc comments become the reference manual ([`reference`]).
//!
//! It knows no subsystem and never guesses: a value that is not understood is refused, nothing is silently ignored. Its failure
//! means that the file must be edited; nothing that was loaded before changes.

mod diagnose;
mod document;
mod error;
mod network;
pub mod reference;
mod schema;
mod secret;
mod source;
mod units;

use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use error::{ConfigError, Mistake};
pub use network::{Network, NetworkError};
pub use secret::{Secret, SecretError};
pub use source::Source;
pub use units::{ByteSize, Period, UnitError};

/// Reads and checks a file.
///
/// # Errors
/// [`ConfigError`]: the file cannot be read, or the first mistake in it.
pub fn load<T: DeserializeOwned + JsonSchema>(path: &Path) -> Result<T, ConfigError> {
    load_with_source(path).map(|(settings, _)| settings)
}

/// Like [`load`], and keeps the text so that a mistake that only shows later (two listeners on one port, say) can still be shown
/// where it stands: [`Source::mistake`].
///
/// # Errors
/// As [`load`].
pub fn load_with_source<T: DeserializeOwned + JsonSchema>(path: &Path) -> Result<(T, Source), ConfigError> {
    let mut source = Source::read(path)?;
    let settings = source.decode()?;
    Ok((settings, source))
}

/// Checks a text; `file_name` is only shown. Relative paths of secrets are taken from the working directory.
///
/// # Errors
/// The first mistake in the text.
pub fn parse<T: DeserializeOwned + JsonSchema>(text: &str, file_name: &str) -> Result<T, ConfigError> {
    Source::new(text, file_name).decode()
}
