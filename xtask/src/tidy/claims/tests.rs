use super::*;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

#[test]
fn a_claim_with_nothing_behind_it_is_found() {
    let rows = [
        ("| 1 | x | `a_real_test` |", "state = 'yes'\nwhere = ['crates/a']", 0),
        ("| 1 | x | `a_dreamt_test` |", "state = 'yes'\nwhere = ['crates/a']", 1),
        ("| 1 | `CamelCase` and `word` | not yet applicable |", "state = 'no'", 0),
        ("| 1 | x | immune, surely |", "state = 'no'", 1),
        ("| | failure elsewhere | state | proof |\n|---|---|---|---|", "state = 'no'", 0),
        ("", "state = 'partial'\nwhere = ['crates/b']", 1),
        ("", "state = 'yes'", 1),
        ("", "state = 'no'\nwhere = ['crates/a']", 1),
    ];
    for (threat, standard, count) in rows {
        let standard = format!("[rfc.1]\ntitle = 'A'\n{standard}\n");
        let sources =
            [source("crates/a/tests.rs", "    fn a_real_test() {\n"), source(THREATS, threat), source(STANDARDS, &standard)];
        let wrong = check(&sources).unwrap();
        assert_eq!(wrong.len(), count, "{threat} {standard}: {wrong:?}");
    }
}
