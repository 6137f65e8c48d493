use std::path::PathBuf;

use posthouse_config::Secret;
use posthouse_directory::TokenError;
use posthouse_dns::Zone;
use posthouse_testkit::issuer::Issuer;

use super::*;
use crate::settings::{Algorithm, Introspection};

/// An issuer, and whoever trusts it.
struct World {
    issuer: Issuer,
    settings: Settings,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (issuer, folder) = (Issuer::start(), tempfile::tempdir().unwrap());
        let ca: PathBuf = folder.path().join("ca.pem");
        std::fs::write(&ca, issuer.authority()).unwrap();
        let settings = Settings {
            url: issuer.url(),
            audience: Some("mail".to_owned()),
            scope: None,
            claim: "email".to_owned(),
            domains: Vec::new(),
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
            leeway: Period::minutes(1),
            keys: None,
            keys_fresh: Period::hours(1),
            keys_kept: Period::hours(24),
            keys_pause: Period::seconds(30),
            introspection: None,
            ca: Some(ca),
            private_addresses: true,
        };
        Self { issuer, settings, _folder: folder }
    }

    fn trusting(&self) -> Issuers {
        let resolver: Resolver = Arc::new(Zone::of("").unwrap());
        Issuers::new(std::slice::from_ref(&self.settings), &resolver).unwrap()
    }

    fn claims(&self) -> String {
        let expires = now() + 300;
        format!("{{\"iss\":\"{}\",\"aud\":\"mail\",\"exp\":{expires},\"email\":\"alice@example.org\"}}", self.issuer.url())
    }

    /// What it was asked, without what the answers are checked for elsewhere.
    fn asked(&self) -> Vec<String> {
        self.issuer.requests()
    }
}

fn check(issuers: &Issuers, token: &str) -> Result<String, TokenError> {
    posthouse_runtime::block_on(issuers.check(token)).unwrap()
}

fn words(issuers: &Issuers, token: &str) -> String {
    check(issuers, token).unwrap_or_else(|error| error.to_string())
}

#[test]
fn keys_are_fetched_once_and_a_new_one_is_found_when_a_token_has_it() {
    let mut world = World::new();
    world.settings.keys_pause = Period::seconds(0);
    world.issuer.add_key("old", "ES256");
    let issuers = world.trusting();
    assert_eq!(world.asked(), [] as [&str; 0], "nobody is asked before a token comes");
    let token = world.issuer.token("old", &world.claims());
    for _ in 0..3 {
        assert_eq!(check(&issuers, &token).unwrap(), "alice@example.org");
    }
    assert_eq!(world.asked(), ["GET /.well-known/openid-configuration", "GET /jwks"]);
    // The keys change.
    world.issuer.withdraw("old");
    world.issuer.add_key("new", "RS256");
    let newer = world.issuer.token("new", &world.claims());
    assert_eq!(check(&issuers, &newer).unwrap(), "alice@example.org");
    assert_eq!(world.asked().len(), 4);
    assert_eq!(words(&issuers, &token), "the token is signed with a key that its issuer does not publish");
}

#[test]
fn made_up_names_of_keys_do_not_make_us_knock_at_the_issuers_door() {
    let world = World::new();
    world.issuer.add_key("own", "EdDSA");
    let issuers = world.trusting();
    for kid in 0..20 {
        let forged = world.issuer.signed("own", &format!("{{\"alg\":\"EdDSA\",\"kid\":\"{kid}\"}}"), &world.claims());
        assert_eq!(words(&issuers, &forged), "the token is signed with a key that its issuer does not publish");
    }
    assert_eq!(world.asked().len(), 2, "{:?}", world.asked());
    assert!(check(&issuers, &world.issuer.token("own", &world.claims())).is_ok());
}

#[test]
fn an_issuer_that_cannot_be_reached_keeps_nobody_out_while_its_keys_are_young_enough() {
    let mut world = World::new();
    (world.settings.keys_pause, world.settings.keys_fresh) = (Period::seconds(0), Period::seconds(0));
    world.issuer.add_key("own", "EdDSA");
    let (issuers, token) = (world.trusting(), world.issuer.token("own", &world.claims()));
    assert!(check(&issuers, &token).is_ok());
    world.issuer.answer("/.well-known/openid-configuration", 503, "later");
    assert!(check(&issuers, &token).is_ok());
    // Whoever has no keys yet puts the log-in off.
    let fresh = world.trusting();
    let error = check(&fresh, &token).unwrap_err();
    assert!(matches!(error, TokenError::Unavailable(_)), "{error}");
    assert!(error.to_string().ends_with("/.well-known/openid-configuration answers with 503"), "{error}");
    world.issuer.answer_itself();
    assert!(check(&fresh, &token).is_ok());
}

