//! The judge on made-up runs: each broken promise is seen, and what is excused is not.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use posthouse_runtime::sim::{self, Host, Side};

use super::*;
use crate::client::Order;
use crate::ledger::Crash;

const TO: &str = "u@r1.test";

/// A run in which one letter was submitted, and this was the answer.
fn pages(answer: Answer) -> Pages {
    let order = Order::new(1, &[TO]);
    let submission = Submission { marker: order.marker.clone(), recipients: order.to.clone(), body: order.body(), answer };
    Pages { submissions: vec![submission], ..Pages::default() }
}

fn arrival(to: &str, data: String) -> Arrival {
    Arrival { to: to.to_owned(), data }
}

fn copy() -> Arrival {
    arrival(TO, format!("Received: by us\r\n{}", Order::new(1, &[TO]).body()))
}

fn report() -> Arrival {
    let parts = format!("Final-Recipient: rfc822; {TO}\r\nAction: failed\r\n\r\nX-Sim: m1\r\n");
    arrival("m1@from.test", format!("Content-Type: multipart/report; boundary=x\r\n\r\n{parts}"))
}

#[track_caller]
fn broken(pages: &Pages, events: &[(Duration, Event)], what: &str) {
    let broken = judge(pages, events);
    assert!(broken.len() == 1 && broken[0].contains(what), "{broken:?}");
}

#[test]
fn a_letter_with_one_end_keeps_the_promise_whatever_the_end_is() {
    for end in [copy(), report()] {
        let kept = Pages { arrivals: vec![end], ..pages(Answer::Taken) };
        assert_eq!(judge(&kept, &[]), Vec::<String>::new());
    }
    let queued = Pages { queued: vec![("m1".to_owned(), TO.to_owned())], ..pages(Answer::Taken) };
    assert_eq!(judge(&queued, &[]), Vec::<String>::new());
    assert_eq!(judge(&pages(Answer::Unknown), &[]), Vec::<String>::new());
}

#[test]
fn a_lost_a_doubled_a_refused_and_a_changed_letter_are_seen() {
    broken(&pages(Answer::Taken), &[], "is lost");
    broken(&Pages { arrivals: vec![copy(), copy()], ..pages(Answer::Taken) }, &[], "too many ends");
    broken(&Pages { arrivals: vec![copy(), report()], ..pages(Answer::Unknown) }, &[], "too many ends");
    broken(&Pages { arrivals: vec![copy()], ..pages(Answer::Refused) }, &[], "seen again");
    let half = arrival(TO, copy().data.replace("This is the end of m1.\r\n", ""));
    broken(&Pages { arrivals: vec![half], ..pages(Answer::Taken) }, &[], "half of it");
    let changed = arrival(TO, copy().data.replace("octets", "OCTETS"));
    broken(&Pages { arrivals: vec![changed], ..pages(Answer::Taken) }, &[], "changed");
    let strange = arrival("w@r1.test", copy().data);
    broken(&Pages { arrivals: vec![copy(), strange], ..pages(Answer::Taken) }, &[], "never accepted");
}

/// A carriage by the first host, in which the client hears the answer or not, and goes on or not.
fn carriage(ours: Host, theirs: Host, hears: bool, goes_on: bool) -> Vec<(Duration, Event)> {
    let address = SocketAddr::from(([10, 1, 0, 1], 25));
    let said = format!("MAIL FROM:<m1@from.test>\r\nRCPT TO:<{TO}>\r\nDATA\r\n{}.\r\n", Order::new(1, &[TO]).body());
    let (id, count) = (0, said.len());
    let mut events = vec![
        Event::Connected { id, client: ours, server: theirs, address },
        Event::Sent { id, side: Side::Client, octets: Bytes::from(said) },
        Event::Read { id, side: Side::Server, count },
        Event::Sent { id, side: Side::Server, octets: Bytes::from("250 taken\r\n") },
    ];
    if hears {
        events.push(Event::Read { id, side: Side::Client, count: 11 });
    }
    if goes_on {
        events.push(Event::Sent { id, side: Side::Client, octets: Bytes::from("QUIT\r\n") });
    }
    events.into_iter().map(|event| (Duration::from_secs(1), event)).collect()
}

#[test]
fn a_copy_is_excused_by_a_reply_that_was_lost_or_forgotten_and_by_nothing_else() {
    let (ours, theirs) =
        sim::run(1, async { (Host::new(IpAddr::from([10, 0, 0, 1])), Host::new(IpAddr::from([10, 1, 0, 1]))) }).unwrap();
    let twice = Pages { arrivals: vec![copy(), copy()], servers: vec![ours], ..pages(Answer::Taken) };
    assert_eq!(judge(&twice, &carriage(ours, theirs, false, false)), Vec::<String>::new(), "the reply was lost");
    broken(&twice, &carriage(ours, theirs, true, true), "too many ends");
    let crash = |at: u64, pending: &str| Crash {
        at: Duration::from_secs(at),
        host: ours,
        pending: vec![("m1".to_owned(), pending.to_owned())],
    };
    let crashed = |crash| Pages { crashes: vec![crash], ..twice.clone() };
    assert_eq!(judge(&crashed(crash(2, TO)), &carriage(ours, theirs, true, true)), Vec::<String>::new(), "it was not stored");
    broken(&crashed(crash(0, TO)), &carriage(ours, theirs, true, true), "too many ends");
    broken(&crashed(crash(2, "other@r1.test")), &carriage(ours, theirs, true, true), "too many ends");
    let thrice = Pages { arrivals: vec![copy(), copy(), copy()], ..twice.clone() };
    broken(&thrice, &carriage(ours, theirs, false, false), "too many ends");
    let others = Pages { servers: Vec::new(), ..twice };
    broken(&others, &carriage(ours, theirs, false, false), "too many ends");
}
