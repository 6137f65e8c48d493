//! `cargo xtask sim`: runs seeds one after another, and prints the trace of the first that breaks a promise.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::panic::catch_unwind;
use std::process::ExitCode;

use posthouse_runtime::clock;
use posthouse_sim::seeds;

fn main() -> ExitCode {
    let Some((first, count, shows)) = arguments() else {
        eprintln!("usage: posthouse-sim [--seeds N] [--seed S] [--trace]");
        return ExitCode::from(64);
    };
    let began = clock::now();
    let (mut taken, mut arrivals, mut crashes, mut connections) = (0, 0, 0, 0);
    for seed in first..first.saturating_add(count) {
        let Ok(outcome) = catch_unwind(|| seeds::run(seed)) else {
            println!("seed {seed}: the run ended by a panic, see above");
            return ExitCode::FAILURE;
        };
        if shows || !outcome.broken.is_empty() {
            print!("{}", outcome.trace());
        }
        if !outcome.broken.is_empty() {
            println!("seed {seed}: broken promises:");
            outcome.broken.iter().for_each(|what| println!("  {what}"));
            return ExitCode::FAILURE;
        }
        taken += outcome.tally.taken;
        arrivals += outcome.tally.arrivals;
        crashes += outcome.tally.crashes;
        connections += outcome.tally.connections;
    }
    println!(
        "{count} seeds from {first}: {taken} letters accepted, {arrivals} arrivals, {crashes} crashes, {connections} connections; \
         every promise kept; {:.1} s",
        clock::now().duration_since(began).as_secs_f64()
    );
    ExitCode::SUCCESS
}

/// The first seed, how many, and whether the trace is shown anyway.
fn arguments() -> Option<(u64, u64, bool)> {
    let (mut first, mut count, mut shows) = (None, None, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seeds" => count = Some(words.next()?.parse().ok()?),
            "--seed" => first = Some(words.next()?.parse().ok()?),
            "--trace" => shows = true,
            _ => return None,
        }
    }
    // One seed by its number is that one alone.
    let count = count.unwrap_or(if first.is_some() { 1 } else { 100 });
    Some((first.unwrap_or(1), count, shows))
}
