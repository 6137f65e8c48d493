use std::net::SocketAddr;

use posthouse_config::Period;
use posthouse_runtime::block_on;
use posthouse_testkit::name_server::NameServer;

use super::*;
use crate::answer::Mx;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn resolver(servers: Vec<SocketAddr>) -> Resolver {
    let timeout = Period(Duration::from_millis(1500));
    real(&Settings { servers, timeout, trust_ad: None }).unwrap()
}

const ZONE: &str = "
    a.test MX 10 mx.a.test
    a.test TXT v=spf1 -all
    mx.a.test A 192.0.2.1
    mx.a.test AAAA 2001:db8::1
    four.test A 192.0.2.4
    null.test MX 0 .
    alias.test CNAME a.test
    1.2.0.192.in-addr.arpa PTR mx.a.test
    broken.test SERVFAIL
";

#[test]
fn answers_denials_and_trouble_are_told_apart_over_the_network() {
    let server = NameServer::start(ZONE);
    let resolver = resolver(vec![server.address()]);
    block_on(async {
        let hosts = MxAnswer::Hosts(vec![Mx { preference: 10, host: domain("mx.a.test") }]);
        assert_eq!(resolver.mx(&domain("a.test")).await.unwrap().value, hosts);
        assert_eq!(resolver.mx(&domain("alias.test")).await.unwrap().value, hosts);
        assert_eq!(resolver.mx(&domain("null.test")).await.unwrap().value, MxAnswer::Null);
        assert_eq!(resolver.mx(&domain("four.test")).await, Err(DnsError::NoData));
        assert_eq!(resolver.mx(&domain("gone.test")).await, Err(DnsError::NoSuchDomain));
        assert!(matches!(resolver.mx(&domain("broken.test")).await, Err(DnsError::Temporary(_))));
        assert!(matches!(resolver.addresses(&domain("broken.test")).await, Err(DnsError::Temporary(_))));
        let both = resolver.addresses(&domain("mx.a.test")).await.unwrap().value;
        assert_eq!(both, ["2001:db8::1".parse::<IpAddr>().unwrap(), "192.0.2.1".parse().unwrap()]);
        let four = resolver.addresses(&domain("four.test")).await.unwrap();
        assert_eq!((four.value, four.authenticated), (vec!["192.0.2.4".parse().unwrap()], false));
        assert_eq!(resolver.addresses(&domain("gone.test")).await, Err(DnsError::NoSuchDomain));
        assert_eq!(resolver.txt(&domain("a.test")).await.unwrap().value, [b"v=spf1 -all".to_vec()]);
        assert_eq!(resolver.ptr("192.0.2.1".parse().unwrap()).await.unwrap().value, [domain("mx.a.test")]);
        assert_eq!(resolver.ptr("192.0.2.9".parse().unwrap()).await, Err(DnsError::NoSuchDomain));
    })
    .unwrap();
}

#[test]
fn an_answer_too_large_for_a_datagram_comes_whole() {
    let text: String = (0..90).map(|n| format!("big.test MX {n} a-host-with-a-long-name-number-{n}.big.test\n")).collect();
    let server = NameServer::start(&text);
    let resolver = resolver(vec![server.address()]);
    let answer = block_on(async { resolver.mx(&domain("big.test")).await }).unwrap().unwrap();
    let MxAnswer::Hosts(hosts) = answer.value else { panic!("{answer:?}") };
    assert_eq!(hosts.len(), 90);
}

#[test]
fn what_was_answered_is_not_asked_again_but_trouble_is() {
    let server = NameServer::start(ZONE);
    let resolver = resolver(vec![server.address()]);
    block_on(async {
        for name in ["a.test", "gone.test"] {
            let name = domain(name);
            let first = resolver.mx(&name).await;
            let asked = server.questions();
            assert_eq!(resolver.mx(&name).await, first);
            assert_eq!(server.questions(), asked, "{name}");
        }
        let broken = domain("broken.test");
        assert!(resolver.mx(&broken).await.is_err());
        server.set("broken.test MX 10 mx.broken.test");
        assert!(resolver.mx(&broken).await.is_ok(), "the trouble was kept");
    })
    .unwrap();
}

