//! Mail servers of others, from a script: kind, slow, moody, or unlucky.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use posthouse_runtime::net::{Listener, Stream};
use posthouse_runtime::sim::{self, Host};
use posthouse_runtime::{random, task};

use crate::ledger::Ledger;
use crate::talk::Talk;

/// The phases of a dialogue: something can go wrong in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the banner.
    Banner,
    /// At EHLO.
    Hello,
    /// At MAIL.
    Sender,
    /// At RCPT.
    Recipient,
    /// At DATA, or the first BDAT.
    Data,
    /// In the middle of the letter.
    Body,
    /// After the end of data, before the letter is taken.
    End,
    /// After the letter is taken: its reply is lost.
    Reply,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::Banner, Self::Hello, Self::Sender, Self::Recipient, Self::Data, Self::Body, Self::End, Self::Reply];
}

/// What happens to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Nothing bad.
    #[default]
    Kind,
    /// It breaks.
    Vanish(Phase),
    /// The server says nothing more.
    Sulk(Phase),
    /// The server answers 421 and hangs up; after [`Phase::End`] it has not taken the letter.
    Busy(Phase),
    /// The server takes so long for everything.
    Slow(Duration),
}

/// What a scripted server is like.
#[derive(Debug, Default)]
pub struct Character {
    /// The extensions it offers.
    pub offers: Vec<&'static str>,
    /// Who is unknown here: recipients that begin so get 550.
    pub unknown: &'static str,
    /// How long a pair of sender and recipient waits before it is let in.
    pub greylist: Option<Duration>,
    /// Until when every recipient is put off with 451.
    pub storm_until: Duration,
    /// The moods of the next connections, in order; then [`Character::chance`] decides.
    pub moods: Vec<Mood>,
    /// Of a hundred connections so many are in some mood.
    pub chance: usize,
    /// What is called when a letter was taken, before its reply.
    pub on_taken: Option<Call>,
}

/// Something to be called once.
pub struct Call(pub Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Call")
    }
}

/// A scripted server. Clones are the same one.
#[derive(Clone)]
pub struct Remote {
    /// Where it runs.
    pub host: Host,
    character: Arc<Mutex<Character>>,
    /// Since when pairs of sender and recipient are known.
    met: Arc<Mutex<HashMap<(String, String), Duration>>>,
    ledger: Ledger,
}

impl Remote {
    /// Starts one.
    #[must_use]
    pub fn start(host: Host, address: std::net::IpAddr, character: Character, ledger: &Ledger) -> Self {
        let remote = Self { host, character: Arc::new(Mutex::new(character)), met: Arc::default(), ledger: ledger.clone() };
        let this = remote.clone();
        host.spawn("remote", async move {
            let listener = Listener::bind((address, 25).into()).unwrap();
            while let Ok(stream) = listener.accept().await {
                let this = this.clone();
                task::spawn("remote session", async move { this.serve(stream).await });
            }
        });
        remote
    }

    /// Changes what it is like.
    ///
    /// # Panics
    /// When somebody panicked while changing it.
    pub fn character(&self) -> MutexGuard<'_, Character> {
        self.character.lock().unwrap()
    }

    async fn serve(&self, stream: Stream) {
        let mood = self.mood();
        let id = stream.sim_connection();
        if mood != Mood::Kind {
            sim::note(format!("#{} meets a mood: {mood:?}", id.unwrap_or_default()));
        }
        let mut session = Session { remote: self, talk: Talk::new(stream), mood, letter: None };
        if let Mood::Slow(pause) = mood {
            session.talk.pause = pause;
        }
        match session.run().await {
            Some(Ended::Quit) => session.talk.close().await,
            Some(Ended::Vanished) => session.talk.vanish(),
            None => {}
        }
    }

    fn mood(&self) -> Mood {
        let mut character = self.character();
        if !character.moods.is_empty() {
            return character.moods.remove(0);
        }
        if random::below(100) >= character.chance {
            return Mood::Kind;
        }
        let phase = Phase::ALL[random::below(Phase::ALL.len())];
        match random::below(5) {
            0 | 1 => Mood::Vanish(phase),
            2 => Mood::Sulk(phase),
            3 => Mood::Busy(phase),
            _ => Mood::Slow(random::jitter(Duration::from_secs(5), 1.0)),
        }
    }

    /// The reply to a recipient.
    fn recipient(&self, from: &str, to: &str) -> &'static str {
        let character = self.character();
        let now = sim::elapsed();
        if !character.unknown.is_empty() && to.starts_with(character.unknown) {
            return "550 5.1.1 no such user here";
        }
        if now < character.storm_until {
            return "451 4.3.2 too busy, try again later";
        }
        let Some(wait) = character.greylist else { return "250 2.1.5 recipient ok" };
        let first = *self.met.lock().unwrap().entry((from.to_owned(), to.to_owned())).or_insert(now);
        if now - first < wait { "451 4.7.1 greylisted, try again later" } else { "250 2.1.5 recipient ok" }
    }
}

enum Ended {
    Quit,
    Vanished,
}

struct Session<'a> {
    remote: &'a Remote,
    talk: Talk,
    mood: Mood,
    letter: Option<Letter>,
}

#[derive(Default)]
struct Letter {
    from: String,
    to: Vec<String>,
    data: Vec<u8>,
}

