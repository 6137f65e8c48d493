use super::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn mx(preference: u16, host: &str) -> Mx {
    Mx { preference, host: domain(host) }
}

fn names(plan: &Plan) -> Vec<&str> {
    match plan {
        Plan::Hosts { names, .. } => names.iter().map(Domain::as_str).collect(),
        Plan::Never(reply) | Plan::Later(reply) => panic!("{reply}"),
    }
}

#[test]
fn hosts_are_tried_by_preference_each_once() {
    let hosts = vec![mx(20, "b.test"), mx(10, "a.test"), mx(30, "a.test")];
    assert_eq!(names(&ranked(hosts, false, Some(&domain("us.test")))), ["a.test", "b.test"]);
}

#[test]
fn a_backup_sends_only_to_hosts_nearer_than_itself() {
    let hosts = vec![mx(10, "a.test"), mx(20, "us.test"), mx(20, "peer.test"), mx(30, "far.test")];
    assert_eq!(names(&ranked(hosts, false, Some(&domain("us.test")))), ["a.test"]);
}

#[test]
fn a_letter_for_a_domain_that_should_be_ours_does_not_go_round() {
    let Plan::Never(reply) = ranked(vec![mx(10, "us.test"), mx(20, "b.test")], false, Some(&domain("us.test"))) else { panic!() };
    assert_eq!(reply.status(), Some(Status::permanent(4, 6)));
}

#[test]
fn both_families_are_tried_in_turn() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let mixed = interleaved(vec![ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"), ip("2001:db8::1")]);
    assert_eq!(mixed, [ip("2001:db8::1"), ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")]);
}

#[test]
fn records_that_name_no_host_are_an_error_and_no_implicit_host_is_made_up() {
    let Plan::Never(reply) = ranked(Vec::new(), false, Some(&domain("us.test"))) else { panic!() };
    assert_eq!(reply.status(), Some(Status::permanent(4, 4)));
}

#[test]
fn hosts_of_one_preference_are_tried_in_any_order() {
    let zone = "a.test MX 10 x.test\na.test MX 10 y.test\na.test MX 5 first.test";
    let resolver: Resolver = std::sync::Arc::new(posthouse_dns::Zone::of(zone).unwrap());
    let mut orders = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let plan = posthouse_runtime::block_on(hosts(&domain("a.test"), Some(&domain("us.test")), &resolver)).unwrap();
        orders.insert(names(&plan).join(" "));
    }
    let expected = ["first.test x.test y.test", "first.test y.test x.test"];
    assert_eq!(orders.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_domain_without_records_that_is_ourselves_is_a_loop() {
    let resolver: Resolver = std::sync::Arc::new(posthouse_dns::Zone::of("us.test A 127.0.0.1").unwrap());
    let plan = posthouse_runtime::block_on(hosts(&domain("us.test"), Some(&domain("us.test")), &resolver)).unwrap();
    let Plan::Never(reply) = plan else { panic!() };
    assert_eq!(reply.status(), Some(Status::permanent(4, 6)));
}