#[test]
fn a_dead_server_is_trouble_and_a_second_one_helps() {
    let dead: SocketAddr = format!("127.0.0.1:{}", posthouse_testkit::ports::free()).parse().unwrap();
    let alone = resolver(vec![dead]);
    let error = block_on(async { alone.mx(&domain("a.test")).await }).unwrap().unwrap_err();
    assert!(matches!(error, DnsError::Temporary(_)), "{error}");
    let server = NameServer::start(ZONE);
    let two = resolver(vec![dead, server.address()]);
    assert!(block_on(async { two.mx(&domain("a.test")).await }).unwrap().is_ok());
}

#[test]
fn special_names_are_never_asked_for() {
    let dead = resolver(vec!["127.0.0.1:9".parse().unwrap()]);
    block_on(async {
        let literal = domain("[IPv6:2001:db8::7]");
        assert_eq!(dead.addresses(&literal).await.unwrap().value, ["2001:db8::7".parse::<IpAddr>().unwrap()]);
        assert_eq!(dead.mx(&literal).await, Err(DnsError::NoData));
        assert!(dead.addresses(&domain("localhost")).await.unwrap().value.iter().all(IpAddr::is_loopback));
        assert_eq!(dead.mx(&domain("localhost")).await, Err(DnsError::NoData));
        assert_eq!(dead.mx(&domain("a.invalid")).await, Err(DnsError::NoSuchDomain));
        assert_eq!(dead.addresses(&domain("x.onion")).await, Err(DnsError::NoSuchDomain));
    })
    .unwrap();
}

#[test]
fn the_word_of_a_server_counts_only_where_it_is_trusted() {
    let server = NameServer::start(ZONE);
    let ask = |trust_ad| {
        let resolver = real(&Settings { servers: vec![server.address()], trust_ad, ..Settings::default() }).unwrap();
        block_on(async { resolver.mx(&domain("a.test")).await }).unwrap().unwrap().authenticated
    };
    assert!(!ask(None), "it has not said so");
    server.sign();
    assert!(ask(None), "a server on loopback");
    assert!(ask(Some(true)));
    assert!(!ask(Some(false)));
}

#[test]
fn a_name_that_is_no_hosts_is_asked_for_too() {
    let server = NameServer::start("_spf.a.test TXT v=spf1 -all\n x.a.test MX 5 mx.a.test\n broken.test SERVFAIL");
    let resolver = resolver(vec![server.address()]);
    let ask = async |name: &str, kind| resolver.records(&name.parse().unwrap(), kind).await.map(|answer| answer.value);
    block_on(async {
        assert_eq!(ask("_spf.a.test", Kind::Txt).await, Ok(vec![Record::Text(b"v=spf1 -all".to_vec())]));
        assert_eq!(ask("a b%.a.test", Kind::Txt).await, Err(DnsError::NoSuchDomain));
        assert_eq!(ask("_spf.a.test", Kind::Tlsa).await, Err(DnsError::NoData));
        let host = Some("mx.a.test".parse().unwrap());
        assert_eq!(ask("x.a.test", Kind::Mx).await, Ok(vec![Record::Mx { preference: 5, host }]));
        assert!(matches!(ask("broken.test", Kind::A).await, Err(DnsError::Temporary(_))));
    })
    .unwrap();
}

#[test]
fn the_name_behind_the_aliases_is_told() {
    let server = NameServer::start("a.test CNAME b.test\nb.test CNAME c.test\nc.test A 192.0.2.1");
    let resolver = resolver(vec![server.address()]);
    block_on(async {
        for round in ["asked", "remembered"] {
            let answer = resolver.addresses(&domain("a.test")).await.unwrap();
            assert_eq!(answer.alias, Some("c.test".parse().unwrap()), "{round}");
            assert_eq!(resolver.addresses(&domain("c.test")).await.unwrap().alias, None, "{round}");
        }
        let alias = resolver.records(&"a.test".parse().unwrap(), Kind::Cname).await.unwrap();
        assert_eq!((alias.value, alias.alias), (vec![Record::Alias("b.test".parse().unwrap())], None));
        let host = "c.test".parse().unwrap();
        assert_eq!(resolver.records(&host, Kind::Cname).await, Err(DnsError::NoData));
    })
    .unwrap();
}
