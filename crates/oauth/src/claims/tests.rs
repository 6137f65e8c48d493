use super::*;

const NOW: i64 = 1_800_000_000;

fn settings(more: &str) -> Settings {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct File {
        issuer: Settings,
    }
    let text = format!("[issuer]\nurl = \"https://id.test/realm\"\naudience = \"mail\"\n{more}");
    posthouse_config::parse::<File>(&text, "test.toml").unwrap().issuer
}

fn said(json: &str, settings: &Settings, origin: Origin) -> String {
    let claims: Claims = serde_json::from_str(json).unwrap();
    login(&claims, settings, origin, NOW).unwrap_or_else(|fault| fault.to_string())
}

/// A token that is taken, with one member replaced or added; `null` takes it away.
fn with(name: &str, value: &str) -> String {
    let mut claims: Claims = serde_json::from_str(
        "{\"iss\":\"https://id.test/realm\",\"aud\":\"mail\",\"exp\":1800000300,\"email\":\"alice@example.org\"}",
    )
    .unwrap();
    match value {
        "null" => drop(claims.remove(name)),
        value => drop(claims.insert(name.to_owned(), serde_json::from_str(value).unwrap())),
    }
    serde_json::to_string(&claims).unwrap()
}

#[test]
fn each_claim_must_be_right() {
    let rows = [
        ("sub", "\"1\"", "alice@example.org"),
        ("iss", "\"https://id.test/realm/\"", "the token is of another issuer"),
        ("iss", "\"https://evil.test\"", "the token is of another issuer"),
        ("iss", "[\"https://id.test/realm\"]", "the token is of another issuer"),
        ("iss", "null", "the token is of another issuer"),
        ("aud", "[\"web\",\"mail\"]", "alice@example.org"),
        ("aud", "\"mail2\"", "the token is not for us, by its audience"),
        ("aud", "[\"web\"]", "the token is not for us, by its audience"),
        ("aud", "[]", "the token is not for us, by its audience"),
        ("aud", "{\"mail\":true}", "the token is not for us, by its audience"),
        ("aud", "null", "the token is not for us, by its audience"),
        ("exp", "null", "the token does not say when it expires"),
        ("exp", "1799999941", "alice@example.org"),
        ("exp", "1799999940", "the token has expired"),
        ("exp", "1799999941.9", "alice@example.org"),
        ("exp", "-1", "the token has expired"),
        ("exp", "9223372036854775807", "alice@example.org"),
        ("exp", "1e300", "alice@example.org"),
        ("exp", "\"1800000300\"", "the token has an `exp` that is no time"),
        ("nbf", "1800000060", "alice@example.org"),
        ("nbf", "1800000061", "the token is not yet valid"),
        ("iat", "1800000061", "the token is from the future: look at the clocks"),
        ("email", "null", "the token has no `email` that is a text"),
        ("email", "[\"alice@example.org\"]", "the token has no `email` that is a text"),
        ("email", "\"\"", "the token has no `email` that is a text"),
        ("email", "\"alice\"", "the token has a `email` without a domain, and none is configured"),
        ("email", "\"a b@example.org\"", "the token has a `email` that is no address"),
        ("email", "\"alice@example.org\\r\\n\"", "the token has a `email` that is no address"),
        ("email_verified", "true", "alice@example.org"),
        ("email_verified", "\"true\"", "alice@example.org"),
        ("email_verified", "false", "the token has an address that its issuer has not verified"),
        ("email_verified", "\"false\"", "the token has an address that its issuer has not verified"),
        ("email_verified", "1", "the token has an address that its issuer has not verified"),
    ];
    for (name, value, expected) in rows {
        assert_eq!(said(&with(name, value), &settings(""), Origin::Token), expected, "{name}: {value}");
    }
}

#[test]
fn a_scope_that_is_asked_for_must_be_there_whole() {
    let settings = settings("scope = \"mail.send mail.read\"\n");
    let rows = [
        ("scope", "\"openid mail.read mail.send\"", "alice@example.org"),
        ("scp", "[\"mail.read\",\"mail.send\"]", "alice@example.org"),
        ("scp", "\"mail.read mail.send\"", "alice@example.org"),
        ("scope", "\"mail.read\"", "the token lacks the scope `mail.send`"),
        ("scope", "\"mail.read mail.sender\"", "the token lacks the scope `mail.send`"),
        ("scope", "7", "the token lacks the scope `mail.send`"),
        ("sub", "\"1\"", "the token lacks the scope `mail.send`"),
    ];
    for (name, value, expected) in rows {
        assert_eq!(said(&with(name, value), &settings, Origin::Token), expected, "{name}: {value}");
    }
}

#[test]
fn an_issuer_speaks_for_its_domains_alone() {
    let settings = settings("claim = \"preferred_username\"\ndomains = [\"example.org\", \"example.net\"]\n");
    let rows = [
        ("\"alice\"", "alice@example.org"),
        ("\"alice@EXAMPLE.net\"", "alice@EXAMPLE.net"),
        ("\"alice@example.com\"", "the token names an account in example.com, for which its issuer does not speak"),
        ("\"alice@sub.example.org\"", "the token names an account in sub.example.org, for which its issuer does not speak"),
    ];
    for (value, expected) in rows {
        assert_eq!(said(&with("preferred_username", value), &settings, Origin::Token), expected, "{value}");
    }
}

#[test]
fn the_issuers_own_word_may_leave_out_what_it_says_by_being_given() {
    let more = "[issuer.introspection]\nclient-id = \"mail\"\nclient-secret = \"secret\"\n";
    let asked = settings(more);
    let bare = "{\"active\":true,\"email\":\"alice@example.org\"";
    assert_eq!(said(&format!("{bare},\"aud\":\"mail\"}}"), &asked, Origin::Introspection), "alice@example.org");
    let wrong = [("aud", "\"web\""), ("iss", "\"https://evil.test\""), ("exp", "1"), ("nbf", "1900000000")];
    for (name, value) in wrong {
        let said = said(&with(name, value), &asked, Origin::Introspection);
        assert!(said.starts_with("the token "), "{name}: {said}");
    }
    assert_eq!(said(&format!("{bare}}}"), &asked, Origin::Introspection), "the token is not for us, by its audience");
    assert_eq!(said(&format!("{bare}}}"), &Settings { audience: None, ..asked }, Origin::Introspection), "alice@example.org");
}
