use super::*;

const KEY: &[u8] = b"a key of this test";

fn redacted(text: &str) -> String {
    Redaction::new(KEY).redacted(text, "a.test")
}

#[test]
fn no_local_part_of_others_is_left_however_it_is_written() {
    for (text, secret) in [
        ("To: Bob <bob@b.test>", "bob@"),
        ("To: bob@b.test, carol@c.test", "carol"),
        ("Received: from x by y for <bob@b.test>; Thu", "<bob"),
        ("To: \"bob the builder\"@b.test", "builder"),
        ("To: bob@[192.0.2.1]", "bob"),
        ("From: bounce+bob=b.test@list.test", "bob"),
        ("List-Unsubscribe: <https://list.test/u?who=bob%40b.test>", "bob"),
        ("X: a.test@b.test", "a.test@"),
        ("X: bob@b.test@c.test", "bob"),
        ("X: bob@nota.test", "bob"),
    ] {
        let told = redacted(text);
        assert!(!told.contains(secret), "{text}: {told}");
        assert_eq!(told.split_once(':').unwrap().0, text.split_once(':').unwrap().0);
    }
}

#[test]
fn what_is_the_domains_own_and_what_is_no_address_stays() {
    for text in [
        "From: Alice <alice@a.test>",
        "From: alice@News.A.test",
        "Subject: meet me @ noon",
        "dkim=fail header.i=@b.test",
        "Subject: x@",
        "@",
        "",
        "%40",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn the_same_address_has_the_same_code_and_another_key_another() {
    let told = redacted("bob@B.test bob@b.test rob@b.test bob@c.test");
    let codes: Vec<_> = told.split(' ').map(|one| one.split_once('@').unwrap().0).collect();
    assert_eq!((codes[0], codes[0].len()), (codes[1], CODE_CHARS));
    assert!(codes[2] != codes[0] && codes[3] != codes[0]);
    assert_ne!(Redaction::new(b"another").redacted("bob@b.test", "a.test"), redacted("bob@b.test"));
    let property = redacted("spf=fail smtp.mailfrom=bob@b.test");
    assert!(property.starts_with("spf=fail smtp.mailfrom=") && !property.contains("bob"), "{property}");
}
