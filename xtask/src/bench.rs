//! `cargo xtask bench`: accept and relay beside a tuned Postfix.

use anyhow::bail;

/// Measures; prints one line per row.
pub(crate) fn run(_words: &[String]) -> anyhow::Result<()> {
    bail!("not there yet")
}
