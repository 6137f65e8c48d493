//! Clients that submit letters, each once, and remember what they were told.

use std::net::SocketAddr;
use std::time::Duration;

use posthouse_runtime::net::Stream;
use posthouse_runtime::sim::{self, Host};
use posthouse_runtime::{clock, random};

use crate::ledger::{Answer, Ledger, Submission};
use crate::remote::Phase;
use crate::talk::Talk;

/// A letter to be submitted.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its name.
    pub marker: String,
    /// The envelope's sender; the marker is in it.
    pub from: String,
    /// Its recipients.
    pub to: Vec<String>,
    /// Its octets, about.
    pub size: usize,
    /// Where the client breaks the connection, if it does.
    pub vanishes: Option<Phase>,
    /// How long the client takes before each step.
    pub pause: Duration,
}

impl Order {
    /// A small letter that nothing happens to.
    #[must_use]
    pub fn new(number: usize, to: &[&str]) -> Self {
        let marker = format!("m{number}");
        Self {
            from: format!("{marker}@from.test"),
            marker,
            to: to.iter().map(|&to| to.to_owned()).collect(),
            size: 500,
            vanishes: None,
            pause: Duration::ZERO,
        }
    }

    /// The letter as it is sent.
    #[must_use]
    pub fn body(&self) -> String {
        let mut body = format!(
            "From: <{}>\r\nTo: <{}>\r\nDate: Mon, 21 Sep 2026 12:00:00 +0000\r\nMessage-ID: <{m}@sim.test>\r\nX-Sim: {m}\r\nSubject: {m}\r\n\r\n",
            self.from,
            self.to.join(">, <"),
            m = self.marker
        );
        while body.len() < self.size {
            body.push_str(&format!("{} of {} octets, and some more of them to fill the line\r\n", self.marker, self.size));
        }
        body.push_str(&end_of(&self.marker));
        body
    }
}

/// The last line of a letter.
pub(crate) fn end_of(marker: &str) -> String {
    format!("This is the end of {marker}.\r\n")
}

/// Submits a letter to a server and writes down what came of it.
pub async fn submit(host: Host, server: SocketAddr, order: Order, ledger: Ledger) {
    let mut submission =
        Submission { marker: order.marker.clone(), recipients: Vec::new(), body: order.body(), answer: Answer::Refused };
    let at_end = host.run(dialogue(server, &order, &mut submission)).await;
    if at_end.flatten().is_none() && submission.answer != Answer::Taken {
        // Before the end of data nothing has been given away.
        sim::note(format!("{}: the client was not answered", order.marker));
    }
    sim::note(format!("{}: {:?} for {:?}", order.marker, submission.answer, submission.recipients));
    ledger.pages().submissions.push(submission);
}

async fn dialogue(server: SocketAddr, order: &Order, submission: &mut Submission) -> Option<()> {
    let connected = clock::timeout(Duration::from_secs(300), Stream::connect(server, None)).await;
    let mut talk = Talk::new(connected.ok()?.ok()?);
    talk.pause = order.pause;
    let breaks = |phase| order.vanishes == Some(phase);
    let steps = [
        (Phase::Banner, String::new(), 220),
        (Phase::Hello, "EHLO client.test".to_owned(), 250),
        (Phase::Sender, format!("MAIL FROM:<{}>", order.from), 250),
    ];
    for (phase, command, code) in steps {
        if !command.is_empty() {
            talk.say(&command).await?;
        }
        if breaks(phase) {
            talk.vanish();
            return None;
        }
        if talk.reply().await? != code {
            return Some(());
        }
    }
    for to in &order.to {
        talk.say(&format!("RCPT TO:<{to}>")).await?;
        if breaks(Phase::Recipient) {
            talk.vanish();
            return None;
        }
        if talk.reply().await? == 250 {
            submission.recipients.push(to.clone());
        }
    }
    talk.say("DATA").await?;
    if breaks(Phase::Data) {
        talk.vanish();
        return None;
    }
    if talk.reply().await? != 354 {
        return Some(());
    }
    let half = submission.body.len() / 2;
    let (first, second) = submission.body.as_bytes().split_at(half);
    talk.send(first).await?;
    if breaks(Phase::Body) {
        talk.vanish();
        return None;
    }
    talk.send(second).await?;
    submission.answer = Answer::Unknown;
    talk.send(b".\r\n").await?;
    if breaks(Phase::End) {
        talk.vanish();
        return None;
    }
    if breaks(Phase::Reply) {
        clock::sleep(random::jitter(Duration::from_millis(200), 1.0)).await;
        talk.vanish();
        return None;
    }
    submission.answer = if talk.reply().await? == 250 { Answer::Taken } else { Answer::Refused };
    talk.say("QUIT").await?;
    talk.reply().await?;
    talk.close().await;
    Some(())
}
