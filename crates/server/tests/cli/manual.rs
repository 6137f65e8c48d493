//! `--help`, wrong uses, and the parts of the manual that are made from the program.

use std::path::Path;

use super::*;

/// The commands that the help of `path` lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

fn visit(path: &[String], seen: &mut Vec<String>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = run(Path::new("/"), &arguments).ok();
    assert!(help.contains("Examples:\n  posthouse "), "no examples in {arguments:?}:\n{help}");
    assert!(help.contains("--json"), "no --json in {arguments:?}");
    seen.push(path.join(" "));
    for name in listed(&help) {
        let mut below = path.to_vec();
        below.push(name);
        visit(&below, seen);
    }
}

#[test]
fn every_command_has_examples_in_its_help() {
    let mut seen = Vec::new();
    visit(&[], &mut seen);
    for command in [
        "try",
        "serve",
        "send",
        "check-config",
        "domain add",
        "account password",
        "alias list",
        "mail show",
        "queue show",
        "trace",
    ] {
        assert!(seen.iter().any(|known| known == command), "{command} is not among {seen:?}");
    }
}

#[test]
fn a_wrong_use_is_64_and_says_what_would_be_right() {
    let root = Path::new("/");
    run(root, &["dommain"]).fails(64, "domain");
    run(root, &["trace"]).fails(64, "ID|ADDRESS|MESSAGE-ID");
    run(root, &["domain", "list", "--data", "a", "--config", "b"]).fails(64, "cannot be used with");
    run(root, &["account", "add", "a@b", "--generate", "--password-env", "X"]).fails(64, "cannot be used with");
    run(root, &[]).fails(64, "Usage");
    assert!(run(root, &["--version"]).ok().starts_with("posthouse "));
}

#[test]
fn a_password_is_never_an_argument() {
    for command in [&["account", "add", "a@b"][..], &["account", "password", "a@b"], &["send", "--to", "a@b"]] {
        let mut arguments = command.to_vec();
        arguments.extend(["--password", "hunter2"]);
        let refused = run(Path::new("/"), &arguments);
        assert_eq!(refused.exit, 64, "{command:?}: {}", refused.err);
        assert!(!refused.err.contains("hunter2") && !refused.out.contains("hunter2"), "{}", refused.err);
    }
}
