use super::*;

fn read(text: &str) -> Result<ServerUrl, UrlError> {
    text.parse()
}

#[test]
fn every_form_is_read_and_written_back() {
    let rows = [
        ("smtp://mx.example", "mx.example", 25, None, "smtp://mx.example:25"),
        ("SMTPS://mx.example/", "mx.example", 465, None, "smtps://mx.example:465"),
        ("smtp+starttls://a@mx.example", "mx.example", 587, Some("a"), "smtp+starttls://a@mx.example:587"),
        ("smtps://a@x.example@mx.example:1", "mx.example", 1, Some("a@x.example"), "smtps://a@x.example@mx.example:1"),
        ("smtps://a%40x%3A%25@mx.example", "mx.example", 465, Some("a@x:%"), "smtps://a@x%3A%25@mx.example:465"),
        ("smtp://127.0.0.1:2525", "[127.0.0.1]", 2525, None, "smtp://127.0.0.1:2525"),
        ("smtp://[::1]", "[IPv6:::1]", 25, None, "smtp://[::1]:25"),
        ("lmtp://[::1]:24", "[IPv6:::1]", 24, None, "lmtp://[::1]:24"),
    ];
    for (text, host, port, user, shown) in rows {
        let url = read(text).unwrap();
        assert_eq!((url.host(), url.port(), url.user()), (host, port, user), "{text}");
        assert_eq!(url.to_string(), shown);
        assert_eq!(read(shown).unwrap(), url);
    }
}

#[test]
fn a_password_in_the_url_is_refused() {
    assert_eq!(read("smtps://user:secret@mx.example"), Err(UrlError::Password));
    assert!(!UrlError::Password.to_string().contains("secret"));
}

#[test]
fn what_is_not_a_server_is_refused() {
    for bad in ["", "mx.example", "mx.example:25", "http://mx.example", "smtp:/mx.example", "smtp+tls://x"] {
        assert_eq!(read(bad), Err(UrlError::Scheme), "{bad}");
    }
    for bad in [
        "smtp://",
        "smtp://[::1",
        "smtp://[::1]x",
        "smtp://[mx.example]",
        "smtp://a b",
        "smtp://-x",
        "smtp://x\r\ny",
        "smtp://:25",
    ] {
        assert!(matches!(read(bad), Err(UrlError::Host(_))), "{bad}");
    }
    for bad in ["smtp://x:0", "smtp://x:65536", "smtp://x:", "smtp://x:+1", "smtp://x:25:25", "smtp://::1"] {
        assert!(matches!(read(bad), Err(UrlError::Port(_) | UrlError::Host(_))), "{bad}");
    }
    for bad in ["smtp://@x", "smtp://%@x", "smtp://%zz@x", "smtp://%ff@x", "smtp://%0d%0a@x"] {
        assert_eq!(read(bad), Err(UrlError::User), "{bad}");
    }
    for bad in ["smtp://x/y", "smtp://x?y", "smtp://x#y"] {
        assert_eq!(read(bad), Err(UrlError::Path), "{bad}");
    }
    assert_eq!(read(&format!("smtp://{}", "a".repeat(2000))), Err(UrlError::Scheme));
}

#[test]
fn a_plain_server_can_be_protected_and_a_protected_one_stays_what_it_is() {
    let url = |text: &str| read(text).unwrap();
    assert_eq!(url("smtp://a@x.test").with_starttls().to_string(), "smtp+starttls://a@x.test:25");
    assert_eq!(url("smtp://x.test").with_implicit_tls().to_string(), "smtps://x.test:465");
    assert_eq!(url("smtp://x.test:2525").with_implicit_tls().to_string(), "smtps://x.test:2525");
    assert_eq!(url("smtps://x.test").with_starttls(), url("smtps://x.test"));
    assert_eq!(url("smtp://x.test").with_port(587).with_user("a:b").to_string(), "smtp://a%3Ab@x.test:587");
}
