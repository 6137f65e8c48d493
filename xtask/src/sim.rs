//! `cargo xtask sim`: the simulated mail network, seed after seed; the first that breaks a promise is printed with its trace.

use crate::process;

/// Hands the words on to the runner. Built as the tests are: with overflow checks, and at once where they have been.
pub(crate) fn run(words: &[String]) -> anyhow::Result<()> {
    process::run(process::cargo().args(["run", "--quiet", "--package", "posthouse-sim", "--"]).args(words))
}