#[test]
fn keys_that_are_too_old_are_not_believed_any_more() {
    let mut world = World::new();
    let zero = Period::seconds(0);
    (world.settings.keys_pause, world.settings.keys_fresh, world.settings.keys_kept) = (zero, zero, zero);
    world.issuer.add_key("own", "EdDSA");
    let (issuers, token) = (world.trusting(), world.issuer.token("own", &world.claims()));
    assert!(check(&issuers, &token).is_ok());
    world.issuer.answer("/jwks", 500, "");
    assert!(matches!(check(&issuers, &token).unwrap_err(), TokenError::Unavailable(_)));
}

#[test]
fn what_the_issuer_publishes_is_looked_at_closely() {
    let discovery = "/.well-known/openid-configuration";
    let rows = [
        (
            discovery,
            "{\"issuer\":\"https://evil.test\",\"jwks_uri\":\"https://evil.test/jwks\"}",
            "it is the document of `https://evil.test`",
        ),
        (discovery, "<html>", "expected value"),
        (discovery, "{}", "missing field `issuer`"),
        ("/jwks", "{}", "missing field `keys`"),
    ];
    for (path, body, expected) in rows {
        let world = World::new();
        world.issuer.add_key("own", "EdDSA");
        world.issuer.answer(path, 200, body);
        let said = words(&world.trusting(), &world.issuer.token("own", &world.claims()));
        assert!(said.contains(expected), "{body}: {said}");
    }
    let world = World::new();
    world.issuer.add_key("own", "EdDSA");
    world.issuer.answer("/jwks", 200, &format!("{{\"keys\":[],\"x\":\"{}\"}}", "a".repeat(200_000)));
    let said = words(&world.trusting(), &world.issuer.token("own", &world.claims()));
    assert!(said.contains("longer than"), "{said}");
}

#[test]
fn the_keys_of_an_issuer_are_not_fetched_from_inside_unless_it_may_be_there() {
    let mut world = World::new();
    world.settings.private_addresses = false;
    world.issuer.add_key("own", "EdDSA");
    let said = words(&world.trusting(), &world.issuer.token("own", &world.claims()));
    assert!(said.contains("is inside a private network"), "{said}");
    assert_eq!(world.asked(), [] as [&str; 0]);
}

#[test]
fn a_token_of_somebody_else_is_shown_to_nobody() {
    let mut world = World::new();
    world.issuer.add_key("own", "EdDSA");
    world.settings.introspection =
        Some(Introspection { url: None, client_id: "posthouse".to_owned(), client_secret: Secret::new("s") });
    let stranger = world.issuer.token("own", "{\"iss\":\"https://elsewhere.test\",\"exp\":9999999999}");
    assert_eq!(words(&world.trusting(), &stranger), "the token is of no issuer that is trusted here");
    assert_eq!(world.asked(), [] as [&str; 0]);
}

#[test]
fn a_token_that_says_nothing_is_the_issuers_to_explain() {
    let mut world = World::new();
    let (client_id, client_secret) = ("post house".to_owned(), Secret::new("a:b&c"));
    world.settings.introspection = Some(Introspection { url: None, client_id, client_secret });
    world.issuer.answer("/introspect", 200, "{\"active\":true,\"aud\":\"mail\",\"email\":\"bob@example.org\"}");
    let issuers = world.trusting();
    assert_eq!(check(&issuers, "opaque/+=").unwrap(), "bob@example.org");
    // `post%20house:a%3Ab%26c` in base64.
    let question = "POST /introspect Basic cG9zdCUyMGhvdXNlOmElM0FiJTI2Yw== token=opaque%2F%2B%3D&token_type_hint=access_token";
    assert_eq!(world.asked(), ["GET /.well-known/openid-configuration", question]);
    world.issuer.answer("/introspect", 200, "{\"active\":false}");
    assert_eq!(words(&issuers, "opaque"), "its issuer does not know the token, or no more");
    for (status, body) in [(401, "{}"), (200, "{}"), (200, "{\"active\":\"true\"}"), (302, "")] {
        world.issuer.answer("/introspect", status, body);
        assert!(matches!(check(&issuers, "opaque").unwrap_err(), TokenError::Unavailable(_)), "{status} {body}");
    }
}
