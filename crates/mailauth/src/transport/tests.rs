use std::time::Duration;

use super::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

fn sts(mode: Mode, hosts: &[&str]) -> Policy {
    let mx = hosts.iter().map(|host| host.parse().unwrap()).collect();
    Policy { mode, mx, max_age: Duration::from_secs(86_400) }
}

fn pins() -> Arc<[Pin]> {
    [Pin([7; 32])].into()
}

fn demand(text: &str) -> Option<Demand> {
    Some(match text {
        "–" => return None,
        "none" => Demand::Clear,
        "opportunistic" => Demand::Opportunistic,
        "require" => Demand::Require,
        "verify" => Demand::Verify(Vec::new()),
        "verify mx.a.test" => Demand::Verify(vec!["mx.a.test".parse().unwrap()]),
        "verify *.b.test" => Demand::Verify(vec!["*.b.test".parse().unwrap()]),
        "pin" => Demand::Pin(pins()),
        other => panic!("not a demand: {other}"),
    })
}

fn wish(text: &str) -> TlsWish {
    match text {
        "–" => TlsWish::AsPromised,
        "REQUIRETLS" => TlsWish::Required,
        "TLS-Required: No" => TlsWish::Optional,
        other => panic!("not a wish: {other}"),
    }
}

fn dane(text: &str) -> Dane {
    match text {
        "–" => Dane::Nothing(crate::dane::Nothing::NoRecords),
        "records" => Dane::Records(Arc::new(crate::dane::tests::records(
            "3 1 1 0707070707070707070707070707070707070707070707070707070707070707",
        ))),
        "unusable" => Dane::Unusable,
        "trouble" => Dane::Trouble("why".to_owned()),
        other => panic!("not what DANE says: {other}"),
    }
}

fn promise(text: &str) -> Option<Policy> {
    Some(match text {
        "–" => return None,
        "none" => sts(Mode::None, &["mx.a.test"]),
        "testing" => sts(Mode::Testing, &["mx.a.test"]),
        "testing, other host" => sts(Mode::Testing, &["mx.b.test"]),
        "enforce" => sts(Mode::Enforce, &["mx.a.test"]),
        "enforce, other host" => sts(Mode::Enforce, &["mx.b.test", "*.mx.a.test"]),
        other => panic!("not a promise: {other}"),
    })
}

/// Every row of the table in `docs/design/tls-policy.md`, read from there.
#[test]
fn every_row_of_the_policy_table() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/design/tls-policy.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with(" |"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .filter(|cells: &Vec<&str>| cells.first().is_some_and(|first| first.parse::<usize>().is_ok()))
        .collect();
    for row in &rows {
        let [number, letter, operator, mx, tlsa, mta_sts, expected] = row[..] else { panic!("{row:?}") };
        let host = domain("mx.a.test");
        let is_vouched = match mx {
            "signed" => true,
            "unsigned" => false,
            other => panic!("row {number}: {other}"),
        };
        let (demand, sts) = (demand(operator), promise(mta_sts));
        let dane = dane(tlsa);
        let known =
            Known { host: &host, is_vouched, demand: demand.as_ref(), dane: &dane, sts: sts.as_ref(), wish: wish(letter) };
        let decision = decide(&known);
        let said =
            if let TlsPolicy::Refused(why) = &decision.policy { format!("refused: {why:?}") } else { decision.to_string() };
        assert_eq!(said, expected, "row {number}");
        let is_tried = letter == "–"
            && mta_sts.starts_with("testing")
            && ["–", "require"].contains(&operator)
            && ["–", "unusable"].contains(&tlsa);
        assert_eq!(decision.is_trial, is_tried, "row {number}");
    }
    let numbers: Vec<usize> = rows.iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=rows.len()).collect::<Vec<_>>());
    assert!(rows.len() >= 18, "the table was read");
}

#[test]
fn a_pin_is_read_as_tools_print_it() {
    let hex = "ab".repeat(32);
    let pin: Pin = hex.parse().unwrap();
    assert_eq!(pin, Pin([0xab; 32]));
    assert_eq!(pin.to_string(), hex);
    let colons = ["AB"; 32].join(":");
    assert_eq!(colons.parse(), Ok(pin));
    for wrong in ["", "ab", &"ab".repeat(33), &"ag".repeat(32), &"é".repeat(32)] {
        assert_eq!(wrong.parse::<Pin>(), Err(PinError), "{wrong}");
    }
}
