//! What the DNS says decides where a letter goes, or that it goes nowhere.

use posthouse_journal::Outcome;

use crate::world::{ARRIVED, World, run};

const ZONE: &str = "
    null.test MX 0 .
    broken.test SERVFAIL
    slow.test TIMEOUT
    host.test MX 10 broken.test
    gone.test MX 10 nowhere.test
    loop.test MX 10 mail.ours.test
    loop.test MX 20 mx.far.test
    bare.test TXT no mail here
";

#[test]
fn only_what_is_certain_ends_a_letter() {
    run(async {
        let world = World::new(posthouse_testkit::ports::free(), ZONE).await;
        for (domain, outcome, status) in [
            ("null.test", Outcome::Failed, "5.1.10"),
            ("nosuch.test", Outcome::Failed, "5.1.2"),
            ("gone.test", Outcome::Failed, "5.4.4"),
            ("bare.test", Outcome::Failed, "5.4.4"),
            ("loop.test", Outcome::Failed, "5.4.6"),
            ("mail.ours.test", Outcome::Failed, "5.1.2"),
            ("broken.test", Outcome::Deferred, "4.4.3"),
            ("slow.test", Outcome::Deferred, "4.4.3"),
            ("host.test", Outcome::Deferred, "4.4.3"),
            ("far.test", Outcome::Deferred, "4.4.1"),
        ] {
            let letter = world.submit("", &[&format!("a@{domain}")], "Subject: x\r\n\r\n").await;
            world.deliver_at(ARRIVED).await;
            let attempts = world.attempts(letter).await;
            let [(_, _, found, reply)] = &attempts[..] else { panic!("{domain}: {attempts:?}") };
            assert_eq!(*found, outcome, "{domain}: {reply}");
            assert!(reply.split(' ').nth(1) == Some(status), "{domain}: {reply}");
            assert_eq!(world.states(letter).is_empty(), outcome == Outcome::Failed, "{domain}");
        }
    });
}

#[test]
fn a_literal_is_its_own_host() {
    let peer = posthouse_testkit::peer::Peer::listen(1, |talk| {
        crate::world::take(talk, &["a@[127.0.0.1]"]);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.submit("s@ours.test", &["a@[127.0.0.1]"], "Subject: x\r\n\r\n").await;
        world.deliver_at(ARRIVED).await;
        assert!(world.context.queue.is_empty());
    });
    peer.finish();
}
