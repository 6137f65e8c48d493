//! `cargo xtask sim`: the simulated mail network, seed after seed; the first that breaks a promise is printed with its trace.

use crate::process;

/// Hands the words on to the runner, built with optimisation: a run is all computing.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    process::run(process::cargo().args(["run", "--quiet", "--release", "--package", "posthouse-sim", "--"]).args(words))
}
