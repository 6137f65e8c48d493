//! Lists in a zone in memory.

use posthouse_config::Period;
use posthouse_dns::Zone;
use posthouse_runtime::block_on;

use super::*;

const SOUND: &str = "2.0.0.127.bl.test A 127.0.0.2\n2.0.0.127.wl.test A 127.0.0.2\n";

fn list(zone: &str, kind: ListKind, weight: u32, codes: &[&str]) -> ListSettings {
    let codes = codes.iter().map(|text| text.parse().unwrap()).collect();
    ListSettings { zone: zone.parse().unwrap(), kind, weight, codes }
}

fn lists(list: Vec<ListSettings>) -> Lists {
    Lists { exempt: Vec::new(), list, timeout: Period::seconds(5), ..Lists::default() }
}

fn asked(zone: &Arc<Zone>, health: &Health, lists: &Lists, peer: &str) -> Listed {
    let resolver: Resolver = Arc::<Zone>::clone(zone);
    block_on(async { Asking::begin(&resolver, health, lists, peer.parse().unwrap()).unwrap().listed().await }).unwrap()
}

#[test]
fn the_weights_of_the_lists_that_have_an_address_are_added_up() {
    let zone = Arc::new(
        Zone::of(&format!(
            "{SOUND}9.2.0.192.bl.test A 127.0.0.4\n9.2.0.192.bl.test TXT it sends junk\n9.2.0.192.wl.test A 127.0.10.1\n\
         8.2.0.192.bl.test A 127.0.0.10\n"
        ))
        .unwrap(),
    );
    let lists = lists(vec![
        list("bl.test", ListKind::Block, 3, &["127.0.0.2/31", "127.0.0.4"]),
        list("wl.test", ListKind::Allow, 5, &[]),
    ]);
    let (health, ask) = (Health::default(), |health: &Health, peer: &str| asked(&zone, health, &lists, peer));
    let both = ask(&health, "192.0.2.9");
    assert_eq!(both.score, -2);
    assert_eq!(both.by[0].text.as_deref(), Some("it sends junk"));
    assert_eq!((both.by[1].zone.as_str(), both.by[1].kind), ("wl.test", ListKind::Allow));
    assert_eq!(ask(&health, "192.0.2.8"), Listed::default(), "for another reason");
    assert_eq!(ask(&health, "192.0.2.7"), Listed::default());
    assert!(health.faults().is_empty());
}

#[test]
fn an_ipv6_address_is_asked_for_by_its_nibbles() {
    let name = under("2001:db8:1:2:3:4:567:89ab".parse().unwrap(), &"bl.test".parse().unwrap()).unwrap();
    assert_eq!(name.as_str(), "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.test");
    let zone = Arc::new(Zone::of(&format!("{SOUND}{name} A 127.0.0.2\n")).unwrap());
    let lists = lists(vec![list("bl.test", ListKind::Block, 1, &[])]);
    assert_eq!(asked(&zone, &Health::default(), &lists, "2001:db8:1:2:3:4:567:89ab").score, 1);
}

#[test]
fn a_list_that_lists_the_whole_world_is_left_out() {
    let zone = Arc::new(
        Zone::of("2.0.0.127.bl.test A 127.0.0.2\n1.0.0.127.bl.test A 127.0.0.2\n9.2.0.192.bl.test A 127.0.0.2\n").unwrap(),
    );
    let (health, lists) = (Health::default(), lists(vec![list("bl.test", ListKind::Block, 1, &[])]));
    assert_eq!(asked(&zone, &health, &lists, "192.0.2.9"), Listed::default());
    assert_eq!(health.faults()[0].1, "it lists 127.0.0.1, and so perhaps everybody");
}

#[test]
fn a_list_that_is_given_up_is_left_out_and_another_still_counts() {
    let zone = Arc::new(
        Zone::of(&format!(
            "{SOUND}9.2.0.192.dead.test A 127.0.0.2\n9.2.0.192.bl.test A 127.0.0.2\n1.0.0.127.silent.test SERVFAIL\n"
        ))
        .unwrap(),
    );
    let all = ["dead.test", "bl.test", "silent.test"].map(|zone| list(zone, ListKind::Block, 1, &[]));
    let (health, lists) = (Health::default(), lists(all.to_vec()));
    assert_eq!(asked(&zone, &health, &lists, "192.0.2.9").score, 1);
    let faults = health.faults();
    assert_eq!(
        faults[0],
        ("dead.test".to_owned(), "it does not list 127.0.0.2: it is given up, or refuses our questions".to_owned())
    );
    assert!(faults[1].1.starts_with("it does not answer"), "{faults:?}");
}

#[test]
fn a_list_of_ipv6_alone_is_tested_by_its_own_addresses() {
    let two = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.bl6.test";
    let zone = Arc::new(Zone::of(&format!("{two} A 127.0.0.2\n")).unwrap());
    let (health, lists) = (Health::default(), lists(vec![list("bl6.test", ListKind::Block, 1, &[])]));
    asked(&zone, &health, &lists, "2001:db8::1");
    assert!(health.faults().is_empty(), "{:?}", health.faults());
}

#[test]
fn an_answer_that_no_list_gives_does_not_count() {
    let any = list("bl.test", ListKind::Block, 1, &[]);
    for (code, counts) in [("127.0.0.2", true), ("127.0.0.1", false), ("127.255.255.254", false), ("203.0.113.7", false)] {
        assert_eq!(any.counts(code.parse().unwrap()), counts, "{code}");
    }
}

#[test]
fn a_list_is_tested_once_in_a_while_and_not_each_time() {
    let zone = Arc::new(Zone::of(SOUND).unwrap());
    let (health, lists) = (Health::default(), lists(vec![list("bl.test", ListKind::Block, 1, &[])]));
    asked(&zone, &health, &lists, "192.0.2.1");
    let before = zone.questions();
    asked(&zone, &health, &lists, "192.0.2.2");
    assert_eq!(zone.questions(), before + 1);
}

#[test]
fn a_list_that_dies_later_is_noticed_within_the_hour_and_one_that_comes_back_within_minutes() {
    let sound = Arc::new(Zone::of(&format!("{SOUND}9.2.0.192.bl.test A 127.0.0.2\n")).unwrap());
    // The name was sold, and everything below it leads to a page of advertisements; or the owner has had enough.
    let sold = Arc::new(Zone::of("2.0.0.127.bl.test A 203.0.113.7\n9.2.0.192.bl.test A 203.0.113.7\n").unwrap());
    let all = Arc::new(
        Zone::of("1.0.0.127.bl.test A 127.0.0.2\n2.0.0.127.bl.test A 127.0.0.2\n9.2.0.192.bl.test A 127.0.0.2\n").unwrap(),
    );
    let lists = lists(vec![list("bl.test", ListKind::Block, 1, &[])]);
    for dead in [sold, all] {
        let health = Health::default();
        let after = |minutes: u64| {
            for tested in health.0.lock().unwrap().values_mut() {
                tested.at -= Duration::from_secs(minutes * 60);
            }
        };
        let score = |zone: &Arc<Zone>| asked(zone, &health, &lists, "192.0.2.9").score;
        assert_eq!(score(&sound), 1);
        after(61);
        assert_eq!((score(&dead), health.faults().len()), (0, 1));
        assert_eq!(score(&sound), 0, "it is believed again without a test");
        after(6);
        assert_eq!((score(&sound), health.faults().len()), (1, 0));
    }
}
