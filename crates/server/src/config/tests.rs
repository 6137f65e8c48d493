use super::*;

const GOOD: &str = r#"
hostname = "mail.example.org"
data = "data"

[[listener]]
kind = "mx"
address = "127.0.0.1:2525"

[[listener]]
kind = "submission"
address = "[::1]:2587"

[[tls.certificate]]
cert = "mail.pem"
key = "/etc/keys/mail.key"

[log]
level = "debug"
"#;

fn load(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("posthouse.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path).map(|mut config| {
        // Where the directory was does not matter to anybody here.
        let strip = |path: &Path| path.strip_prefix(dir.path()).unwrap_or(path).to_owned();
        config.data = strip(&config.data);
        for files in &mut config.tls.certificate {
            (files.cert, files.key) = (strip(&files.cert), strip(&files.key));
        }
        config
    })
}

fn refused(text: &str) -> String {
    load(text).unwrap_err().to_string()
}

#[test]
fn a_small_file_is_enough_and_relative_paths_start_at_it() {
    let config = load(GOOD).unwrap();
    assert_eq!(config.data, Path::new("data"));
    assert_eq!(config.tls.certificate[0].cert, Path::new("mail.pem"));
    assert_eq!(config.tls.certificate[0].key, Path::new("/etc/keys/mail.key"));
    assert_eq!(config.listener[1].kind.to_string(), "submission");
    assert_eq!(config.log.level, log::Level::Debug);
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let said = refused(&GOOD.replace("hostname", "hostnam"));
    assert!(said.contains("hostname") && said.contains("posthouse.toml:2"), "{said}");
}

#[test]
fn a_kind_that_is_none_names_those_there_are() {
    let said = refused(&GOOD.replace("\"mx\"", "\"smtp\""));
    assert!(said.contains("submissions") && said.contains(":6"), "{said}");
}

#[test]
fn a_hostname_that_is_none_is_shown() {
    let said = refused(&GOOD.replace("mail.example.org", "mail example"));
    assert!(said.contains("posthouse.toml:2") && said.contains("mail example"), "{said}");
}

#[test]
fn two_listeners_on_one_address_are_shown_at_the_second() {
    let said = refused(&GOOD.replace("[::1]:2587", "127.0.0.1:2525"));
    assert!(said.contains("two listeners have the address 127.0.0.1:2525") && said.contains(":11"), "{said}");
}

#[test]
fn a_server_without_listeners_is_refused() {
    let said = refused("hostname = \"a.test\"\ndata = \"d\"\nlistener = []\n");
    assert!(said.contains("there is no listener"), "{said}");
}

#[test]
fn every_url_leads_to_its_port() {
    for (url, expected) in [
        ("http://127.0.0.1:4318", Some(4318)),
        ("https://chat.example.org/hooks/x:1", Some(443)),
        ("http://[::1]/check", Some(80)),
        ("https://[::1]:14000/dir", Some(14_000)),
        ("smtp+starttls://user:pass@relay.example.org", Some(587)),
        ("smtp+starttls://user%40x@relay.example.org:2587", Some(2587)),
        ("smtps://relay.example.org", Some(465)),
        ("smtp://relay.example.org", Some(25)),
        ("ftp://x", None),
        ("nothing", None),
    ] {
        assert_eq!(super::port(url), expected, "{url}");
    }
}
