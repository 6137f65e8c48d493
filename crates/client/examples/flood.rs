//! Sends many letters of one size and says how fast they went: `flood URL CONNECTIONS LETTERS SIZE`.
#![allow(clippy::print_stdout, reason = "a command for people")]

use posthouse_client::{Mailer, Message, block_on};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [url, connections, letters, size] = words.as_slice() else { return Err("flood URL CONNECTIONS LETTERS SIZE".into()) };
    let (connections, letters, size): (usize, usize, usize) = (connections.parse()?, letters.parse()?, size.parse()?);
    let mailer = Mailer::builder(url)?.connections(connections).letters_per_connection(usize::MAX).build()?;
    let line = "All work and no play makes Jack a dull boy, all work and no play.\n";
    let text: String = line.chars().cycle().take(size).collect();
    let made = (0..letters).filter_map(move |n| {
        let builder = Message::builder().from("alice@load.test").to(&format!("bob{n}@sink.test"));
        builder.subject(format!("Letter {n}")).text(text.as_str()).build().ok()
    });
    let mut accepted = 0;
    block_on(async {
        let count = |_, result: Result<posthouse_client::SendReport, _>| {
            accepted += usize::from(result.is_ok_and(|report| report.is_complete()));
        };
        mailer.send_each(made, count).await;
        mailer.close().await;
    })?;
    println!("{accepted}");
    if accepted == letters { Ok(()) } else { Err("not all were accepted".into()) }
}