impl Session<'_> {
    async fn run(&mut self) -> Option<Ended> {
        if let Some(ended) = self.meet(Phase::Banner).await? {
            return Some(ended);
        }
        self.talk.say("220 remote.test ESMTP").await?;
        loop {
            let line = self.talk.line().await?;
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let ended = match verb.as_str() {
                "EHLO" | "HELO" => self.hello().await?,
                "MAIL" => self.sender(&line).await?,
                "RCPT" => self.recipient(&line).await?,
                "DATA" => self.data().await?,
                "BDAT" => self.chunk(&line).await?,
                "RSET" => {
                    self.letter = None;
                    self.talk.say("250 2.0.0 forgotten").await?;
                    None
                }
                "QUIT" => {
                    self.talk.say("221 2.0.0 bye").await?;
                    Some(Ended::Quit)
                }
                _ => {
                    self.talk.say("250 2.0.0 ok").await?;
                    None
                }
            };
            if let Some(ended) = ended {
                return Some(ended);
            }
        }
    }

    /// What the mood has in store for a phase.
    async fn meet(&mut self, phase: Phase) -> Option<Option<Ended>> {
        match self.mood {
            Mood::Vanish(at) if at == phase => Some(Some(Ended::Vanished)),
            Mood::Sulk(at) if at == phase => {
                self.talk.sulk().await;
                None
            }
            Mood::Busy(at) if at == phase => {
                self.talk.say("421 4.3.2 closing now").await?;
                Some(Some(Ended::Quit))
            }
            Mood::Kind | Mood::Vanish(_) | Mood::Sulk(_) | Mood::Busy(_) | Mood::Slow(_) => Some(None),
        }
    }

    async fn hello(&mut self) -> Option<Option<Ended>> {
        if let Some(ended) = self.meet(Phase::Hello).await? {
            return Some(Some(ended));
        }
        let offers = self.remote.character().offers.clone();
        let mut reply = String::new();
        for offer in &offers {
            reply.push_str(&format!("250-{offer}\r\n"));
        }
        self.talk.say(&format!("{reply}250 ENHANCEDSTATUSCODES")).await?;
        Some(None)
    }

    async fn sender(&mut self, line: &str) -> Option<Option<Ended>> {
        if let Some(ended) = self.meet(Phase::Sender).await? {
            return Some(Some(ended));
        }
        self.letter = Some(Letter { from: path(line), ..Letter::default() });
        self.talk.say("250 2.1.0 sender ok").await?;
        Some(None)
    }

    async fn recipient(&mut self, line: &str) -> Option<Option<Ended>> {
        if let Some(ended) = self.meet(Phase::Recipient).await? {
            return Some(Some(ended));
        }
        let to = path(line);
        let reply = match &mut self.letter {
            Some(letter) => {
                let reply = self.remote.recipient(&letter.from, &to);
                if reply.starts_with("250") {
                    letter.to.push(to);
                }
                reply
            }
            None => "503 5.5.1 MAIL first",
        };
        self.talk.say(reply).await?;
        Some(None)
    }

    async fn data(&mut self) -> Option<Option<Ended>> {
        if let Some(ended) = self.meet(Phase::Data).await? {
            return Some(Some(ended));
        }
        if self.letter.as_ref().is_none_or(|letter| letter.to.is_empty()) {
            self.talk.say("554 5.5.1 no valid recipients").await?;
            return Some(None);
        }
        self.talk.say("354 go ahead").await?;
        if let Some(ended) = self.meet(Phase::Body).await? {
            return Some(Some(ended));
        }
        let data = self.talk.until_dot().await?;
        if let Some(letter) = &mut self.letter {
            letter.data = data;
        }
        self.end().await
    }

    async fn chunk(&mut self, line: &str) -> Option<Option<Ended>> {
        let mut words = line.split(' ').skip(1);
        let count: usize = words.next()?.parse().ok()?;
        let is_last = words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
        if let Some(ended) = self.meet(Phase::Data).await? {
            return Some(Some(ended));
        }
        let chunk = self.talk.octets(count).await?;
        if let Some(ended) = self.meet(Phase::Body).await? {
            return Some(Some(ended));
        }
        let Some(letter) = self.letter.as_mut().filter(|letter| !letter.to.is_empty()) else {
            self.talk.say("503 5.5.1 no valid recipients").await?;
            return Some(None);
        };
        letter.data.extend_from_slice(&chunk);
        if is_last {
            return self.end().await;
        }
        self.talk.say("250 2.0.0 chunk ok").await?;
        Some(None)
    }

    async fn end(&mut self) -> Option<Option<Ended>> {
        if let Some(ended) = self.meet(Phase::End).await? {
            return Some(Some(ended));
        }
        if let Some(letter) = self.letter.take() {
            for to in &letter.to {
                self.remote.ledger.arrived(to, &letter.data);
            }
        }
        let on_taken = self.remote.character().on_taken.take();
        if let Some(Call(call)) = on_taken {
            call();
        }
        // `Busy` here would be a server that takes a letter and denies it.
        match self.mood {
            Mood::Vanish(Phase::Reply) => return Some(Some(Ended::Vanished)),
            Mood::Sulk(Phase::Reply) => {
                self.talk.sulk().await;
                return None;
            }
            Mood::Kind | Mood::Vanish(_) | Mood::Sulk(_) | Mood::Busy(_) | Mood::Slow(_) => {}
        }
        self.talk.say("250 2.0.0 taken").await?;
        Some(None)
    }
}

/// What stands between the angle brackets.
pub(crate) fn path(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
