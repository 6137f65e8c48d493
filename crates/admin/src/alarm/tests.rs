use std::time::Duration;

use posthouse_config::Period;
use posthouse_mail::UnixMillis;

use super::*;
use crate::status::{ConnectionsStatus, FilterStatus, ListStatus, PolicyStatus, SilentStatus, Status};

fn trouble(name: AlarmName, subject: &str) -> Trouble {
    Trouble::new(name, subject, "words")
}

fn at(minutes: u64) -> UnixMillis {
    UnixMillis(1_800_000_000_000 + minutes * 60_000)
}

/// What each look tells: `began disk`.
fn told(alarms: &mut Alarms, troubles: &[Trouble], minutes: u64) -> Vec<String> {
    let notices = alarms.look(troubles.to_vec(), &AlarmSettings::default(), at(minutes));
    notices.into_iter().map(|notice| format!("{} {}", notice.turn.as_str(), notice.title)).collect()
}

#[test]
fn an_alarm_begins_once_is_told_again_after_a_day_and_ends_once() {
    let (mut alarms, wrong) = (Alarms::default(), [trouble(AlarmName::Maildrop, "")]);
    assert_eq!(told(&mut alarms, &wrong, 0), ["began maildrop"]);
    assert!(told(&mut alarms, &wrong, 1).is_empty() && told(&mut alarms, &wrong, 1439).is_empty());
    assert_eq!(told(&mut alarms, &wrong, 1440), ["stands maildrop"]);
    assert_eq!(alarms.standing().len(), 1);
    assert!(told(&mut alarms, &[], 1449).is_empty(), "it was there nine minutes ago");
    assert_eq!(told(&mut alarms, &[], 1450), ["ended maildrop"]);
    assert!(told(&mut alarms, &[], 1460).is_empty() && alarms.standing().is_empty());
}

#[test]
fn what_comes_and_goes_is_one_alarm_and_what_is_gone_at_once_is_none() {
    let (mut alarms, wrong) = (Alarms::default(), [trouble(AlarmName::Connections, "smtp")]);
    assert!(told(&mut alarms, &wrong, 0).is_empty() && told(&mut alarms, &[], 1).is_empty(), "it did not last");
    assert!(told(&mut alarms, &wrong, 2).is_empty());
    assert_eq!(told(&mut alarms, &wrong, 3), ["began connections smtp"]);
    for minutes in 4..100 {
        let troubles = if minutes % 7 == 0 { &wrong[..] } else { &[] };
        assert!(told(&mut alarms, troubles, minutes).is_empty(), "{minutes}");
    }
    assert_eq!(told(&mut alarms, &[], 120), ["ended connections smtp"]);
}

#[test]
fn subjects_are_alarms_of_their_own_and_what_is_ignored_is_none() {
    let mut alarms = Alarms::default();
    let wrong =
        [trouble(AlarmName::Destination, "a.test"), trouble(AlarmName::Destination, "b.test"), trouble(AlarmName::Spool, "")];
    let settings = AlarmSettings { ignore: vec![AlarmName::Spool], ..AlarmSettings::default() };
    let notices = alarms.look(wrong.to_vec(), &settings, at(0));
    let titles: Vec<_> = notices.iter().map(|notice| notice.title.as_str()).collect();
    assert_eq!(titles, ["destination a.test", "destination b.test"]);
    assert_eq!(told(&mut alarms, &wrong[..1], 10), ["ended destination b.test"]);
}

#[test]
fn a_restart_tells_nothing_twice_and_ends_nothing_that_it_cannot_know() {
    let mut alarms = Alarms::default();
    let wrong = [trouble(AlarmName::Destination, "a.test"), trouble(AlarmName::Certificate, "mail.test")];
    assert_eq!(told(&mut alarms, &wrong, 0).len(), 2);
    let kept = serde_json::to_vec(&alarms).unwrap();
    let read: Alarms = serde_json::from_slice(&kept).unwrap();
    let mut alarms = read.carried_over(at(600));
    assert!(told(&mut alarms, &wrong[1..], 600).is_empty(), "the certificate was told, the destination is not known yet");
    assert!(told(&mut alarms, &wrong[1..], 700).is_empty());
    assert_eq!(told(&mut alarms, &wrong[1..], 720), ["ended destination a.test"]);
}

