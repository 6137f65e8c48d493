//! The RFC 7208 test suite (see `rfc7208/LICENSE`): every case passes, and how many give the preferred result is counted.
//!
//! The cases are the suite's own, rewritten as JSON with the zones as master files. Where several results are allowed the first is preferred.

use std::collections::BTreeMap;

use posthouse_dns::Zone;
use posthouse_mailauth::spf::{Question, check};
use posthouse_runtime::block_on;
use serde::Deserialize;

#[derive(Deserialize)]
struct Scenario {
    description: String,
    zone: Vec<String>,
    tests: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    helo: String,
    host: String,
    mailfrom: String,
    result: Vec<String>,
    explanation: Option<String>,
}

/// What the suite calls the explanation of a domain that gives none.
const NO_EXPLANATION: &str = "DEFAULT";

#[test]
fn every_case_of_the_suite_passes() {
    let scenarios: Vec<Scenario> = serde_json::from_str(include_str!("rfc7208/cases.json")).unwrap();
    let (mut cases, mut preferred, mut wrong) = (0, 0, Vec::new());
    for Scenario { description, zone, tests } in scenarios {
        let zone = Zone::master(&zone.join("\n")).unwrap();
        for (name, case) in tests {
            let question = Question {
                ip: case.host.parse().unwrap(),
                helo: &case.helo,
                mail_from: &case.mailfrom,
                receiver: "unknown",
                now: 0,
            };
            let found = block_on(check(&zone, question)).unwrap();
            let result = found.result.to_string();
            cases += 1;
            preferred += usize::from(case.result.first() == Some(&result));
            let explanation = case.explanation.filter(|text| text != NO_EXPLANATION);
            let explained = result != "fail" || explanation.is_none() || explanation == found.explanation;
            if !case.result.contains(&result) || !explained {
                let expected = (case.result, explanation);
                wrong.push(format!(
                    "{description}: {name}: {expected:?}, not {result} ({}, {:?})",
                    found.reason, found.explanation
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {cases} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((cases, preferred), (203, 203));
}
