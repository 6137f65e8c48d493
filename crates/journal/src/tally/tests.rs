use super::*;

fn refused(stage: &str) -> Event {
    let (listener, reply) = ("mx".to_owned(), "550 5.7.1 no".to_owned());
    Event::Refused { listener, peer: None, user: None, stage: stage.to_owned(), from: None, to: None, also: Vec::new(), reply }
}

fn of(tally: &Tally, name: &str, value: &str) -> u64 {
    tally.counts().into_iter().find(|count| count.meter.name == name && count.value == value).unwrap().count
}

#[test]
fn what_a_peer_says_makes_no_number_of_its_own() {
    let tally = Tally::new();
    let before = tally.counts().len();
    for stage in ["recipient", "recipient", "x\"} 1\nforged 1", ""] {
        tally.count(&refused(stage));
    }
    assert_eq!((of(&tally, "refusals", "recipient"), of(&tally, "refusals", "other")), (2, 2));
    assert_eq!(tally.counts().len(), before);
}

#[test]
fn a_verdict_is_counted_by_its_method_and_result() {
    let tally = Tally::new();
    let finding = |method: &str, result: &str| Finding {
        method: method.to_owned(),
        result: result.to_owned(),
        domain: String::new(),
        reason: String::new(),
        record: None,
    };
    let findings = vec![finding("spf", "pass"), finding("dkim", "fail"), finding("dkim", "pass"), finding("arc", "none")];
    tally.count(&Event::Verified { authors: Vec::new(), findings, action: "taken".to_owned() });
    assert_eq!([of(&tally, "spf", "pass"), of(&tally, "dkim", "fail"), of(&tally, "dkim", "pass")], [1, 1, 1]);
}

#[test]
fn every_name_that_is_counted_is_declared() {
    let names: Vec<&str> = METERS.iter().map(|meter| meter.name).collect();
    let source = include_str!("../tally.rs");
    let counted = source.split("self.add(\"").skip(1).filter_map(|rest| rest.split('"').next());
    for name in counted.chain(["logins", "failed_logins", "spf", "dkim", "dmarc"]) {
        assert!(names.contains(&name), "{name}");
    }
}
