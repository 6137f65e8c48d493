use super::*;

fn table() -> Edges {
    let text = "[crates]\nmail = []\nqueue = ['mail']\nserver = 'all'\n[dev]\nall = ['testkit']\nqueue = ['config']\n[owners]\ntokio = ['runtime']\n";
    toml::from_str(text).unwrap()
}

fn tree(from: &str, to: &str, kind: Option<&str>) -> Metadata {
    let dependencies = vec![Dependency { name: to.into(), kind: kind.map(str::to_owned) }];
    Metadata { packages: vec![Package { name: from.into(), version: "0.1.0".into(), license: None, source: None, dependencies }] }
}

#[test]
fn an_edge_that_is_not_in_the_table_is_named() {
    let rows = [
        ("posthouse-queue", "posthouse-mail", None, true),
        ("posthouse-mail", "posthouse-queue", None, false),
        ("posthouse", "posthouse-queue", None, true),
        ("posthouse-queue", "posthouse-testkit", Some("dev"), true),
        ("posthouse-queue", "posthouse-testkit", None, false),
        ("posthouse-queue", "posthouse-config", Some("dev"), true),
        ("posthouse-mail", "posthouse-config", Some("dev"), false),
        ("posthouse-queue", "tokio", None, false),
        ("posthouse-queue", "tokio", Some("dev"), true),
        ("posthouse-queue", "bytes", None, true),
        ("posthouse-new", "bytes", None, false),
    ];
    for (from, to, kind, good) in rows {
        let wrong = breaches(&table(), &tree(from, to, kind));
        assert_eq!(wrong.is_empty(), good, "{from} → {to} ({kind:?}): {wrong:?}");
    }
}
