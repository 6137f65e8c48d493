use super::*;

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        base: "dc=a".to_owned(),
        filter: filter(),
        bind_dn: None,
        bind_password: None,
        domains: Vec::new(),
        create: false,
        ca: None,
        danger_without_tls: false,
        timeout: timeout(),
        connections_max: connections_max(),
    }
}

#[test]
fn urls_are_taken_apart() {
    for (url, tls_at_once, host, port) in [
        ("ldaps://ldap.example.org", true, "ldap.example.org", 636),
        ("ldap://ldap.example.org/", false, "ldap.example.org", 389),
        ("ldap://127.0.0.1:3389", false, "127.0.0.1", 3389),
        ("ldaps://[::1]:6636", true, "::1", 6636),
        ("ldaps://[::1]", true, "::1", 636),
    ] {
        assert_eq!(settings(url).place(), Ok(Place { tls_at_once, host: host.to_owned(), port }), "{url}");
    }
    for url in
        ["", "ldapi://%2ftmp", "http://a", "ldap://", "ldap://a:b", "ldap://a:99999", "ldap://a/dc=b", "ldap://a@b", "ldap://a?x"]
    {
        assert!(settings(url).place().is_err(), "{url}");
    }
}

#[test]
fn what_would_let_anybody_in_is_refused() {
    let right = settings("ldaps://a.example");
    assert_eq!(right.check(), Ok(()));
    let key = |settings: Settings| settings.check().unwrap_err().0;
    assert_eq!(key(Settings { filter: "(objectClass=*)".to_owned(), ..right.clone() }), "filter");
    assert_eq!(key(Settings { base: String::new(), ..right.clone() }), "base");
    assert_eq!(key(Settings { bind_dn: Some("cn=a".to_owned()), ..right.clone() }), "bind-dn");
    let empty = Some(Secret::new(""));
    assert_eq!(key(Settings { bind_dn: Some("cn=a".to_owned()), bind_password: empty, ..right.clone() }), "bind-password");
    assert_eq!(key(Settings { connections_max: 0, ..right }), "connections-max");
}
