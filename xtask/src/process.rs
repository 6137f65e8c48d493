//! Running other programs from the root of the repository.
//!
//! A program that cannot be started or fails is an error that quotes the command line.

use anyhow::{Context, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Clock ticks in a second, as `/proc` counts them on Linux.
pub(crate) const TICKS: f64 = 100.0;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let mut here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.pop();
    here
}

/// The directory that cargo builds into.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Cargo itself, the one that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // A chore is run by cargo, whose variables would make every build script of the tests look changed.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end with our own output; fails if it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs to the end and returns what it printed; its errors are shown when it fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let shown = show(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the program exists and answers this question.
pub(crate) fn answers(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn show(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for word in command.get_args() {
        shown.push(' ');
        shown.push_str(&word.to_string_lossy());
    }
    format!("`{shown}`")
}

/// User and system time of the programs that were run and have ended, in seconds.
pub(crate) fn ended_cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ended = ticks(&stat, 13, 2).context("no times in /proc/self/stat")?;
    Ok(f64::from(ended) / TICKS)
}

/// The sum of some times of a process, in [`TICKS`]: the first is `utime`, the 14th field of proc(5) and 11 here, where the count begins behind the name.
pub(crate) fn ticks(stat: &str, first: usize, count: usize) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split(' ').skip(first).take(count).filter_map(|field| field.parse::<u32>().ok()).sum())
}
