//! Which data directory a command works on, and the operations on it.

use std::path::{Path, PathBuf};

use posthouse_admin::{Admin, AdminError, Kind};

use super::{Exit, Failure};
use crate::config::Config;

/// Where a configuration is looked for when none is named.
const USUAL: [&str; 2] = ["posthouse.toml", "/etc/posthouse/posthouse.toml"];

/// `--config` and `--data`, which every command on a server's data takes.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct DataArgs {
    /// The configuration that names the data directory [default: posthouse.toml here, then /etc/posthouse/posthouse.toml].
    #[arg(long, short, value_name = "FILE", env = "POSTHOUSE_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// The data directory itself; no configuration is read.
    #[arg(long, value_name = "DIR", global = true, conflicts_with = "config")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// The operations on a directory that exists.
    pub(crate) fn open(&self) -> Result<Admin, Failure> {
        self.with(Admin::open)
    }

    /// The operations on a directory that is made if need be.
    pub(crate) fn open_or_create(&self) -> Result<Admin, Failure> {
        self.with(Admin::open_or_create)
    }

    fn with(&self, open: impl FnOnce(&Path) -> Result<Admin, AdminError>) -> Result<Admin, Failure> {
        match self.config()? {
            Some(config) => open(&config.data).and_then(|admin| admin.configured(config.logins)).map_err(failure),
            None => open(&self.directory()?).map_err(failure),
        }
    }

    /// The configuration, where there is one and no directory was named in its place.
    pub(crate) fn config(&self) -> Result<Option<Config>, Failure> {
        if self.data.is_some() {
            return Ok(None);
        }
        let path = config_file(self.config.as_ref())?;
        Config::load(&path).map(Some).map_err(|error| Failure::new(Exit::Config, error))
    }

    /// The directory.
    pub(crate) fn directory(&self) -> Result<PathBuf, Failure> {
        if let Some(data) = &self.data {
            return Ok(data.clone());
        }
        let path = config_file(self.config.as_ref())?;
        Config::load(&path).map(|config| config.data).map_err(|error| Failure::new(Exit::Config, error))
    }
}

/// The file that was named, or the first of the usual ones that exists.
pub(crate) fn config_file(named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let usual = || USUAL.iter().map(PathBuf::from).find(|path| path.exists());
    named.cloned().or_else(usual).ok_or_else(|| {
        let words =
            format!("there is no {} and no {}: name a configuration or a data directory (see --help)", USUAL[0], USUAL[1]);
        Failure::say(Exit::Config, words)
    })
}

/// Runs the asynchronous part of a command.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, AdminError>>) -> Result<T, Failure> {
    posthouse_runtime::block_on(work).map_err(|error| Failure::new(Exit::Os, error))?.map_err(failure)
}

/// The exit code that says whose fault it is.
pub(crate) fn failure(error: AdminError) -> Failure {
    Failure::new(exit(error.kind()), error)
}

/// As [`failure`], of a kind alone.
pub(crate) fn exit(kind: Kind) -> Exit {
    match kind {
        Kind::NotFound => Exit::NoUser,
        Kind::Conflict | Kind::Invalid => Exit::Data,
        Kind::Busy => Exit::TempFail,
        Kind::Setup => Exit::Config,
        Kind::Storage => Exit::Io,
        Kind::Stopped => Exit::Unavailable,
        Kind::Denied => Exit::NoPermission,
        Kind::Protocol => Exit::Protocol,
    }
}

/// Words of an argument that is not what it should be.
pub(crate) fn malformed(what: &str, text: &str, error: impl std::fmt::Display) -> Failure {
    Failure::say(Exit::Data, format_args!("{what} `{}`: {error}", posthouse_runtime::log::one_line(text)))
}
