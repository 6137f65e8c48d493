use super::*;
use crate::metadata::Package;

fn allow() -> BTreeSet<String> {
    ["MIT", "ISC", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into()
}

#[test]
fn a_licence_expression_is_read_by_its_operators() {
    let rows = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR GPL-3.0) AND GPL-2.0", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("GPL-3.0 WITH Classpath-exception", false),
        ("MIT MIT", false),
        ("", false),
    ];
    for (text, good) in rows {
        assert_eq!(Expression::allowed(text, &allow()), good, "{text}");
    }
}

#[test]
fn a_banned_crate_and_a_foreign_source_are_named() {
    let deny = Deny {
        bans: Bans { deny: vec![Ban { name: "ring".into(), reason: "one crypto stack".into() }] },
        licenses: Licenses { allow: allow() },
        sources: Sources { allow_registry: ["https://good.example/".to_owned()].into() },
    };
    let package = |name: &str, source: &str| Package {
        name: name.into(),
        version: "1.0.0".into(),
        license: Some("MIT".into()),
        source: Some(source.into()),
        dependencies: Vec::new(),
    };
    let tree = Metadata {
        packages: vec![package("ring", "registry+https://good.example/"), package("bytes", "git+https://evil.example/")],
    };
    let wrong = check(&deny, &tree);
    assert_eq!(wrong, ["ring 1.0.0 is banned: one crypto stack", "bytes 1.0.0 comes from git+https://evil.example/"]);
}
