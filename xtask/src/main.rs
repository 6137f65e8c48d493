//! The project's own chores: `cargo xtask help` lists them.
//!
//! Never linked into the server. A failed chore prints why and exits with 1.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]
#![allow(clippy::disallowed_methods, reason = "the seam to the outside world is the server's, not the chores'")]

mod bench;
mod bench_client;
mod ci;
mod docs;
mod licences;
mod metadata;
mod peers;
mod process;
mod sim;
mod test;
mod tidy;
mod timing;

use anyhow::bail;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask COMMAND

  test [--no-install] [FILTER]                every test; fetches the peers it needs from Debian when it may,
                                              and names what it skipped otherwise
  ci                                          the same tests with nothing skipped, after format, lints, tidy,
                                              generated documents, licences and corpora
  tidy [--shrink]                             edges between crates, sizes, banned calls, words
  licences                                    what deny.toml says, read from cargo metadata
  docs [--check]                              regenerate the reference from the binary's own declarations
  bench [--json] [--row NAME] [--pairs N]     the table of rates, CPU and memory, beside a tuned Postfix
  bench growth                                rate and memory as queue and connections grow; writes the plot in docs/design
  bench client [--json] [--row NAME] [--peer NAME]… [--rounds N]
                                              the client library beside lettre, mail-send, nodemailer, smtplib,
                                              smtp-source and msmtp
  sim [--seeds N] [--seed S] [--trace]        a simulated mail network in which everything goes wrong, a run for
                                              each seed; prints the first that breaks a promise, with its trace
  timing [--rounds N]                         whether the time of an answer tells who has an account
  peers                                       fetch and unpack the peers only
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> anyhow::Result<()> {
    std::env::set_current_dir(process::root())?;
    let (command, rest) = words.split_first().map_or(("help", &[] as &[String]), |(first, rest)| (first.as_str(), rest));
    match command {
        "test" => test::run(&test::Options::parse(rest)?),
        "ci" => ci::run(),
        "tidy" => tidy::run(rest.iter().any(|word| word == "--shrink")),
        "licences" => licences::run(),
        "docs" => docs::run(rest.iter().any(|word| word == "--check")),
        "bench" if rest.first().is_some_and(|word| word == "client") => bench_client::run(rest.get(1..).unwrap_or_default()),
        "bench-client-inside" => bench_client::run_inside(rest),
        "bench" => bench::run(rest),
        "bench-inside" => bench::run_inside(rest),
        "sim" => sim::run(rest),
        "timing" => timing::run(rest),
        "peers" => peers::fetch(peers::Install::Allowed).map(|state| println!("{state}")),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no `{other}`; `cargo xtask help` lists the commands"),
    }
}
