//! Letters that are late, slowed, sent another way, or have a time of their own.

use posthouse_journal::{Event, Outcome};
use posthouse_mail::{ByMode, DeliverBy, Envelope, Notify, Recipient, UnixMillis};
use posthouse_queue::{Change, DeliveryState, NextHop, Scope, Suspension};
use posthouse_runtime::block_on;
use posthouse_testkit::peer::Peer;
use posthouse_testkit::ports;

use crate::world::{ARRIVED, World, address, farewell, greet, hours, on, run, take};

const BODY: &str = "Subject: x\r\n\r\nhello\r\n";

fn envelope(from: &str, to: &str) -> Envelope {
    Envelope::new(from.parse().unwrap(), vec![Recipient::from(address(to))])
}

#[test]
fn a_sender_is_told_once_that_a_letter_is_late() {
    run(async {
        let world = World::new(ports::free(), "").await;
        world.account("alice@ours.test").await;
        let letter = world.submit("alice@ours.test", &["a@far.test"], BODY).await;
        world.deliver_at(ARRIVED).await;
        world.deliver_at(hours(1)).await;
        assert!(world.inbox("alice@ours.test").await.is_empty(), "an hour is nothing");
        for hour in [5, 10, 15] {
            world.deliver_at(hours(hour)).await;
            world.deliver_at(hours(hour)).await;
        }
        let inbox = world.inbox("alice@ours.test").await;
        assert_eq!(inbox.len(), 1, "{inbox:?}");
        assert!(inbox[0].contains("Action: delayed\r\n") && inbox[0].contains("\r\nWill-Retry-Until: "), "{}", inbox[0]);
        assert!(world.states(letter)[0].is_pending());
    });
}

#[test]
fn a_letter_that_cannot_go_is_reported_late_and_that_is_no_attempt() {
    run(async {
        let world = World::new(ports::free(), "").await;
        world.account("alice@ours.test").await;
        let suspension = Suspension { since: ARRIVED.0, until: None, by: "root".to_owned(), reason: None };
        world.context.queue.suspend(Scope::Name("far.test".to_owned()), suspension).await.unwrap();
        let letter = world.submit("alice@ours.test", &["a@far.test"], BODY).await;
        let by = DeliverBy { at: hours(2), mode: ByMode::Notify, trace: false };
        let urgent = Envelope { deliver_by: Some(by), ..envelope("alice@ours.test", "b@far.test") };
        let urgent = world.submit_as(urgent, BODY).await;
        let mut told = Vec::new();
        for hour in [1, 3, 5, 10, 15] {
            // The first handing out makes the report, the second delivers it.
            world.deliver_at(hours(hour)).await;
            world.deliver_at(hours(hour)).await;
            told.push(world.inbox("alice@ours.test").await.len());
        }
        assert_eq!(told, [0, 1, 2, 2, 2]);
        for id in [letter, urgent] {
            let state = &world.states(id)[0];
            assert_eq!((state.attempts, state.warned, state.last.as_ref()), (0, true, None));
            let timeline = world.timeline(id).await;
            let [Event::Waiting { why, .. }] = timeline.as_slice() else { panic!("{timeline:?}") };
            assert!(why.contains("suspended by root"), "{why}");
        }
        world.deliver_at(hours(5 * 24)).await;
        assert!(world.states(letter).is_empty() && world.states(urgent).is_empty());
        assert!(world.attempts(letter).await[0].3.contains("it was tried 0 times in 5 days"));
    });
}

#[test]
fn a_sender_who_does_not_want_to_hear_of_delay_does_not() {
    run(async {
        let world = World::new(ports::free(), "").await;
        world.account("alice@ours.test").await;
        let mut envelope = envelope("alice@ours.test", "a@far.test");
        envelope.recipients[0].notify = Some(Notify { success: true, failure: true, delay: false });
        world.submit_as(envelope, BODY).await;
        for hour in [0, 5, 10] {
            world.deliver_at(hours(hour)).await;
        }
        assert_eq!(world.context.queue.len(), 1);
    });
}

#[test]
fn a_site_that_asks_for_less_is_left_alone_by_all_its_letters() {
    let peer = Peer::listen(1, |talk| talk.say("421 4.7.0 too many connections from your address"));
    run(async {
        let world = World::new(peer.address().port(), "also.test MX 10 mx.far.test").await;
        let first = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.submit("s@ours.test", &["b@far.test"], BODY).await;
        world.submit("s@ours.test", &["c@also.test"], BODY).await;
        assert_eq!(world.deliver_at(ARRIVED).await, 1, "one letter is enough to hear it");
        let DeliveryState::Pending { next } = world.states(first)[0].state else { panic!("it is over") };
        assert!(next.since(ARRIVED).as_secs() <= 90, "the letter pays for its site: {next}");
        let sites = world.context.queue.sites();
        let [site] = sites.as_slice() else { panic!("{sites:?}") };
        assert_eq!((site.name.as_str(), site.destinations.len()), ("mx.far.test", 2));
        assert!(site.closed.as_ref().is_some_and(|(_, why)| why.code() == 421), "{site:?}");
    });
    peer.finish();
}

