use super::*;

#[test]
fn the_first_message_is_taken_apart() {
    let first = client_first("p=tls-exporter,a=b=3Dc,n=us=2Cer,r=abc,x=y").unwrap();
    assert_eq!(first.flag, Flag::Used("tls-exporter"));
    assert_eq!(first.authzid.as_deref(), Some("b=c"));
    assert_eq!(first.gs2_header, "p=tls-exporter,a=b=3Dc,");
    assert_eq!((first.login.as_str(), first.nonce), ("us,er", "abc"));
    assert_eq!(first.bare, "n=us=2Cer,r=abc,x=y");
}

#[test]
fn what_the_grammar_does_not_allow_is_refused() {
    let firsts = [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=user",
        "n,,r=abc,n=user",
        "n,,n=,r=abc",
        "n,,n=user,r=",
        "n,,n=us=2cer,r=abc",
        "n,,n=us=er,r=abc",
        "n,,n=user=,r=abc",
        "n,,m=x,n=user,r=abc",
        "n,,n=user,r=abc,m=x",
        "n,,n=user,r=abc,",
        "n,,n=user,r=abc,xx=y",
        "n,,n=user,r=a\u{e9}",
        "n,,n=user,r=a b",
        "n,,n=us\0er,r=abc",
        "n,b=x,n=user,r=abc",
        "n,a=,n=user,r=abc",
        "p=,,n=user,r=abc",
        "q,,n=user,r=abc",
        "N,,n=user,r=abc",
    ];
    for bad in firsts {
        assert!(client_first(bad).is_none(), "{bad:?}");
    }
    let proof = STANDARD.encode([0; 32]);
    for bad in ["", ",p=", "c=biws,r=abc", "c=biws,p=AAAA", "r=abc,c=biws", "c=?,r=abc", "c=biws,r=abc,m=x"] {
        assert!(client_final(&format!("{bad},p={proof}")).is_none() || bad == "c=biws,r=abc", "{bad:?}");
    }
    for bad in ["AAA", "A", "?"] {
        assert!(client_final(&format!("c=biws,r=abc,p={bad}")).is_none(), "{bad:?}");
    }
    for bad in
        ["r=abc,s=AAAA", "r=abc,s=AAAA,i=", "r=abc,s=AAAA,i=+4096", "r=abc,s=AAAA,i=04096", "r=abc,s=?,i=4096", "s=AAAA,r=a,i=1"]
    {
        assert!(server_first(bad).is_none(), "{bad:?}");
    }
    assert!(server_first("r=abc,s=AAAA,i=99999999999").is_none());
}

#[test]
fn an_overlong_nonce_is_refused() {
    let long = "a".repeat(2 * NONCE_BYTES_MAX + 1);
    assert!(client_first(&format!("n,,n=user,r={long}")).is_none());
    assert!(client_first(&format!("n,,n=user,r={}", &long[1..])).is_some());
}

#[test]
fn names_are_escaped_both_ways() {
    let name = "a=,=2C,b";
    assert_eq!(decode_name(&encode_name(name)).as_deref(), Some(name));
}
