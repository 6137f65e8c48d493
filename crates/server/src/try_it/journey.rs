//! The letter's journey: from alice through the submission port, into bob's inbox, and out again over POP3.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthouse_client::{ClientError, Connection, Credentials, Line, RecipientResult, Security, Target, Timeouts};
use posthouse_journal::{Event, Query};
use posthouse_mail::{BodyKind, Envelope, LetterId, Recipient, ReversePath, UnixMillis};
use posthouse_mailbox::MailboxError;
use posthouse_runtime::stream::Buffered;
use posthouse_runtime::tls::{ClientTls, Roots};
use posthouse_runtime::{clock, random};

use super::pop3::{Pop3, Pop3Error};
use super::world::{DOMAIN, NAME, World, since};
use crate::cli::{Exit, Failure};
use crate::config::Kind;

/// How long the letter may take from its 250 into the inbox, and how often that is looked at.
const DELIVERY_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long each step of the dialogue may take: the server is this very process.
const STEP_MAX: Duration = Duration::from_secs(10);

/// What was said, line by line, without secrets.
#[derive(Clone, Default)]
pub(super) struct Dialogue(Arc<Mutex<Vec<Line>>>);

/// A letter that was accepted.
pub(super) struct Sent {
    /// Its id in the server's reply.
    pub(super) letter: Option<LetterId>,
    /// What TLS agreed on.
    pub(super) tls: Option<String>,
    /// A word that no other letter has.
    token: String,
    at: Instant,
}

/// A letter that was read.
pub(super) struct Read {
    /// Its octets.
    pub(super) letter: Vec<u8>,
    /// From the 250 to the inbox.
    pub(super) delivered_after: Duration,
}

impl Dialogue {
    fn push(&self, line: &Line) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
    }

    /// The lines so far.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Sends the letter as any program would: port 587, STARTTLS with a verified certificate, login.
pub(super) async fn send(world: &World, dialogue: &Dialogue) -> Result<Sent, Failure> {
    let token = format!("{:016x}", random::u64());
    let tls = ClientTls::verified(&Roots::PemFile(world.ca.clone())).map_err(|error| Failure::new(Exit::Software, error))?;
    let target = target(world, tls, dialogue)?;
    let told = |error: ClientError| Failure::new(Exit::Unavailable, anyhow::Error::new(error).context("not sent"));
    let mut connection = Connection::open(&target).await.map_err(told)?;
    let tls = connection.tls().map(ToString::to_string);
    let (alice, bob) = (&world.alice.account.address, &world.bob.account.address);
    let mut envelope = Envelope::new(ReversePath::from(alice.clone()), vec![Recipient::from(bob.clone())]);
    envelope.body = BodyKind::EightBitMime;
    let mut body = Buffered::new(compose(world, &token));
    let results = connection.send(&envelope, &mut body).await.map_err(told)?;
    let at = clock::now();
    connection.quit().await;
    let reply = match results.into_iter().next() {
        Some(RecipientResult::Accepted(reply)) => reply,
        Some(RecipientResult::Refused(reply) | RecipientResult::Unsendable(reply)) => {
            return Err(Failure::say(Exit::Unavailable, format_args!("the letter was refused: {reply}")));
        }
        Some(RecipientResult::Unknown(why) | RecipientResult::NotTried(why)) => {
            return Err(Failure::say(Exit::Unavailable, format_args!("the letter was not accepted: {why}")));
        }
        None => return Err(Failure::say(Exit::Software, "the letter had no recipient")),
    };
    let letter = reply.text().split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| word.parse().ok());
    Ok(Sent { letter, tls, token, at })
}

/// Waits until the letter is in bob's inbox, and reads it from there.
pub(super) async fn read(world: &World, sent: &Sent) -> Result<Read, Failure> {
    let Some(id) = sent.letter else {
        return Err(Failure::say(Exit::Software, "the server accepted the letter without telling its id"));
    };
    let Ok(place) = clock::timeout(DELIVERY_MAX, arrival(world, id)).await else {
        return Err(Failure::say(
            Exit::TempFail,
            format_args!("{id} was accepted but is not in the inbox: {}", last_word(world, id).await),
        ));
    };
    let place = place.map_err(|error| Failure::new(Exit::Io, error))?;
    let delivered_after = since(sent.at);
    let letter =
        fetch(world, place).await.map_err(|error| Failure::new(Exit::Protocol, anyhow::Error::new(error).context("not read")))?;
    if !String::from_utf8_lossy(&letter).contains(&sent.token) {
        return Err(Failure::say(Exit::Software, "the letter in the inbox is not the one that was sent"));
    }
    Ok(Read { letter, delivered_after })
}

fn target(world: &World, tls: ClientTls, dialogue: &Dialogue) -> Result<Target, Failure> {
    let login = world.alice.account.address.to_string();
    let credentials = Credentials::new(&login, &world.alice.password).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut target =
        Target::new(NAME, vec![world.address(Kind::Submission)], Security::StartTls(tls), format!("client.{DOMAIN}"));
    target.credentials = Some(credentials);
    target.timeouts = Timeouts { connect: STEP_MAX, greeting: STEP_MAX, command: STEP_MAX, ..Timeouts::default() };
    let dialogue = dialogue.clone();
    target.transcript = Some(Arc::new(move |line| dialogue.push(line)));
    Ok(target)
}

/// A small letter with what breaks bad mail systems: 8-bit text, a line that is one dot, a line that starts with one.
fn compose(world: &World, token: &str) -> Vec<u8> {
    let (alice, bob) = (&world.alice.account.address, &world.bob.account.address);
    let date = UnixMillis(clock::unix_millis()).to_rfc5322();
    format!(
        "From: Alice <{alice}>\r\n\
         To: Bob <{bob}>\r\n\
         Subject: The first letter\r\n\
         Date: {date}\r\n\
         Message-ID: <{token}@{DOMAIN}>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         \r\n\
         Dear Bob,\r\n\
         \r\n\
         this came through port 587, was stored before it was acknowledged,\r\n\
         and is yours to read. Grüße!\r\n\
         .\r\n\
         .. Alice\r\n"
    )
    .into_bytes()
}

/// Waits for the letter; its place in the inbox, from 0.
async fn arrival(world: &World, id: LetterId) -> Result<usize, MailboxError> {
    let mailboxes = &world.server.parts().mailboxes;
    loop {
        let inbox = mailboxes.inbox(world.bob.account.id.as_str()).await?;
        if let Some(place) = inbox.iter().position(|message| message.letter == id) {
            return Ok(place);
        }
        clock::sleep(LOOK_EVERY).await;
    }
}

async fn fetch(world: &World, place: usize) -> Result<Vec<u8>, Pop3Error> {
    let tls = ClientTls::verified(&Roots::PemFile(world.ca.clone()))?;
    let login = world.bob.account.address.to_string();
    let mut session = Pop3::open(world.address(Kind::Pop3s), &tls, NAME, &login, &world.bob.password).await?;
    let letter = session.retrieve(place + 1).await?;
    session.quit().await?;
    Ok(letter)
}

/// What the journal knows of a letter that did not arrive.
async fn last_word(world: &World, id: LetterId) -> String {
    let journal = &world.server.parts().journal;
    journal.flush().await;
    let entries = journal.query(Query::Letter(id)).await.unwrap_or_default();
    let word = entries
        .iter()
        .rev()
        .find_map(|entry| if let Event::Attempt { reply, .. } = &entry.event { Some(reply.clone()) } else { None });
    word.unwrap_or_else(|| "no attempt was made to deliver it".to_owned())
}
