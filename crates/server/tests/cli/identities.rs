//! `domain`, `account`, `alias`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A data directory with `example.test`.
fn data() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    on(&data, &["domain", "add", "example.test"]).ok();
    data
}

fn on(data: &tempfile::TempDir, arguments: &[&str]) -> Done {
    let mut all = arguments.to_vec();
    all.extend(["--data", data.path().to_str().unwrap()]);
    run(data.path(), &all)
}

fn verifies(data: &tempfile::TempDir, password: &str) -> bool {
    let directory = posthouse_directory::Directory::open(&data.path().join("directory.sqlite")).unwrap();
    let verified = posthouse_runtime::block_on(directory.verify_password("alice@example.test", password)).unwrap();
    verified.unwrap().is_some()
}

#[test]
fn identities_are_added_listed_and_removed() {
    let data = data();
    assert_eq!(on(&data, &["domain", "add", "bücher.example"]).ok(), "added bücher.example\n");
    assert_eq!(on(&data, &["domain", "list"]).ok(), "example.test\nbücher.example\n");
    on(&data, &["account", "add", "alice@example.test", "--generate"]).ok();
    assert_eq!(on(&data, &["account", "list"]).ok(), "alice@example.test\n");
    let added = on(&data, &["alias", "add", "*@example.test", "alice@example.test", "carol@elsewhere.example"]).ok();
    assert_eq!(added, "added *@example.test -> alice@example.test, carol@elsewhere.example\n");
    let removed = on(&data, &["account", "remove", "alice@example.test"]).ok();
    assert_eq!(removed, "removed alice@example.test\nthe alias *@example.test still names it\n");
    on(&data, &["alias", "remove", "*@example.test"]).ok();
    on(&data, &["domain", "remove", "example.test"]).ok();
    assert_eq!(on(&data, &["domain", "list"]).ok(), "bücher.example\n");
}

#[test]
fn a_domain_has_keys_and_prints_the_records_that_publish_them() {
    let data = data();
    let lines = on(&data, &["domain", "dns", "example.test"]).ok();
    let count = |lines: &str| (lines.matches("v=DKIM1; k=rsa; p=").count(), lines.matches("v=DKIM1; k=ed25519; p=").count());
    assert_eq!(count(&lines), (1, 1), "{lines}");
    assert!(lines.contains("\nexample.test. IN TXT \"v=spf1 mx -all\"\n"), "{lines}");
    assert!(posthouse_dns::Zone::master(&lines).is_ok(), "{lines}");
    let fresh = on(&data, &["domain", "rotate", "example.test"]).ok();
    assert_eq!(count(&fresh), (1, 1));
    let lines = on(&data, &["domain", "dns", "example.test", "--json"]).json();
    let first = lines[0]["name"].as_str().unwrap().split('.').next().unwrap().to_owned();
    on(&data, &["domain", "drop-key", "example.test", &first]).ok();
    on(&data, &["domain", "drop-key", "example.test", &first]).fails(67, "there is no key");
    assert_eq!(on(&data, &["domain", "dns", "example.test", "--json"]).json().as_array().unwrap().len(), 6);
    let keys = on(&data, &["domain", "keys", "example.test", "--json"]).json();
    let states: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["signing", "waiting", "waiting"], "what was made by hand waits for the DNS too");
    on(&data, &["domain", "rotate", "example.test", "--now"]).ok();
    let keys = on(&data, &["domain", "keys", "example.test"]).ok();
    assert_eq!((keys.matches(", signing since").count(), keys.matches(", retired since").count()), (2, 3), "{keys}");
    on(&data, &["domain", "keys", "other.test"]).fails(67, "other.test");
    on(&data, &["domain", "dns", "other.test"]).fails(67, "other.test");
}

