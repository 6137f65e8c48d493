use posthouse_runtime::block_on;

use super::*;

const TEXT: &str = "
    ; a small world
    a.test MX 10 mx.a.test
    a.test TXT v=spf1 -all
    mx.a.test A 192.0.2.1
    mx.a.test AAAA 2001:db8::1
    null.test MX 0 .
    www.a.test CNAME mx.a.test
    loop.test CNAME loop.test
    192.0.2.1 PTR mx.a.test
    broken.test SERVFAIL
    slow.test TIMEOUT
";

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

#[test]
fn each_name_answers_as_its_lines_say() {
    let zone = Zone::of(TEXT).unwrap();
    block_on(async {
        assert_eq!(
            zone.mx(&domain("a.test")).await.unwrap().value,
            MxAnswer::Hosts(vec![Mx { preference: 10, host: domain("mx.a.test") }])
        );
        assert_eq!(zone.mx(&domain("null.test")).await.unwrap().value, MxAnswer::Null);
        assert_eq!(zone.mx(&domain("mx.a.test")).await, Err(DnsError::NoData));
        assert_eq!(zone.mx(&domain("gone.test")).await, Err(DnsError::NoSuchDomain));
        assert!(matches!(zone.mx(&domain("broken.test")).await, Err(DnsError::Temporary(_))));
        assert!(matches!(zone.mx(&domain("slow.test")).await, Err(DnsError::Temporary(_))));
        assert!(matches!(zone.mx(&domain("loop.test")).await, Err(DnsError::Temporary(_))));
        let addresses = zone.addresses(&domain("www.a.test")).await.unwrap().value;
        assert_eq!(addresses, ["2001:db8::1".parse::<IpAddr>().unwrap(), "192.0.2.1".parse().unwrap()]);
        assert_eq!(zone.txt(&domain("a.test")).await.unwrap().value, [b"v=spf1 -all".to_vec()]);
        assert_eq!(zone.ptr("192.0.2.1".parse().unwrap()).await.unwrap().value, [domain("mx.a.test")]);
        assert_eq!(zone.ptr("::ffff:192.0.2.1".parse().unwrap()).await.unwrap().value, [domain("mx.a.test")]);
    })
    .unwrap();
}

#[test]
fn a_wrong_line_is_named_and_changes_nothing() {
    let zone = Zone::of(TEXT).unwrap();
    for line in ["a.test", "a.test WKS x", "a.test MX ten b.test", "a.test A not-an-address", "a..test A 192.0.2.1"] {
        assert_eq!(zone.set(line), Err(ZoneError(line.to_owned())));
    }
    assert!(block_on(async { zone.mx(&domain("a.test")).await }).unwrap().is_ok());
}

#[test]
fn authentication_is_as_it_was_set() {
    let open = Zone::of(TEXT).unwrap();
    let signed = Zone::of(TEXT).unwrap().authenticated();
    assert!(!block_on(async { open.mx(&domain("a.test")).await }).unwrap().unwrap().authenticated);
    assert!(block_on(async { signed.mx(&domain("a.test")).await }).unwrap().unwrap().authenticated);
}

#[test]
fn a_name_between_others_exists_and_has_nothing() {
    let zone = Zone::master("_dmarc.mail.a.test TXT x\n*.w.test TXT y\nz.w.test A 192.0.2.1\n").unwrap();
    let ask = |name: &str| block_on(zone.records(&name.parse().unwrap(), Kind::Txt)).unwrap().map(|answer| answer.value.len());
    assert_eq!(ask("mail.a.test"), Err(DnsError::NoData));
    assert_eq!(ask("other.a.test"), Err(DnsError::NoSuchDomain));
    assert_eq!(ask("any.w.test"), Ok(1));
    assert_eq!(ask("z.w.test"), Err(DnsError::NoData), "a wildcard does not stand for a name that is there");
    assert_eq!(ask("x.z.w.test"), Err(DnsError::NoSuchDomain), "nor for names below it");
}

#[test]
fn beside_a_mark_of_trouble_what_is_there_is_answered() {
    let zone = Zone::master("a.test TXT x\na.test TIMEOUT").unwrap();
    let ask = |kind| block_on(zone.records(&"a.test".parse().unwrap(), kind)).unwrap();
    assert!(ask(Kind::Txt).is_ok());
    assert_eq!(ask(Kind::A), Err(DnsError::Temporary("no name server answered in time".to_owned())));
}

#[test]
fn a_name_that_nobody_vouches_for_taints_what_is_reached_through_it() {
    let zone = Zone::of(
        "a.test A 192.0.2.1\nalias.test CNAME a.test\nb.test A 192.0.2.2\nb.test INSECURE\nto-b.test CNAME b.test\n_25._tcp.a.test TLSA 3 1 1 00ff\nx.test TLSA 3 1",
    );
    assert!(zone.is_err(), "a record without data");
    let zone = Zone::of(
        "a.test A 192.0.2.1\nalias.test CNAME a.test\nb.test A 192.0.2.2\nb.test INSECURE\nto-b.test CNAME b.test\n_25._tcp.a.test TLSA 3 1 1 00ff",
    )
    .unwrap()
    .authenticated();
    let asked = |name: &str, kind| {
        let answer = zone.ask(&name.parse().unwrap(), kind).unwrap();
        (answer.authenticated, answer.alias.map(|name| name.to_string()))
    };
    assert_eq!(asked("a.test", Kind::A), (true, None));
    assert_eq!(asked("alias.test", Kind::A), (true, Some("a.test".to_owned())));
    assert_eq!(asked("b.test", Kind::A), (false, None));
    assert_eq!(asked("to-b.test", Kind::A), (false, Some("b.test".to_owned())));
    assert_eq!(asked("to-b.test", Kind::Cname), (true, None));
    let tlsa = Record::Tlsa(crate::record::Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0, 255] });
    assert_eq!(zone.ask(&"_25._tcp.a.test".parse().unwrap(), Kind::Tlsa).unwrap().value, [tlsa]);
}
