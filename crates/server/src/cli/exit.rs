//! How a command ends: the exit codes of `<sysexits.h>`, and failures that carry one.

use std::fmt;
use std::process::ExitCode;

/// The exit codes of BSD's `<sysexits.h>`, which mail programs have always used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Ok = 0,
    /// The command was used wrongly.
    Usage = 64,
    /// The input was not what it should be: a malformed letter, an address that is none.
    Data = 65,
    /// An input file is missing or cannot be read.
    NoInput = 66,
    /// There is no such account, address or letter.
    NoUser = 67,
    /// There is no such host.
    NoHost = 68,
    /// A service refused for good.
    Unavailable = 69,
    /// A fault of ours.
    Software = 70,
    /// The operating system refused: a port in use, no more processes.
    Os = 71,
    /// A file or directory cannot be made.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// It did not work this time; the same command may work later.
    TempFail = 75,
    /// The other side does not speak the protocol.
    Protocol = 76,
    /// Not allowed: wrong password, missing rights.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: an exit code, and words for people (unless all has been said already).
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    cause: Option<anyhow::Error>,
}

impl Failure {
    /// A failure with its words; an error as `cause` is told with its sources.
    pub(crate) fn new(exit: Exit, cause: impl Into<anyhow::Error>) -> Self {
        Self { exit, cause: Some(cause.into()) }
    }

    /// A failure that is told by a sentence.
    pub(crate) fn say(exit: Exit, words: impl fmt::Display) -> Self {
        Self { exit, cause: Some(anyhow::anyhow!("{words}")) }
    }

    /// A failure of which everything has been printed already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, cause: None }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The words, sources included; `None` when there is nothing left to say.
    pub(crate) fn words(&self) -> Option<String> {
        self.cause.as_ref().map(|_| self.to_string())
    }
}

/// The words, and those of the sources that have not been said by what stands before them.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = String::new();
        for cause in self.cause.iter().flat_map(anyhow::Error::chain) {
            let words = cause.to_string();
            if !said.contains(&words) {
                said.push_str(if said.is_empty() { "" } else { ": " });
                said.push_str(&words);
            }
        }
        f.write_str(&said)
    }
}
