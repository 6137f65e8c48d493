//! `cargo xtask ci`: what must hold before a change is taken.
//!
//! The quick checks first, all of them even when one fails; then the tests, whose runner has the last word.

use crate::{docs, licences, process, test, tidy};
use anyhow::bail;
use std::time::Instant;

/// Runs every check and every test.
pub(crate) fn run() -> anyhow::Result<()> {
    type Check = (&'static str, fn() -> anyhow::Result<()>);
    let checks: [Check; 5] = [
        ("format", format),
        ("tidy", || tidy::run(false)),
        ("licences", licences::run),
        ("lints", lints),
        ("generated documents", || docs::run(true)),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        let began = Instant::now();
        match check() {
            Ok(()) => println!("ci: {name}: good, {} s", began.elapsed().as_secs()),
            Err(why) => {
                println!("ci: {name}: FAILED\n{why:#}");
                failed.push(name);
            }
        }
    }
    test::run(&test::Options::everything())?;
    if !failed.is_empty() {
        bail!("the tests passed, but not: {}", failed.join(", "));
    }
    Ok(())
}

fn format() -> anyhow::Result<()> {
    process::run(process::cargo().args(["fmt", "--all", "--", "--check"]))
}

fn lints() -> anyhow::Result<()> {
    process::run(process::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}
