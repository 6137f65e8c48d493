//! What is nobody's business stays here: secrets are in no log and no file of the server, and its files are its own.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use posthouse_client::{Mailer, Message, Roots};
use posthouse_runtime::block_on;

use crate::common::{Running, Site, Smtp, letter, posthouse, until};

/// Something is wrong as soon as one letter waits.
const ALARM: &str = "[alarms]\nlook-every = \"50ms\"\nqueue-letters = 1\nqueue-time = \"0s\"\n";

/// A server under a shell that says some words before it starts it; `rest` goes behind the command.
fn under(site: &Site, words: &str, rest: &str) -> Running {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("{words} exec \"$0\" serve --config \"$1\" {rest}"), env!("CARGO_BIN_EXE_posthouse")]);
    Running::of(shell.arg(site.config()), &site.config())
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() { [vec![path.clone()], files(&path)].concat() } else { vec![path] }
        })
        .collect()
}

#[test]
fn no_secret_is_in_the_log_at_its_loudest_or_in_a_file() {
    // One for each thing that has one; nearly all are used, or tried in vain, by what follows.
    let settings = "[log]\nlevel = \"trace\"\n\
        [delivery]\nsmarthost = \"smtps://relay@127.0.0.1:1\"\nsmarthost-password = \"hidden-relay\"\n\
        [alarms.webhook]\nurl = \"http://127.0.0.1:1/hidden-path\"\nsecret = \"hidden-hook\"\nauthorization = \"Bearer hidden-bearer\"\n\
        [opentelemetry]\nurl = \"http://127.0.0.1:1\"\nevery = \"50ms\"\nauthorization = \"Bearer hidden-collector\"\n\
        [[intake.http-filter]]\nname = \"web\"\nurl = \"http://127.0.0.1:1/check\"\nform = \"hook\"\nlisteners = [\"mx\"]\non-failure = \"accept\"\n\
        authorization = \"hidden-filter\"\n\
        [[dns-update]]\nzones = [\"example.test\"]\nserver = \"127.0.0.1:1\"\nkey-name = \"posthouse\"\nsecret = \"aGlkZGVuLXRzaWc=\"\n\
        [[issuer]]\nurl = \"https://127.0.0.1:1\"\naudience = \"mail\"\n\
        [issuer.introspection]\nclient-id = \"mail\"\nclient-secret = \"hidden-client\"\n";
    let site = Site::new(&["mx", "submissions", "pop3"], &format!("{ALARM}{settings}"));
    let log = site.dir.path().join("log");
    let server = under(&site, "", &format!("2> {}", log.display()));
    let address = server.address("submissions");
    let send = |password: &str, token: Option<&str>| {
        let builder = Mailer::builder(&format!("smtps://alice%40example.test@localhost:{}", address.port())).unwrap();
        let builder = builder.roots(Roots::PemFile(site.data().join("ca/ca.pem")));
        let builder = match token.map(str::to_owned) {
            None => builder.credentials("alice@example.test", password),
            Some(token) => builder.token(move || std::future::ready(Ok(token.clone()))),
        };
        let message = Message::builder().from("alice@example.test").to("friend@elsewhere.test").subject("x").text("x");
        block_on(async { builder.build().unwrap().send(&message.build().unwrap()).await.map(drop) }).unwrap()
    };
    send("secret", None).unwrap();
    send("hidden-guess", None).unwrap_err();
    send("", Some("hidden-token")).unwrap_err();
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    // Where no login is offered, and in the clear: a client that does not ask.
    smtp.command("AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABoaWRkZW4tY2xlYXI=").unwrap();
    let id = smtp.send("a@elsewhere.test", "bob@example.test", &letter("on", 10)).unwrap();
    site.wait_for("bob", id);
    let said = || fs::read_to_string(&log).unwrap();
    let tried = ["reach their collector", "could not be told", "filter=\"web\"", "an issuer of tokens"];
    until("each of them in the log", || tried.iter().all(|words| said().contains(words)).then_some(()));
    assert_eq!(server.stop().code(), Some(0));
    let mut searched = files(&site.data());
    searched.push(log.clone());
    let none = ["hidden", "aGlkZGVu", "c2VjcmV0", "GVzdABoaWRk", "\"secret\""];
    for file in searched.iter().filter(|file| file.is_file()) {
        let octets = fs::read(file).unwrap();
        for secret in none {
            let found = octets.windows(secret.len()).position(|window| window == secret.as_bytes());
            let around =
                found.map(|at| String::from_utf8_lossy(&octets[at.saturating_sub(200)..octets.len().min(at + 60)]).into_owned());
            assert_eq!(around, None, "{secret} is in {}", file.display());
        }
    }
}

#[test]
fn under_the_laxest_umask_its_files_are_still_its_own() {
    let site = Site::new(&["mx", "pop3"], &format!("[intake]\ntrusted-networks = [\"127.0.0.1/32\"]\n{ALARM}"));
    fs::remove_dir_all(site.data()).unwrap();
    let add = |words: &[&str]| {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "umask 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_posthouse")])
            .args(words)
            .arg("--config")
            .arg(site.config());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    add(&["domain", "add", "example.test"]);
    fs::write(site.dir.path().join("password"), "secret\n").unwrap();
    fs::set_permissions(site.dir.path().join("password"), fs::Permissions::from_mode(0o600)).unwrap();
    add(&["account", "add", "bob@example.test", "--password-file", site.dir.path().join("password").to_str().unwrap()]);
    let server = under(&site, "umask 0;", "");
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    smtp.send("a@elsewhere.test", "bob@example.test", &letter("on", 300_000)).unwrap();
    smtp.send("a@elsewhere.test", "b@elsewhere.test", &letter("waits", 10)).unwrap();
    until("a mailbox and an alarm", || {
        (files(&site.data().join("accounts")).len() > 2 && site.data().join("alarms.json").exists()).then_some(())
    });
    let mut kinds = 0;
    for file in files(&site.data()).iter().chain([&site.data()]) {
        let found = fs::symlink_metadata(file).unwrap();
        kinds += usize::from(found.file_type().is_socket());
        if file.ends_with("submit.sock") {
            // For every user of this machine, where an operator opens the way to it.
            continue;
        }
        // A certificate of our authority is for clients to read; nothing is for others to write, and the way in is closed.
        assert_eq!(found.permissions().mode() & 0o022, 0, "{}: {:o}", file.display(), found.permissions().mode());
    }
    assert!(kinds > 0, "there is no admin socket");
    assert_eq!(fs::metadata(site.data()).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(site.data().join("admin.sock")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_data_directory_in_which_everybody_may_write_is_refused_with_what_to_do() {
    let site = Site::new(&["mx"], "");
    fs::set_permissions(site.data(), fs::Permissions::from_mode(0o1777)).unwrap();
    let output = posthouse().arg("serve").arg("--config").arg(site.config()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("(mode 1777): chmod 700"), "{said}");
}

#[test]
fn a_link_in_the_place_of_the_admin_socket_is_neither_followed_nor_replaced() {
    let site = Site::new(&["mx"], "");
    let victim = site.dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, site.data().join("admin.sock")).unwrap();
    let output = posthouse().arg("serve").arg("--config").arg(site.config()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("admin.sock"), "{said}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}
