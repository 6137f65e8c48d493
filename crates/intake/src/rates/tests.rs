use super::*;

fn rates(address: RateLimits, network: RateLimits, account: RateLimits) -> Rates {
    Rates { per: Period::hours(1), exempt: Vec::new(), address, network, account }
}

fn counted<'a>(meter: &'a Meter, rates: &'a Rates, peer: &str, account: Option<&'a str>) -> Counted<'a> {
    Counted { meter, rates, peer: peer.parse().unwrap(), by_address: true, account }
}

fn letters(letters: u32) -> RateLimits {
    RateLimits { letters, ..RateLimits::default() }
}

#[test]
fn what_one_address_or_network_has_used_up_another_has_not() {
    let (meter, rates) = (Meter::default(), rates(letters(3), letters(5), letters(0)));
    let send = |peer: &str| counted(&meter, &rates, peer, None).take(What::Letters, 1).is_ok();
    assert_eq!((0..10).filter(|_| send("192.0.2.1")).count(), 3);
    assert_eq!((0..10).filter(|_| send("192.0.2.2")).count(), 2, "the network's");
    assert_eq!((0..10).filter(|_| send("192.0.3.1")).count(), 3);
    let v6 = (0..10).filter(|n| send(&format!("2001:db8:0:1::{n}"))).count();
    assert_eq!(v6, 3, "a /64 is one address");
    assert_eq!((0..10).filter(|n| send(&format!("2001:db8:0:{n}::1"))).count(), 2, "and a /48 one network");
}

#[test]
fn an_account_is_counted_wherever_it_comes_from_and_by_destination() {
    let limits = RateLimits { recipients: 10, recipients_per_domain: 4, ..RateLimits::default() };
    let (meter, rates) = (Meter::default(), rates(letters(0), letters(0), limits));
    let to = |n: u32, domain: &str| {
        let peer = format!("192.0.{}.1", n % 200);
        counted(&meter, &rates, &peer, Some("alice")).take_recipient(domain).is_ok()
    };
    assert_eq!((0..20).filter(|n| to(*n, "a.example")).count(), 4);
    assert_eq!((0..20).filter(|n| to(*n, "b.example")).count(), 4);
    assert_eq!((0..20).filter(|n| to(*n, "c.example")).count(), 2);
    assert!(counted(&meter, &rates, "192.0.2.1", Some("bob")).take_recipient("a.example").is_ok());
}

#[test]
fn a_bucket_drains_evenly_and_a_letter_larger_than_it_goes_through_once() {
    let per = Duration::from_secs(3600);
    let (meter, now) = (Meter::default(), clock::now());
    let key = || Key { subject: Subject::Account("alice".to_owned()), what: What::Size };
    assert_eq!(meter.wait(&key(), 1000, 5000, per, now), None);
    meter.charge(key(), 1000, 5000, per, now);
    assert_eq!(meter.wait(&key(), 1000, 1, per, now).map(|wait| wait.as_secs()), Some(3603));
    assert_eq!(meter.wait(&key(), 1000, 1, per, now + per * 2), None);
    meter.charge(key(), 1000, 500, per, now + per * 2);
    assert_eq!(meter.wait(&key(), 1000, 500, per, now + per * 2), None);
    assert_eq!(meter.wait(&key(), 1000, 750, per, now + per * 2).map(|wait| wait.as_secs()), Some(900));
}

#[test]
fn errors_are_counted_and_looked_at_apart() {
    let (meter, rates) = (Meter::default(), rates(RateLimits { errors: 3, ..letters(0) }, letters(0), letters(0)));
    let of = || counted(&meter, &rates, "192.0.2.1", None);
    for _ in 0..3 {
        assert_eq!(of().look(What::Errors), Ok(()));
        of().charge(What::Errors, 1);
    }
    assert!(of().look(What::Errors).is_err() && of().take(What::Letters, 1).is_ok());
}

#[test]
fn a_million_addresses_take_no_more_than_their_share_of_memory() {
    let (meter, now) = (Meter::default(), clock::now());
    for n in 0..1_000_000_u32 {
        let key = Key { subject: Subject::Address(IpAddr::V4(n.into())), what: What::Letters };
        meter.charge(key, 10, 1, Duration::from_secs(3600), now);
    }
    assert!(meter.0.lock().unwrap().len() <= BUCKETS_MAX);
}