#[test]
fn greylisting_of_one_letter_does_not_slow_the_others() {
    let peer = Peer::listen(2, |talk| {
        greet(talk);
        on(talk, "MAIL", "250 ok");
        on(talk, "RCPT", "450 4.7.1 greylisted, come again");
        farewell(talk);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.submit("s@ours.test", &["b@far.test"], BODY).await;
        assert_eq!(world.deliver_at(ARRIVED).await, 2);
    });
    peer.finish();
}

#[test]
fn a_letter_whose_time_is_over_goes_back_at_that_time_and_untried() {
    run(async {
        let world = World::new(ports::free(), "").await;
        world.account("alice@ours.test").await;
        let by = |mode| DeliverBy { at: hours(1), mode, trace: false };
        let back = Envelope { deliver_by: Some(by(ByMode::Return)), ..envelope("alice@ours.test", "a@far.test") };
        let told = Envelope { deliver_by: Some(by(ByMode::Notify)), ..envelope("alice@ours.test", "b@other.test") };
        let (back, told) = (world.submit_as(back, BODY).await, world.submit_as(told, BODY).await);
        world.deliver_at(ARRIVED).await;
        world.deliver_at(hours(1)).await;
        assert!(world.states(back).is_empty() && world.states(told)[0].is_pending());
        let last = world.attempts(back).await.pop().unwrap();
        assert!(last.2 == Outcome::Failed && last.3.contains("5.4.7"), "{last:?}");
        world.deliver_at(hours(1)).await;
        let inbox = world.inbox("alice@ours.test").await.join("\n");
        assert!(inbox.contains("Action: failed\r\n") && inbox.contains("Action: delayed\r\n"), "{inbox}");
    });
}

#[test]
fn a_letter_is_not_tried_before_its_sender_releases_it() {
    let peer = Peer::listen(1, |talk| {
        take(talk, &["a@far.test"]);
    });
    run(async {
        let world = World::new(peer.address().port(), "").await;
        let later = Envelope { release_at: Some(hours(3)), ..envelope("s@ours.test", "a@far.test") };
        world.submit_as(later, BODY).await;
        assert_eq!(world.deliver_at(UnixMillis(hours(3).0 - 1)).await, 0);
        assert_eq!(world.deliver_at(hours(3)).await, 1);
    });
    peer.finish();
}

#[test]
fn a_letter_released_after_days_has_its_own_five_days() {
    run(async {
        let world = World::new(ports::free(), "").await;
        world.account("alice@ours.test").await;
        let later = Envelope { release_at: Some(hours(24 * 20)), ..envelope("alice@ours.test", "a@far.test") };
        let letter = world.submit_as(later, BODY).await;
        assert_eq!(world.deliver_at(hours(24 * 20)).await, 1);
        assert!(world.states(letter)[0].is_pending(), "it expired while its sender held it");
        world.deliver_at(hours(24 * 20)).await;
        assert!(world.inbox("alice@ours.test").await.is_empty(), "it is not late yet");
        world.deliver_at(hours(24 * 25)).await;
        assert!(world.states(letter).is_empty());
    });
}

#[test]
fn a_redirected_letter_goes_to_that_host_and_no_other() {
    let peer = Peer::listen(1, |talk| {
        take(talk, &["a@nosuch.test"]);
    });
    let hop = NextHop { host: "mx.far.test".parse().unwrap(), port: Some(peer.address().port()) };
    run(async {
        let world = World::new(ports::free(), "").await;
        let letter = world.submit("", &["a@nosuch.test"], BODY).await;
        world.context.queue.change(letter, Change::Redirect(Some(hop))).await.unwrap();
        // The change is made at the real time, which is later than these letters'.
        world.deliver_at(UnixMillis(u64::MAX / 2)).await;
        assert!(world.context.queue.is_empty());
    });
    peer.finish();
}

#[test]
fn a_letter_without_a_sender_that_fails_is_told_to_the_postmaster_within_a_limit() {
    run(async {
        let world = World::new(1, "").await;
        world.account("bob@ours.test").await;
        let mut last = None;
        for _ in 0..25 {
            last = Some(world.submit("", &["a@nosuch.test"], BODY).await);
            world.deliver_at(ARRIVED).await;
            world.deliver_at(ARRIVED).await;
        }
        let inbox = world.inbox("bob@ours.test").await;
        assert_eq!(inbox.len(), 20);
        assert!(inbox[0].starts_with("Return-Path: <>\r\nDelivered-To: postmaster@ours.test\r\n"), "{}", inbox[0]);
        let timeline = world.timeline(last.unwrap()).await;
        assert!(
            timeline.iter().any(|event| matches!(event, Event::Discarded { why, .. } if why.contains("enough"))),
            "{timeline:?}"
        );
    });
}

#[test]
fn a_held_letter_is_held_after_a_restart() {
    let world = block_on(World::new(ports::free(), "")).unwrap();
    let letter = block_on(async {
        let letter = world.submit("s@ours.test", &["a@far.test"], BODY).await;
        world.context.queue.change(letter, Change::Hold).await.unwrap();
        letter
    })
    .unwrap();
    let again = World { context: world.image().open(&world.context), ..world };
    block_on(async {
        assert_eq!(again.deliver_at(hours(1)).await, 0);
        assert!(again.context.queue.list()[0].held);
        again.context.queue.change(letter, Change::Release).await.unwrap();
        assert_eq!(again.deliver_at(UnixMillis(u64::MAX / 2)).await, 1);
    })
    .unwrap();
}
