use super::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn mx(preference: u16, host: &str) -> Mx {
    Mx { preference, host: domain(host) }
}

fn names(plan: &Plan) -> Vec<&str> {
    match plan {
        Plan::Hosts(hosts) => hosts.iter().map(Domain::as_str).collect(),
        Plan::Never(reply) | Plan::Later(reply) => panic!("{reply}"),
    }
}

#[test]
fn hosts_are_tried_by_preference_each_once() {
    let hosts = vec![mx(20, "b.test"), mx(10, "a.test"), mx(30, "a.test")];
    assert_eq!(names(&ranked(hosts, &domain("us.test"), 5)), ["a.test", "b.test"]);
}

#[test]
fn no_more_hosts_are_tried_than_are_allowed() {
    let hosts = (0..100).map(|n| mx(n, &format!("h{n}.test"))).collect();
    assert_eq!(names(&ranked(hosts, &domain("us.test"), 3)), ["h0.test", "h1.test", "h2.test"]);
}

#[test]
fn a_backup_sends_only_to_hosts_nearer_than_itself() {
    let hosts = vec![mx(10, "a.test"), mx(20, "us.test"), mx(20, "peer.test"), mx(30, "far.test")];
    assert_eq!(names(&ranked(hosts, &domain("us.test"), 5)), ["a.test"]);
}

#[test]
fn a_letter_for_a_domain_that_should_be_ours_does_not_go_round() {
    let Plan::Never(reply) = ranked(vec![mx(10, "us.test"), mx(20, "b.test")], &domain("us.test"), 5) else { panic!() };
    assert_eq!(reply.status(), Some(Status::permanent(4, 6)));
}

#[test]
fn both_families_are_tried_in_turn() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let mixed = interleaved(vec![ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3"), ip("2001:db8::1")]);
    assert_eq!(mixed, [ip("2001:db8::1"), ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")]);
}
