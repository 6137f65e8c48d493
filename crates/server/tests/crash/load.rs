//! Those who bring letters, to people here and elsewhere.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::common::{Smtp, letter};
use posthouse_mail::LetterId;
use posthouse_runtime::random;

/// A letter that got its 250.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) id: LetterId,
    pub(crate) mark: String,
    pub(crate) bytes: usize,
    pub(crate) to: Vec<String>,
}

/// Whom the letter with this mark is for: people here, at hosts of every kind, and where no name server answers.
fn recipients(mark: &str, bytes: usize) -> Vec<String> {
    let mut to = Vec::new();
    if random::below(2) == 0 {
        to.push("bob@example.test".to_owned());
    }
    let kinds = ["ok", "ok", "ok", "ok", "ok", "ok", "grey", "late", "lost", "no"];
    for domain in ["far.test", "other.test"] {
        if random::below(3) > 0 || to.is_empty() {
            to.push(format!("{}-{mark}-{bytes}@{domain}", kinds[random::below(kinds.len())]));
        }
    }
    if random::below(50) == 0 {
        to.push(format!("ok-{mark}-{bytes}@stuck.test"));
    }
    to
}

/// Sends letters over one connection until it breaks; those that were accepted.
pub(crate) fn send_until_it_dies(address: SocketAddr, stop: &AtomicBool) -> Vec<Accepted> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut accepted = Vec::new();
    let Ok(mut smtp) = Smtp::open(address) else { return accepted };
    while !stop.load(Ordering::Relaxed) {
        // Mostly small, now and then in several chunks.
        let bytes = if random::below(20) == 0 { 200_000 } else { random::below(4_000) };
        let mark = format!("m{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let to = recipients(&mark, bytes);
        match smtp.send_to_all("alice@example.test", &to, &letter(&mark, bytes)) {
            Ok(id) => accepted.push(Accepted { id, mark, bytes, to }),
            Err(error) if error.kind() == io::ErrorKind::Other => panic!("refused: {error}"),
            Err(_) => break,
        }
    }
    accepted
}
