//! A letter with a picture and a PDF, sent, and asserted on in a test. The README shows it from here on.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a command for people, and a test that may fail loudly")]

use posthouse_client::{Mailer, Message, MessageError, Roots, blocking};

fn menu() -> Result<Message, MessageError> {
    Message::builder()
        .from("Alice <alice@example.test>")
        .to("bob@example.test")
        .subject("The menu")
        .html(r#"<p>Today: <img src="cid:dish@example.test" alt="soup"></p>"#) // the plain text is made of it
        .inline_bytes("dish@example.test", "dish.png", "image/png", &include_bytes!("dish.png")[..])
        .attach_bytes("menu.pdf", "application/pdf", &include_bytes!("menu.pdf")[..]) // or .attach_file(path)
        .build()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mailer = Mailer::builder("smtps://alice%40example.test@localhost:2465")?
        .password(std::env::var("PASSWORD")?)
        .roots(Roots::PemFile("mail/ca/ca.pem".into()))
        .build()?;
    for recipient in &blocking::Mailer::from(mailer).send(&menu()?)?.recipients {
        println!("{recipient}"); // bob@example.test: accepted: 250 2.6.0 … stored
    }
    Ok(())
}

#[test]
fn the_menu_comes_with_its_picture() {
    let catcher = posthouse_client::Catcher::start().unwrap(); // a real SMTP server in this process
    let mailer = catcher.mailer().unwrap().build().unwrap();
    blocking::Mailer::from(mailer).send(&menu().unwrap()).unwrap();
    let letter = catcher.wait_for_now("bob@example.test").unwrap();
    assert!(letter.html().unwrap().contains("cid:dish@example.test"));
    assert!(letter.attachment("menu.pdf").is_some());
}
