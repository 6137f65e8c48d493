//! What is asked of the server's queue, and the limits it has announced.

use posthouse_mail::{ByMode, DeliverBy, Priority, ReversePath, TlsWish};

use super::*;

/// MAIL as a server that offers this and PIPELINING is told it; or the one result, where it is told nothing.
#[track_caller]
fn told(envelope: &Envelope, offers: &[&str]) -> Result<String, String> {
    let (mut session, now) = (play().session(), clock());
    let offers: String = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
    session.receive(now, b"220 mx.example\r\n");
    assert_eq!(session.poll(now), Output::Send("EHLO me.example\r\n".into()));
    session.receive(now, format!("250-mx.example\r\n{offers}250 PIPELINING\r\n").as_bytes());
    session.letter(now, TIME, envelope, 21);
    let output = session.poll(now);
    if let Output::Done(results) = &output {
        return Err(codes(results).concat());
    }
    let Output::Send(bytes) = output else { panic!("{output:?}") };
    Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap().to_owned())
}

fn mail(parameters: &str) -> Result<String, String> {
    Ok(format!("MAIL FROM:<a@x.example>{parameters}"))
}

fn unsendable(status: &str) -> Result<String, String> {
    Err(format!("unsendable {status}"))
}

/// A letter whose deadline is so many seconds away.
fn within(seconds: i64, mode: ByMode, trace: bool) -> Envelope {
    let at = UnixMillis(TIME.0.saturating_add_signed(seconds * 1000));
    Envelope { deliver_by: Some(DeliverBy { at, mode, trace }), ..envelope(&["b@y.example"]) }
}

fn held(seconds: u64) -> Envelope {
    Envelope { release_at: Some(TIME.plus(Duration::from_secs(seconds))), ..envelope(&["b@y.example"]) }
}

#[test]
fn a_priority_is_told_to_whoever_asks_for_it() {
    let mut urgent = envelope(&["b@y.example"]);
    urgent.priority = Priority::new(-3).unwrap();
    assert_eq!(told(&urgent, &["MT-PRIORITY"]), mail(" MT-PRIORITY=-3"));
    assert_eq!(told(&urgent, &[]), mail(""));
    assert_eq!(told(&envelope(&["b@y.example"]), &["MT-PRIORITY"]), mail(""));
}

#[test]
fn a_letter_to_be_returned_when_late_goes_to_no_server_that_would_keep_it() {
    let returned = |seconds| within(seconds, ByMode::Return, false);
    assert_eq!(told(&returned(120), &["DELIVERBY"]), mail(" BY=120;R"));
    assert_eq!(told(&within(120, ByMode::Return, true), &["DELIVERBY 120"]), mail(" BY=120;RT"));
    assert_eq!(told(&returned(119), &["DELIVERBY 120"]), unsendable("5.3.3"));
    assert_eq!(told(&returned(120), &[]), unsendable("5.3.3"));
    for over in [0, -1] {
        assert_eq!(told(&returned(over), &["DELIVERBY"]), unsendable("5.4.7"));
        assert_eq!(told(&returned(over), &[]), unsendable("5.4.7"));
    }
}

#[test]
fn a_letter_whose_sender_is_told_when_it_is_late_goes_anywhere() {
    assert_eq!(told(&within(-90, ByMode::Notify, true), &["DELIVERBY 120"]), mail(" BY=-90;NT"));
    assert_eq!(told(&within(90, ByMode::Notify, false), &["DELIVERBY"]), mail(" BY=90;N"));
    assert_eq!(told(&within(90, ByMode::Notify, false), &[]), mail(""));
    assert_eq!(told(&within(1 << 40, ByMode::Notify, false), &["DELIVERBY"]), mail(" BY=999999999;N"));
}

#[test]
fn seconds_that_have_begun_do_not_count() {
    let mut late = within(60, ByMode::Notify, false);
    for (millis, left) in [(60_999, "60"), (999, "0"), (0, "0")] {
        late.deliver_by.as_mut().unwrap().at = UnixMillis(TIME.0 + millis);
        assert_eq!(told(&late, &["DELIVERBY"]), mail(&format!(" BY={left};N")));
    }
    late.deliver_by.as_mut().unwrap().at = UnixMillis(TIME.0 - 1);
    assert_eq!(told(&late, &["DELIVERBY"]), mail(" BY=-1;N"));
}

