//! The guide "from nothing to a sent newsletter" (`docs/book/newsletter.md`): its code stands here word for word, so that it compiles, and the part that needs no server of
//! somebody else's is run.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::redundant_closure,
    clippy::needless_borrow,
    clippy::needless_borrows_for_generic_args,
    reason = "the code is the guide's, as it teaches best, and a failure here is a failed test"
)]
#![allow(dead_code, reason = "some of it is only compiled: it sends to servers of others")]

use std::error::Error;
use std::time::Duration;

use posthouse_client::{ClientError, Message, SendReport};

const GUIDE: &str = include_str!("../../../docs/book/newsletter.md");
const HERE: &str = include_str!("guide.rs");

struct Subscriber {
    id: u32,
    address: String,
    token: String,
}

fn page(subscriber: &Subscriber) -> String {
    format!("<p>Dear {}</p>", subscriber.address)
}

fn store(_number: usize, _result: Result<SendReport, ClientError>) {}

#[rustfmt::skip]
fn one_letter() -> Result<(), Box<dyn Error>> {
    use posthouse_client::{Mailer, Message, blocking};

    let mailer = Mailer::builder("smtp+starttls://alice%40example.org@mail.example.org")?.password(std::env::var("PASSWORD")?).build()?;
    let mailer = blocking::Mailer::from(mailer);

    let message = Message::builder()
        .from("Alice <alice@example.org>")
        .to("bob@example.net")
        .subject("Grüße aus Köln")
        .html(r#"<p>See: <img src="cid:dom@example.org" alt="the cathedral"></p>"#) // the plain text is made of it
        .inline_file("dom@example.org", "dom.jpg")
        .attach_file("programme.pdf")
        .build()?;

    for recipient in &mailer.send(&message)?.recipients {
        println!("{recipient} {}", recipient.advice());
    }
    Ok(())
}

#[cfg(feature = "direct")]
#[rustfmt::skip]
fn straight(message: &Message) -> Result<(), Box<dyn Error>> {
    use posthouse_client::{Mailer, blocking};

    // The feature `direct` of the crate.
    let mailer = Mailer::direct("app.example.org").policies_in("/var/lib/app").build()?;
    for recipient in &blocking::Mailer::from(mailer).send(&message)?.recipients {
        println!("{recipient} {:?}", recipient.via); // the mail host that was spoken to, and how safely
    }
    Ok(())
}

#[rustfmt::skip]
fn caught(message: Message) -> Result<(), Box<dyn Error>> {
    use posthouse_client::{Catcher, blocking};

    let catcher = Catcher::start()?;                                  // a real SMTP server on a free port, in this process
    let mailer = blocking::Mailer::from(catcher.mailer()?.build()?);
    mailer.send(&message)?;
    let letter = catcher.wait_for_now("bob@example.net")?;
    assert_eq!(letter.subject().as_deref(), Some("Grüße aus Köln"));
    assert!(letter.html().unwrap().contains("cid:dom@example.org"));
    assert!(letter.attachment("programme.pdf").is_some());
    Ok(())
}

#[rustfmt::skip]
async fn ten_thousand(subscribers: Vec<Subscriber>, password: String) -> Result<(), Box<dyn Error>> {
    use posthouse_client::Mailer;

    let mailer = Mailer::builder("smtps://news%40example.org@mail.example.org")?
        .or("smtps://news%40example.org@backup.example.org")?  // when the first cannot be reached
        .password(password)
        .connections(4)
        .rate(14, Duration::from_secs(1))                       // what the provider allows
        .build()?;

    let letters = subscribers.into_iter().filter_map(|subscriber| {
        Message::builder()
            .from("News <news@example.org>")
            .return_path(&format!("bounces+{}@example.org", subscriber.id))
            .to(&subscriber.address)
            .subject("All is well")
            .html(page(&subscriber))
            .unsubscribe(format!("https://example.org/off?who={}", subscriber.token))
            .build()
            .ok()
    });
    mailer.send_each(letters, |number, result| store(number, result)).await;
    mailer.close().await;
    Ok(())
}

/// Without what is before and behind each line.
fn bare(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_guides_code_is_the_one_that_is_compiled_here() {
    let blocks: Vec<&str> = GUIDE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        assert!(bare(HERE).contains(bare(block).trim()), "not compiled: {block}");
    }
}

#[test]
fn a_letter_as_the_guide_makes_it_is_caught() {
    let message = Message::builder()
        .from("Alice <alice@example.org>")
        .to("bob@example.net")
        .subject("Grüße aus Köln")
        .html(r#"<p>See: <img src="cid:dom@example.org" alt="the cathedral"></p>"#)
        .inline_bytes("dom@example.org", "dom.jpg", "image/jpeg", &b"\xff\xd8"[..])
        .attach_bytes("programme.pdf", "application/pdf", &b"%PDF"[..])
        .build();
    caught(message.unwrap()).unwrap();
}
