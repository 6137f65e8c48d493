//! Every order of commands, to depth four from every state, against a small model that shares nothing with the session.
//!
//! State that is left over after a refused letter was a real fault of a famous server (2026-08-03), and a BDAT error followed by DATA one of
//! its crashes (2026-07-24).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failure here is a failed test; an instant can be had from the clock alone"
)]

use posthouse_sasl::Mechanism;
use posthouse_smtp::server::Verdict;
use posthouse_smtp::syntax::FutureRelease;

mod world;

use world::{TIME, World, profile, reject};

const DEPTH: usize = 4;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Command {
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    MailWithWishes,
    Rcpt,
    RcptUnknown,
    Data,
    DataRefused,
    Chunk,
    LastChunk,
    Rset,
    Noop,
    Quit,
}

use Command::*;

const COMMANDS: [Command; 15] =
    [Ehlo, Helo, StartTls, Auth, Mail, MailWithWishes, Rcpt, RcptUnknown, Data, DataRefused, Chunk, LastChunk, Rset, Noop, Quit];

/// What a server must know, and nothing else.
#[derive(Default, Clone)]
struct Model {
    tls: bool,
    hello: Option<Command>,
    login: bool,
    mail: bool,
    recipients: usize,
    chunks: bool,
    letters: usize,
    closed: bool,
}

impl Model {
    /// The code of the reply; of the last one where a letter has two.
    fn code(&mut self, command: Command) -> u16 {
        match command {
            Ehlo | Helo => {
                self.forget();
                self.hello = Some(command);
                250
            }
            Noop => 250,
            Quit => {
                self.closed = true;
                221
            }
            Rset => {
                self.forget();
                250
            }
            StartTls if self.tls || self.hello.is_none() || self.mail || self.login => 503,
            StartTls => {
                *self = Self { tls: true, letters: self.letters, ..Self::default() };
                220
            }
            Auth if self.hello.is_none() || self.mail => 503,
            Auth if self.hello == Some(Helo) => 502,
            Auth if self.login => 503,
            Auth if !self.tls => 538,
            Auth => {
                self.login = true;
                235
            }
            Mail | MailWithWishes if self.hello.is_none() || self.mail => 503,
            MailWithWishes if self.hello == Some(Helo) => 555,
            Mail | MailWithWishes if !self.login => 530,
            Mail | MailWithWishes => {
                self.mail = true;
                250
            }
            Rcpt | RcptUnknown if !self.mail || self.chunks => 503,
            Rcpt => {
                self.recipients += 1;
                250
            }
            RcptUnknown => 550,
            Data | DataRefused if !self.mail || self.chunks => 503,
            Chunk | LastChunk if !self.mail => 503,
            Chunk | LastChunk if self.hello == Some(Helo) => 500,
            Data | DataRefused | Chunk | LastChunk if self.recipients == 0 => 554,
            DataRefused => {
                self.forget();
                550
            }
            Data | LastChunk => {
                self.forget();
                self.letters += 1;
                250
            }
            Chunk => {
                self.chunks = true;
                250
            }
        }
    }

    fn forget(&mut self) {
        (self.mail, self.recipients, self.chunks) = (false, 0, false);
    }
}

/// Sends a command, and the letter behind DATA if it is wanted; gives the codes of all replies.
fn send(world: &mut World, command: Command) -> Vec<u16> {
    world.heard.clear();
    world.verdict = if command == DataRefused { reject(550, 7, 1) } else { Verdict::Accept };
    world.send(match command {
        Ehlo => b"EHLO client\r\n",
        Helo => b"HELO client\r\n",
        StartTls => b"STARTTLS\r\n",
        Auth => b"AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n",
        Mail => b"MAIL FROM:<>\r\n",
        MailWithWishes => b"MAIL FROM:<> MT-PRIORITY=9 HOLDFOR=60 BY=60;RT\r\n",
        Rcpt => b"RCPT TO:<alice@example.org>\r\n",
        RcptUnknown => b"RCPT TO:<nobody@example.org>\r\n",
        Data | DataRefused => b"DATA\r\n",
        Chunk => b"BDAT 6\r\nQUIT\r\n",
        LastChunk => b"BDAT 6 LAST\r\nRSET\r\n",
        Rset => b"RSET\r\n",
        Noop => b"NOOP\r\n",
        Quit => b"QUIT\r\n",
    });
    if world.heard.starts_with(b"354") {
        world.send(b"QUIT\r\n.\r\n");
    }
    let text = world.text();
    text.lines().filter(|line| line.as_bytes()[3] == b' ').map(|line| line[..3].parse().unwrap()).collect()
}

fn fresh() -> World {
    let mut profile = profile();
    profile.mechanisms = Mechanism::WITH_PASSWORD.to_vec();
    profile.bad_commands_max = 1000;
    profile.future_release = Some(FutureRelease::from_now(TIME, 3600));
    let mut world = World::new(profile, false);
    world.run();
    world
}

#[test]
fn before_a_login_no_order_of_commands_leaves_anything_behind() {
    every_order_from(&[]);
    every_order_from(&[Ehlo]);
    every_order_from(&[Ehlo, StartTls]);
    every_order_from(&[Ehlo, StartTls, Helo]);
}

#[test]
fn after_a_login_no_order_of_commands_leaves_anything_behind() {
    every_order_from(&[Ehlo, StartTls, Ehlo, Auth]);
    every_order_from(&[Ehlo, StartTls, Ehlo, Auth, Mail, Rcpt, DataRefused]);
}

#[test]
fn in_an_envelope_no_order_of_commands_leaves_anything_behind() {
    every_order_from(&[Ehlo, StartTls, Ehlo, Auth, Mail]);
    every_order_from(&[Ehlo, StartTls, Ehlo, Auth, Mail, RcptUnknown]);
    every_order_from(&[Ehlo, StartTls, Ehlo, Auth, Mail, Rcpt]);
}

#[test]
fn in_chunks_no_order_of_commands_leaves_anything_behind() {
    every_order_from(&[Ehlo, StartTls, Ehlo, Auth, Mail, Rcpt, Chunk]);
}

fn every_order_from(start: &[Command]) {
    let mut orders = vec![0; DEPTH];
    loop {
        walk(start, &orders);
        let Some(place) = orders.iter().rposition(|&index| index + 1 < COMMANDS.len()) else { break };
        orders[place] += 1;
        orders[place + 1..].fill(0);
    }
}

fn walk(start: &[Command], orders: &[usize]) {
    let (mut world, mut model) = (fresh(), Model::default());
    let mut negative = 0;
    let commands = start.iter().copied().chain(orders.iter().map(|&index| COMMANDS[index]));
    let all: Vec<Command> = commands.collect();
    for (&command, number) in all.iter().zip(1..) {
        if model.closed {
            break;
        }
        let expected = model.code(command);
        let codes = send(&mut world, command);
        assert_eq!(codes.last(), Some(&expected), "reply {number} of {all:?}");
        negative += codes.iter().filter(|&&code| code >= 400).count();
        if command == StartTls && expected == 220 {
            world.secure();
        }
    }
    assert_eq!(world.letters.len(), model.letters, "{all:?}");
    assert_eq!(world.closed.is_some(), model.closed, "{all:?}");
    assert_eq!(world.refusals.len(), negative, "one note for each refusal: {all:?}");
}
