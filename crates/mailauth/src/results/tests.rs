use posthouse_dns::Zone;
use posthouse_mail::header::Header;
use posthouse_runtime::block_on;

use super::*;
use crate::{Examination, iprev, spf};

fn ours() -> Domain {
    "mx.here.test".parse().unwrap()
}

#[test]
fn a_field_that_claims_our_name_is_known_however_it_is_written() {
    for field in [
        "mx.here.test; spf=pass",
        "MX.Here.TEST; spf=pass",
        "mx.here.test 1; spf=pass",
        "mx.here.test\t1 ; spf=pass",
        "mx.here.test/1; spf=pass",
        "\"mx.here.test\"; spf=pass",
        "\"mx\\.here.test\"; spf=pass",
        "(a (nested) \\) comment) mx.here.test (other) 1 (x); spf=pass",
        "mx(c).here(c).test; spf=pass",
        "mx.here.test.; spf=pass",
        "mx.here.test",
        "mx.here.test (unclosed; spf=pass",
        "\"mx.here.test; spf=pass",
        "((((((((((((((((((((((((((((((((((((((((( mx.here.test; spf=pass",
        "mx.\u{1}here.test; spf=pass",
    ] {
        assert!(is_from(field, &ours()), "{field:?}");
    }
    for field in [
        "mx.there.test; spf=pass smtp.mailfrom=mx.here.test",
        "other.mx.here.test; none",
        "mx.here.test.example; none",
        "xmx.here.test; none",
        "(mx.here.test) mx.there.test; none",
        "",
    ] {
        assert!(!is_from(field, &ours()), "{field:?}");
    }
}

#[test]
fn our_field_says_what_was_found_and_strangers_cannot_add_to_it() {
    let block = "From: a@a.test\r\nDKIM-Signature: v=1; a=rsa-sha256; d=\"x; spf=pass; s=(; h=from; bh=AAAA; b=BBBB\r\n";
    let zone = Zone::master("a.test. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.a.test. TXT \"v=DMARC1; p=reject\"").unwrap();
    let ip = "192.0.2.1".parse().unwrap();
    let evil = "\"a;\r\n spf=pass\"@a.test";
    let question = spf::Question { ip, helo: "h", mail_from: evil, receiver: "mx.here.test", now: 0 };
    let field = block_on(async {
        let spf = spf::check(&zone, question).await;
        let iprev = iprev::check(&zone, ip).await;
        let verdicts = Examination::new(Header::parse(block.as_bytes()).unwrap(), 0).finish(&zone, spf, iprev).await;
        authentication_results(&ours(), &verdicts, evil, "h", ip)
    })
    .unwrap();
    assert!(Header::parse(field.as_bytes()).unwrap().fields().count() == 1, "{field}");
    assert!(field.contains("smtp.mailfrom=\"\\\"a;?? spf=pass\\\"@a.test\""), "{field}");
    assert!(field.contains("dmarc=pass\r\n\t (SPF passed for a.test or a domain of the same organization)"), "{field}");
    assert!(field.ends_with("iprev=permerror policy.iprev=192.0.2.1\r\n"), "{field}");
    assert_eq!(field.matches("\r\n\tspf=").count(), 1, "{field}");
}