#[test]
fn json_is_what_a_program_needs() {
    let data = data();
    assert_eq!(on(&data, &["domain", "list", "--json"]).json()[0]["domain"], "example.test");
    let added = on(&data, &["account", "add", "alice@example.test", "--generate", "--json"]).json();
    assert!(verifies(&data, added["password"].as_str().unwrap()));
    let listed = on(&data, &["account", "list", "--json"]).json();
    assert_eq!((&listed[0]["address"], &listed[0]["id"]), (&added["address"], &added["id"]));
    assert!(listed[0].get("password").is_none());
    let alias = on(&data, &["alias", "add", "info@example.test", "alice@example.test", "--json"]).json();
    assert_eq!(alias["targets"][0], "alice@example.test");
    assert_eq!(on(&data, &["alias", "list", "--json"]).json()[0], alias);
    assert_eq!(on(&data, &["alias", "remove", "info@example.test", "--json"]).json()["address"], "info@example.test");
    assert_eq!(on(&data, &["account", "remove", "alice@example.test", "--json"]).json()["account"]["id"], added["id"]);
    let refused = on(&data, &["account", "remove", "alice@example.test", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&refused.err).unwrap();
    assert_eq!((refused.exit, error["exit"].as_i64()), (67, Some(67)));
}

#[test]
fn what_does_not_exist_is_67_and_what_contradicts_is_65() {
    let data = data();
    for arguments in [
        &["account", "remove", "nobody@example.test"][..],
        &["account", "password", "nobody@example.test", "--generate"],
        &["account", "add", "alice@elsewhere.example", "--generate"],
        &["alias", "remove", "nobody@example.test"],
        &["domain", "remove", "elsewhere.example"],
        &["mail", "list", "nobody@example.test"],
        &["mail", "show", "nobody@example.test", "1"],
    ] {
        assert_eq!(on(&data, arguments).exit, 67, "{arguments:?}");
    }
    on(&data, &["account", "add", "alice@example.test", "--generate"]).ok();
    on(&data, &["account", "add", "alice@example.test", "--generate"]).fails(65, "is an account already");
    on(&data, &["domain", "add", "example.test"]).fails(65, "already");
    on(&data, &["domain", "remove", "example.test"]).fails(65, "alice@example.test");
    on(&data, &["domain", "add", "exa mple"]).fails(65, "exa mple");
    on(&data, &["account", "add", "alice\x1b[31m", "--generate"]).fails(65, "alice\\u{1b}[31m");
}

#[test]
fn a_password_comes_from_a_file_the_environment_a_command_or_standard_input() {
    let data = data();
    let file = data.path().join("password");
    fs::write(&file, "from the file\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    on(&data, &["account", "add", "alice@example.test", "--password-file", file]).ok();
    assert!(verifies(&data, "from the file"));

    let directory = data.path().to_str().unwrap();
    let change = ["account", "password", "alice@example.test", "--data", directory];
    let mut command = posthouse();
    command.args(change).args(["--password-env", "SECRET"]).env("SECRET", "from the environment");
    done(&mut command).ok();
    assert!(verifies(&data, "from the environment"));

    on(&data, &["account", "password", "alice@example.test", "--password-command", "printf 'from the command\\nmore\\n'"]).ok();
    assert!(verifies(&data, "from the command"));

    let mut command = posthouse();
    command.args(change).args(["--password-file", "-"]).stdin(fs::File::open(file).unwrap());
    done(&mut command).ok();
    assert!(verifies(&data, "from the file"));
}

#[test]
fn a_password_that_cannot_be_had_changes_nothing() {
    let data = data();
    let open = data.path().join("open");
    fs::write(&open, "for everybody").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let add = |source: &[&str]| on(&data, &[&["account", "add", "alice@example.test"], source].concat());
    add(&["--password-file", open.to_str().unwrap()]).fails(77, "chmod 600");
    add(&["--password-file", "/nonexistent"]).fails(66, "/nonexistent");
    add(&["--password-env", "POSTHOUSE_TEST_VARIABLE_THAT_IS_NOT_SET"]).fails(65, "not set");
    add(&["--password-command", "echo right; exit 3"]).fails(66, "exit status: 3");
    add(&["--password-command", "true"]).fails(65, "empty");
    add(&[]).fails(64, "--password-file");
    assert_eq!(on(&data, &["account", "list"]).ok(), "");
}

#[test]
fn a_password_is_in_no_process_list_and_in_no_output() {
    let data = data();
    let file = data.path().join("password");
    fs::write(&file, "hunter2").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    // The command looks at us while we run, as any user of the machine may.
    let command = "cat /proc/$PPID/cmdline > seen; cat password";
    let added = on(&data, &["account", "add", "alice@example.test", "--password-command", command]);
    assert_eq!(added.exit, 0, "{}", added.err);
    assert!(verifies(&data, "hunter2"));
    let seen = fs::read_to_string(data.path().join("seen")).unwrap();
    assert!(seen.contains("--password-command") && !seen.contains("hunter2"), "{seen}");
    assert!(!added.out.contains("hunter2") && !added.err.contains("hunter2"));
}

#[test]
fn an_app_password_is_shown_once_and_taken_away_alone() {
    let data = data();
    on(&data, &["account", "add", "alice@example.test", "--generate"]).ok();
    let at = |words: &[&str]| on(&data, &[&["account", "app-password"], words].concat());
    let added = at(&["add", "alice@example.test", "printer", "--for", "smtp", "--expires", "365d", "--json"]).json();
    assert_eq!(added["password"].as_str().unwrap().len(), 24);
    assert_eq!((&added["login"], &added["protocols"][0]), (&"alice+printer@example.test".into(), &"smtp".into()));
    let listed = at(&["list", "alice@example.test"]).ok();
    assert!(listed.starts_with("printer: for smtp, until 20") && listed.ends_with(", never used\n"), "{listed}");
    assert!(at(&["list", "alice@example.test", "--json"]).json()[0].get("password").is_none());
    at(&["add", "alice@example.test", "printer"]).fails(65, "already");
    at(&["add", "alice@example.test", "p", "--for", "imap"]).fails(65, "there is no protocol `imap`");
    at(&["add", "alice@example.test", "P r"]).fails(65, "1 to 32 characters");
    at(&["add", "alice@example.test", "p", "--expires", "90"]).fails(65, "a duration needs its unit");
    at(&["add", "bob@example.test", "p"]).fails(67, "bob@example.test");
    assert_eq!(at(&["remove", "alice@example.test", "printer"]).ok(), "removed printer of alice@example.test\n");
    at(&["remove", "alice@example.test", "printer"]).fails(67, "no app password");
}

#[test]
fn senders_are_allowed_blocked_listed_and_forgotten() {
    let data = data();
    on(&data, &["account", "add", "alice@example.test", "--generate"]).ok();
    let at = |words: &[&str]| on(&data, &[&["account"], words].concat());
    let said = at(&["block", "alice@example.test", "Pest@A.example", "b.example"]).ok();
    assert_eq!(said, "blocked pest@a.example for alice@example.test\nblocked b.example for alice@example.test\n");
    at(&["allow", "alice@example.test", "@b.example"]).ok();
    assert_eq!(at(&["lists", "alice@example.test"]).ok(), "allow b.example\nblock pest@a.example\n");
    let json = at(&["lists", "alice@example.test", "--json"]).json();
    assert_eq!((&json[0]["sender"], &json[0]["rule"]), (&"b.example".into(), &"allow".into()));
    at(&["unlist", "alice@example.test", "b.example"]).ok();
    at(&["unlist", "alice@example.test", "b.example"]).fails(67, "no rule for `b.example`");
    at(&["block", "alice@example.test", "fine.example", "not a sender"]).fails(65, "such as alice@a.example");
    assert_eq!(at(&["lists", "alice@example.test"]).ok(), "block pest@a.example\n", "all of it or nothing");
    at(&["block", "nobody@example.test", "a.example"]).fails(67, "nobody@example.test");
}

#[test]
fn an_account_is_granted_other_names_and_they_are_taken_back() {
    let data = data();
    on(&data, &["account", "add", "alice@example.test", "--generate"]).ok();
    let at = |words: &[&str]| on(&data, &[&["account"], words].concat());
    let said = at(&["grant", "alice@example.test", "Team@example.test", "news.example"]).ok();
    assert_eq!(said, "alice@example.test may write as team@example.test\nalice@example.test may write as news.example\n");
    assert_eq!(at(&["grants", "alice@example.test"]).ok(), "news.example\nteam@example.test\n");
    at(&["revoke", "alice@example.test", "team@example.test"]).ok();
    at(&["revoke", "alice@example.test", "team@example.test"]).fails(67, "was not granted `team@example.test`");
    assert_eq!(at(&["grants", "alice@example.test", "--json"]).json(), serde_json::json!(["news.example"]));
    at(&["grant", "nobody@example.test", "a.example"]).fails(67, "nobody@example.test");
    at(&["grant", "alice@example.test", "a.example", "not a sender"]).fails(65, "such as alice@a.example");
}

#[test]
fn who_guessed_is_listed_and_forgiven() {
    let data = data();
    assert_eq!(on(&data, &["logins", "list"]).ok(), "nobody is slowed down\n");
    let directory = posthouse_directory::Directory::open(&data.path().join("directory.sqlite")).unwrap();
    posthouse_runtime::block_on(async {
        let peer = "192.0.2.7".parse().unwrap();
        while let Ok(attempt) = directory.attempt("x@example.test", posthouse_directory::Protocol::Smtp, peer) {
            attempt.ended(false).await;
        }
    })
    .unwrap();
    let listed = on(&data, &["logins", "list"]).ok();
    assert_eq!(listed, "the address 192.0.2.7: 20 wrong passwords, the next try in 72 min\n");
    assert_eq!(on(&data, &["logins", "list", "--json"]).json()[0]["kind"], "address");
    assert_eq!(on(&data, &["logins", "clear", "192.0.2.7"]).ok(), "forgotten: 1\n");
    on(&data, &["logins", "clear", "192.0.2.7"]).fails(67, "nothing went wrong");
    assert_eq!(on(&data, &["logins", "list"]).ok(), "nobody is slowed down\n");
    on(&data, &["logins", "clear", "--all"]).ok();
}
