//! `cargo xtask test`: every test there is, with the peers it needs.
//!
//! A peer that is missing is named at the end; with `required` it fails its tests instead. The runner is
//! cargo-nextest where it is installed, else `cargo test`.

use crate::{peers, process};
use anyhow::bail;

/// What was asked for.
pub(crate) struct Options {
    install: peers::Install,
    required: bool,
    filter: Vec<String>,
}

impl Options {
    /// From the words of the command line.
    pub(crate) fn parse(words: &[String]) -> anyhow::Result<Options> {
        let mut options = Options { install: peers::Install::Allowed, required: false, filter: Vec::new() };
        for word in words {
            match word.as_str() {
                "--no-install" => options.install = peers::Install::Forbidden,
                flag if flag.starts_with('-') => bail!("there is no option {flag}; `cargo xtask help` lists them"),
                name => options.filter.push(name.to_owned()),
            }
        }
        Ok(options)
    }

    /// Everything, and nothing may be skipped.
    pub(crate) fn everything() -> Options {
        Options { install: peers::Install::Allowed, required: true, filter: Vec::new() }
    }
}

/// Runs the tests; the runner's summary is the last thing printed, unless something was skipped.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let state = peers::fetch(options.install)?;
    println!("{state}");
    let skipped = process::target().join("peers/skipped");
    std::fs::create_dir_all(process::target().join("peers"))?;
    std::fs::write(&skipped, "")?;
    let mut environment = vec![("POSTHOUSE_SKIPPED", skipped.clone().into_os_string())];
    if let Some(root) = state.root() {
        environment.push(("POSTHOUSE_PEERS", root.into()));
    }
    if options.required {
        environment.push(("POSTHOUSE_PEERS_REQUIRED", "1".into()));
    }
    if options.filter.is_empty() {
        process::run(process::cargo().args(["test", "--quiet", "--workspace", "--doc"]))?;
    }
    let mut runner = process::cargo();
    if process::answers("cargo", &["nextest", "--version"]) {
        runner.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        println!("cargo-nextest is not installed: using cargo test");
        runner.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    let result = process::run(runner.args(&options.filter).envs(environment));
    report(&std::fs::read_to_string(&skipped)?);
    result
}

fn report(skipped: &str) {
    let mut lines: Vec<&str> = skipped.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    if !lines.is_empty() {
        println!("\nskipped, {} of the tests:", lines.len());
    }
    for line in lines {
        println!("  {line}");
    }
}