#[test]
fn each_thing_that_is_wrong_is_named_and_what_is_right_is_not() {
    let settings = AlarmSettings { disk_free_min: Some("1 GiB".parse().unwrap()), ..AlarmSettings::default() };
    let sound = Status { disk: crate::DiskStatus { free: Some(2 << 30), free_min: 1 << 20 }, ..crate::status::sample() };
    assert_eq!(troubles(&sound, &settings), []);
    let with = |change: &dyn Fn(&mut Status)| {
        let mut status = sound.clone();
        change(&mut status);
        let found = troubles(&status, &settings);
        found.iter().map(Trouble::title).collect::<Vec<_>>().join(", ")
    };
    let silent = |letters| SilentStatus {
        destination: "mx.test".to_owned(),
        since: "2026-11-24T03:12:09.120Z".to_owned(),
        letters,
        reason: "no route".to_owned(),
    };
    assert_eq!(with(&|status| status.refusing = Some("no room".to_owned())), "full");
    let failed = |status: &mut Status| (status.refusing, status.spool_failed) = (Some("failed".to_owned()), true);
    assert_eq!(with(&failed), "spool");
    assert_eq!(with(&|status| status.disk.free = Some(1000)), "disk");
    assert_eq!(with(&|status| status.queue.letters = 5000), "", "they may be on their way out");
    let growing = |status: &mut Status| (status.queue.letters, status.queue.growing_for) = (5000, Some(3600));
    assert_eq!(with(&growing), "queue");
    assert_eq!(with(&|status| (status.queue.letters, status.queue.letters_max) = (91, 100)), "queue");
    assert_eq!(with(&|status| status.silent = vec![silent(10)]), "destination mx.test");
    assert_eq!(with(&|status| status.silent = vec![silent(9)]), "", "a few letters to a dead host are everyday life");
    assert_eq!(with(&|status| status.failed_logins = 100), "logins");
    assert_eq!(with(&|status| status.certificate_error = Some("no".to_owned())), "renewal");
    let list =
        |status: &mut Status| status.failing_lists = vec![ListStatus { zone: "dead.test".to_owned(), fault: "x".to_owned() }];
    assert_eq!(with(&list), "list dead.test");
    let filter = FilterStatus { name: "rspamd".to_owned(), since: "then".to_owned(), why: "refused".to_owned() };
    assert_eq!(with(&|status| status.failing_filters = vec![filter.clone()]), "filter rspamd");
    let policy = PolicyStatus { domain: "ours.test".to_owned(), words: "x".to_owned() };
    assert_eq!(with(&|status| status.policies = vec![policy.clone()]), "policy ours.test");
    assert_eq!(with(&|status| status.tlsa = Some("x".to_owned())), "tlsa");
    let busy = |open| ConnectionsStatus {
        protocol: "smtp".to_owned(),
        open,
        max: 100,
        per_address_max: 10,
        per_network_max: 10,
        turned_away: 0,
    };
    assert_eq!(with(&|status| status.connections = vec![busy(90)]), "connections smtp");
    assert_eq!(with(&|status| status.connections = vec![busy(89)]), "");
    assert_eq!(with(&|status| status.journal_lost = 1), "journal");
}

#[test]
fn many_dead_destinations_are_a_few_alarms_the_largest_first() {
    let mut status = crate::status::sample();
    let site = |number: usize| SilentStatus {
        destination: format!("mx{number}.test"),
        since: String::new(),
        letters: 10 + number,
        reason: String::new(),
    };
    status.silent = (0..1000).map(site).collect();
    let found = troubles(&status, &AlarmSettings::default());
    assert_eq!((found.len(), found[0].subject.as_str()), (21, "mx999.test"));
    assert_eq!(found[20].what, "980 more destinations answer nothing");
}

#[test]
fn an_alarm_that_is_never_told_again_is_told_once() {
    let settings = AlarmSettings { remind_every: Period(Duration::ZERO), ..AlarmSettings::default() };
    let (mut alarms, wrong) = (Alarms::default(), vec![trouble(AlarmName::Disk, "")]);
    let count: usize = (0..10_000).map(|minutes| alarms.look(wrong.clone(), &settings, at(minutes)).len()).sum();
    assert_eq!(count, 1);
}
