//! Where a password comes from: a file, the environment, a command, a prompt. Never an argument, which every user of the machine can read.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use posthouse_config::{Secret, SecretError};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::{Exit, Failure};

/// A password is a line.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// The sources a password may come from.
#[derive(clap::Args, Debug, Default)]
#[group(required = false, multiple = false)]
pub(crate) struct PasswordArgs {
    /// Read the password from the first line of this file (`-`: standard input). A file that everybody may read is refused.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the password from this environment variable.
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// Read the password from what this shell command prints, such as "pass show mail".
    #[arg(long, value_name = "COMMAND")]
    password_command: Option<String>,
    /// Read the password from the first line of this open file descriptor.
    #[arg(long, value_name = "N")]
    password_fd: Option<u32>,
}

/// How often a person is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// For a password that exists: once.
    Once,
    /// For a new one: twice, and the same both times.
    Twice,
}

impl PasswordArgs {
    /// Whether standard input is taken by the password.
    pub(crate) fn uses_stdin(&self) -> bool {
        self.password_file.as_deref() == Some(Path::new("-"))
    }

    /// Whether a source was named.
    pub(crate) fn is_named(&self) -> bool {
        let of_file = self.password_file.is_some() || self.password_fd.is_some();
        of_file || self.password_env.is_some() || self.password_command.is_some()
    }

    /// Another source, if none was named.
    pub(crate) fn or(&mut self, command: Option<String>, file: Option<PathBuf>) {
        if !self.is_named() {
            (self.password_command, self.password_file) = (command, file);
        }
    }

    /// Gets the password; asks on the terminal if no source was named.
    pub(crate) fn read(&self, ask: Ask) -> Result<Secret, Failure> {
        match self {
            Self { password_file: Some(path), .. } if path == Path::new("-") => line(io::stdin().lock()),
            Self { password_file: Some(path), .. } => Secret::from_file(path).map_err(refused),
            Self { password_env: Some(name), .. } => Secret::from_env(name).map_err(refused),
            Self { password_command: Some(command), .. } => of_command(command),
            Self { password_fd: Some(number), .. } => {
                let file = std::fs::File::open(format!("/dev/fd/{number}"));
                let file =
                    file.map_err(|error| Failure::say(Exit::NoInput, format_args!("file descriptor {number}: {error}")))?;
                line(io::BufReader::new(file))
            }
            Self { .. } => prompt(ask),
        }
    }
}

fn refused(error: SecretError) -> Failure {
    let exit = match &error {
        SecretError::Read { .. } => Exit::NoInput,
        SecretError::WorldReadable { .. } => Exit::NoPermission,
        SecretError::NotText { .. } | SecretError::Empty | SecretError::Unset(_) | _ => Exit::Data,
    };
    Failure::new(exit, error)
}

/// The first line, without its end.
fn line(input: impl io::BufRead) -> Result<Secret, Failure> {
    let mut text = String::new();
    let read = input.take(LINE_BYTES_MAX).read_line(&mut text);
    read.map_err(|error| Failure::say(Exit::NoInput, format_args!("the password cannot be read: {error}")))?;
    // `Secret` wipes what it holds; this shortens the text in place, so there is no copy.
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    if text.is_empty() { Err(refused(SecretError::Empty)) } else { Ok(Secret::new(text)) }
}

pub(super) fn of_command(command: &str) -> Result<Secret, Failure> {
    let say = |error: io::Error| Failure::say(Exit::NoInput, format_args!("the password command failed: {error}"));
    // Standard input and error stay the terminal's: the command may have to ask for something itself.
    let mut child = Command::new("/bin/sh").args(["-c", command]).stdout(Stdio::piped()).spawn().map_err(say)?;
    let output = child.stdout.take();
    let secret = output.map_or_else(|| Err(refused(SecretError::Empty)), |output| line(io::BufReader::new(output)));
    // The pipe is closed by now: a command that goes on printing gets an error instead of waiting for us.
    let status = child.wait().map_err(say)?;
    if status.success() {
        secret
    } else {
        Err(Failure::say(Exit::NoInput, format_args!("the password command failed: {status}")))
    }
}

fn prompt(ask: Ask) -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        let words = "no password: give --password-file, --password-env or --password-command (there is no terminal to ask on)";
        return Err(Failure::say(Exit::Usage, words));
    }
    let hidden = |question: &str| {
        let _quiet = Quiet::begin();
        let typed = rpassword::prompt_password(question);
        typed.map(Secret::new).map_err(|error| Failure::say(Exit::Io, format_args!("the terminal cannot be read: {error}")))
    };
    match ask {
        Ask::Once => hidden("Password: "),
        Ask::Twice => {
            let first = hidden("New password: ")?;
            if hidden("The same again: ")? == first {
                Ok(first)
            } else {
                Err(Failure::say(Exit::Data, "the two passwords are not the same"))
            }
        }
    }
}

/// The terminal shows nothing that is typed until this is dropped. It begins before the question is asked: who types as soon as it is there is not shown either.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet).ok()?;
        Some(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
