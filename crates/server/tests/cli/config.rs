//! `check-config`, and where a configuration is looked for.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn invalid() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/invalid")
}

/// `UPDATE_EXPECTED=1` writes the expectations anew; read the difference before it is committed.
#[test]
fn each_invalid_configuration_is_shown_as_expected() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in fs::read_dir(invalid()).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        seen += 1;
        let name = path.file_name().unwrap().to_str().unwrap();
        let shown = run(&invalid(), &["check-config", name]);
        assert_eq!((shown.exit, shown.out.as_str()), (78, ""), "{name}: {}", shown.err);
        let expected = path.with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &shown.err).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != shown.err {
            wrong.push(format!("{name} is now shown as\n{}", shown.err));
        }
    }
    assert!(seen >= 10, "only {seen} samples were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mistake_has_its_place_in_json() {
    let shown = run(&invalid(), &["check-config", "unknown-key.toml", "--json"]);
    assert_eq!(shown.exit, 78);
    let json = shown.json();
    assert_eq!((json["ok"].as_bool(), json["line"].as_u64(), json["column"].as_u64()), (Some(false), Some(3), Some(1)));
    assert!(json["help"][0].as_str().unwrap().contains("listener"), "{json}");
}

#[test]
fn a_right_configuration_is_ok() {
    let site = common::Site::new(&["mx", "submission"], "");
    let file = site.config();
    let file = file.to_str().unwrap();
    assert_eq!(run(Path::new("/"), &["check-config", file]).ok(), format!("{file}: ok\n"));
    assert_eq!(run(Path::new("/"), &["check-config", file, "--json"]).json()["ok"], true);
}

#[test]
fn the_configuration_is_found_here_and_its_data_beside_it() {
    let site = common::Site::new(&["mx"], "");
    assert_eq!(run(site.dir.path(), &["domain", "list"]).ok(), "example.test\n");
    let file = site.config();
    assert_eq!(run(Path::new("/"), &["domain", "list", "--config", file.to_str().unwrap()]).ok(), "example.test\n");
    assert_eq!(done(posthouse().args(["domain", "list"]).env("POSTHOUSE_CONFIG", &file)).ok(), "example.test\n");
}

#[test]
fn a_configuration_that_is_missing_is_78() {
    let empty = tempfile::tempdir().unwrap();
    run(empty.path(), &["check-config", "nothing.toml"]).fails(78, "nothing.toml");
    run(empty.path(), &["domain", "list", "--config", "nothing.toml"]).fails(78, "nothing.toml");
    run(empty.path(), &["domain", "list", "--data", "nothing"]).fails(78, "no data directory nothing");
    assert!(!empty.path().join("nothing").exists(), "a mistyped directory was made");
}
