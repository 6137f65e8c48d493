use posthouse_testkit::issuer::Issuer;

use super::*;

const ALL: [Algorithm; 5] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::Es384, Algorithm::EdDsa];
const CLAIMS: &str = "{\"iss\":\"https://id.test\",\"sub\":\"1\"}";

fn keys(jwks: &[&str]) -> Vec<Key> {
    Key::set(format!("{{\"keys\":[{}]}}", jwks.join(",")).as_bytes()).unwrap()
}

fn words(token: &str, keys: &[Key]) -> String {
    match Jwt::read(token).and_then(|jwt| jwt.verify(keys, &ALL).cloned()) {
        Ok(_) => "it is taken".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn a_token_of_each_kind_of_key_is_verified_and_one_octet_more_or_less_is_not() {
    let issuer = Issuer::start();
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let jwk = issuer.add_key(algorithm, algorithm);
        let (keys, token) = (keys(&[&jwk]), issuer.token(algorithm, CLAIMS));
        let jwt = Jwt::read(&token).unwrap();
        assert_eq!(jwt.verify(&keys, &ALL).unwrap()["sub"], "1");
        assert_eq!(jwt.issuer(), Some("https://id.test"));
        // Another payload under the same signature.
        let mut parts: Vec<&str> = token.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(CLAIMS.replace("\"1\"", "\"2\""));
        parts[1] = &other;
        assert_eq!(words(&parts.join("."), &keys), "the token's signature is not that of its issuer", "{algorithm}");
        for signature in [String::new(), URL_SAFE_NO_PAD.encode([0; 64]), URL_SAFE_NO_PAD.encode([0; 256])] {
            let forged = format!("{}.{signature}", token.rsplit_once('.').unwrap().0);
            assert_eq!(words(&forged, &keys), "the token's signature is not that of its issuer", "{algorithm}");
        }
    }
}

#[test]
fn no_token_chooses_how_it_is_verified() {
    let issuer = Issuer::start();
    let (rsa, curve) = (issuer.add_key("rsa", "RS256"), issuer.add_key("curve", "ES256"));
    let keys = keys(&[&rsa, &curve]);
    let rows = [
        ("{\"alg\":\"none\"}", "the token's algorithm `none` is not allowed"),
        ("{\"alg\":\"None\"}", "the token's algorithm `None` is not allowed"),
        // A public key as the shared secret.
        ("{\"alg\":\"HS256\",\"kid\":\"rsa\"}", "the token's algorithm `HS256` is not allowed"),
        // One that is known, and that the operator does not allow.
        ("{\"alg\":\"RS512\",\"kid\":\"rsa\"}", "the token's algorithm `RS512` is not allowed"),
        // An algorithm of another kind of key.
        ("{\"alg\":\"ES256\",\"kid\":\"rsa\"}", "the token is signed with a key that its issuer does not publish"),
        ("{\"alg\":\"RS256\",\"kid\":\"curve\"}", "the token is signed with a key that its issuer does not publish"),
        // The same key with another padding.
        ("{\"alg\":\"PS256\",\"kid\":\"rsa\"}", "the token's signature is not that of its issuer"),
        ("{\"alg\":\"RS256\",\"kid\":\"../rsa\"}", "the token is signed with a key that its issuer does not publish"),
        // A key that the token brings with it is not looked at.
        (
            "{\"alg\":\"EdDSA\",\"jwk\":{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}}",
            "the token is signed with a key that its issuer does not publish",
        ),
        ("{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"]}", "the token's header has extensions that must be understood"),
        (
            "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"logout+jwt\"}",
            "the token's type is `logout+jwt`, and not that of an access token",
        ),
        ("{\"alg\":\"RS256\",\"alg\":\"RS256\"}", "it is no signed JWT: a part is no JSON object of its kind"),
        ("{\"kid\":\"rsa\"}", "it is no signed JWT: a part is no JSON object of its kind"),
        ("{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"JWT\",\"jku\":\"https://evil.test\"}", "it is taken"),
        // Without a name of a key each that fits is tried.
        ("{\"alg\":\"RS256\"}", "it is taken"),
    ];
    for (header, expected) in rows {
        assert_eq!(words(&issuer.signed("rsa", header, CLAIMS), &keys), expected, "{header}");
    }
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode("{\"alg\":\"none\"}"), URL_SAFE_NO_PAD.encode(CLAIMS));
    assert_eq!(words(&unsigned, &keys), "the token's algorithm `none` is not allowed");
}

#[test]
fn what_is_no_jwt_is_none() {
    for token in
        ["", ".", "..", "...", "a.b", "a.b.c.d", "e30.e30.e30.e30.e30", "e30.e30", "e30=.e30.e30", "e30.W10.e30", "!.e30.e30"]
    {
        assert!(Jwt::read(token).is_err(), "{token}");
    }
    let deep = URL_SAFE_NO_PAD.encode(format!("{{\"a\":{}}}", "[".repeat(4000)));
    assert!(Jwt::read(&format!("{}.{deep}.e30", URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\"}"))).is_err());
}

#[test]
fn a_set_has_only_keys_that_verify_signatures() {
    let issuer = Issuer::start();
    let good = issuer.add_key("good", "ES256");
    let bad = [
        good.replace("\"use\":\"sig\"", "\"use\":\"enc\""),
        good.replace("\"use\":\"sig\"", "\"key_ops\":[\"sign\"]"),
        good.replace("\"use\":\"sig\"", "\"alg\":\"ECDH-ES\""),
        good.replace("P-256", "P-384"),
        good.replace("P-256", "secp256k1"),
        good.replace("\"x\":\"", "\"x\":\"AAAA"),
        "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}".to_owned(),
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}".to_owned(),
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"\"}".to_owned(),
        "{\"kty\":7}".to_owned(),
        "[]".to_owned(),
    ];
    for jwk in &bad {
        assert_eq!(keys(&[jwk]), [], "{jwk}");
    }
    let mut all: Vec<&str> = bad.iter().map(String::as_str).collect();
    all.push(&good);
    assert_eq!(keys(&all).len(), 1);
    // An RSA key that is too short verifies nothing.
    let short = keys(&["{\"kty\":\"RSA\",\"n\":\"wqzV\",\"e\":\"AQAB\"}"]);
    assert_eq!(
        words(&issuer.signed("good", "{\"alg\":\"RS256\"}", CLAIMS), &short),
        "the token is signed with a key that its issuer does not publish"
    );
    assert!(Key::set(b"{}").is_err());
    assert!(Key::set(b"<html>").is_err());
}
