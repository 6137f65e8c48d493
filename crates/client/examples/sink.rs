//! A server that takes everything and offers everything, until it is ended: `sink`. It prints where it listens.
#![allow(clippy::print_stdout, reason = "a command for people")]

use std::io::Read;

use posthouse_client::Catcher;

fn main() -> std::io::Result<()> {
    let catcher = Catcher::start()?;
    println!("{}", catcher.address().port());
    // Whoever started it holds the other end.
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