#[test]
fn a_letter_for_later_is_not_given_to_a_server_that_would_send_it_at_once() {
    const OFFER: &str = "FUTURERELEASE 3600 2026-11-24T05:00:00Z";
    assert_eq!(told(&held(3600), &[OFFER]), mail(" HOLDUNTIL=2026-11-24T04:12:03Z"));
    assert_eq!(told(&held(3601), &[OFFER]), unsendable("5.3.3"));
    assert_eq!(told(&held(3600), &["FUTURERELEASE 3600 2026-11-24T04:00:00Z"]), unsendable("5.3.3"));
    assert_eq!(told(&held(1), &[]), unsendable("5.3.3"));
    assert_eq!(told(&held(0), &[]), mail(""));
    assert_eq!(told(&held(0), &[OFFER]), mail(""));
    let mut odd = held(60);
    odd.release_at = Some(UnixMillis(TIME.0 + 1));
    assert_eq!(told(&odd, &[OFFER]), mail(" HOLDUNTIL=2026-11-24T03:12:04Z"));
}

#[test]
fn the_end_of_the_way_needs_no_deliverby() {
    let mut play = play().letter(within(120, ByMode::Return, false), &[BODY]);
    play.protocol = Protocol::Lmtp;
    let end = play.run(
        "S: 220 x
        C: LHLO me.example
        S: 250 x
        C: MAIL FROM:<a@x.example>
        S: 550 no",
    );
    assert_eq!(codes(&end.results[0]), ["refused 550"]);
}

#[test]
fn recipients_of_more_domains_than_announced_wait_for_another_connection() {
    let play = play().letter(envelope(&["b@y.example", "c@z.example", "d@Y.EXAMPLE"]), &[BODY]);
    let script = "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-LIMITS RCPTDOMAINMAX=1
        S: 250 PIPELINING
        C: MAIL FROM:<a@x.example>
        C: RCPT TO:<b@y.example>
        C: RCPT TO:<d@y.example>
        C: DATA
        S: 250 ok
        S: 550 no
        S: 550 no
        S: 503 no";
    let end = play.run(script);
    assert_eq!(codes(&end.results[0]), ["refused 550", "not tried", "refused 550"]);
}

#[test]
fn a_connection_whose_limits_are_reached_takes_no_other_letter() {
    for (limits, recipient, exhausted) in [
        ("MAILMAX=1", "b@y.example", true),
        ("MAILMAX=2", "b@y.example", false),
        ("RCPTDOMAINMAX=1", "b@y.example", true),
        ("RCPTDOMAINMAX=2", "b@y.example", false),
        ("RCPTMAX=1", "b@y.example", false),
    ] {
        let play = play();
        let (mut session, now) = (play.session(), clock());
        session.receive(now, b"220 x\r\n");
        assert!(matches!(session.poll(now), Output::Send(_)));
        session.receive(now, format!("250-x\r\n250 LIMITS {limits}\r\n").as_bytes());
        assert!(!session.is_exhausted(), "{limits}");
        session.letter(now, TIME, &envelope(&[recipient]), 21);
        assert_eq!(session.is_exhausted(), exhausted, "{limits}");
    }
}

#[test]
fn a_letter_that_requires_tls_goes_to_nobody_who_is_not_verified_but_a_report_does() {
    let letter = Envelope { tls: TlsWish::Required, ..envelope(&["b@y.example"]) };
    assert_eq!(told(&letter, &["REQUIRETLS"]), unsendable("5.7.30"));
    assert_eq!(told(&letter, &[]), unsendable("5.7.30"));
    let report = Envelope { reverse_path: ReversePath::NULL, ..letter };
    assert_eq!(told(&report, &["REQUIRETLS"]), Ok("MAIL FROM:<> REQUIRETLS".to_owned()));
    assert_eq!(told(&report, &[]), Ok("MAIL FROM:<>".to_owned()));
    let must_arrive = Envelope { tls: TlsWish::Optional, ..envelope(&["b@y.example"]) };
    assert_eq!(told(&must_arrive, &["REQUIRETLS"]), mail(""));
}
