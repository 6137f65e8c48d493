use super::*;

fn domain(name: &str) -> Domain {
    name.parse().unwrap()
}

fn rule(source: &str, senders: &[&str], destinations: &[&str]) -> SourceRule {
    let domains = |names: &[&str]| names.iter().map(|name| domain(name)).collect();
    SourceRule { source: source.into(), senders: domains(senders), destinations: domains(destinations) }
}

#[test]
fn the_first_rule_that_fits_both_ends_chooses() {
    let sources = Sources::new(vec![
        rule("both", &["news.test"], &["far.test"]),
        rule("sender", &["news.test", "list.test"], &[]),
        rule("destination", &[], &["far.test"]),
    ]);
    for (sender, to, chosen) in [
        (Some("news.test"), "far.test", Some("both")),
        (Some("NEWS.test"), "other.test", Some("sender")),
        (Some("list.test"), "far.test", Some("sender")),
        (Some("ours.test"), "FAR.test", Some("destination")),
        (None, "far.test", Some("destination")),
        (None, "other.test", None),
        (Some("sub.news.test"), "other.test", None),
    ] {
        let sender = sender.map(domain);
        assert_eq!(sources.of(sender.as_ref(), &domain(to)).as_deref(), chosen, "{sender:?} to {to}");
    }
}
