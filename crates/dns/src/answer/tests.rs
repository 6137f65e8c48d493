use super::*;

#[test]
fn two_families_are_one_answer() {
    let some = |text: &str| Ok(Answer { value: vec![text.parse().unwrap()], authenticated: true, alias: None });
    let trouble = DnsError::Temporary("x".into());
    let (v6, v4) = ("2001:db8::1", "192.0.2.1");
    for (case, first, second, expected) in [
        ("both", some(v6), some(v4), Ok(2)),
        ("one is enough", some(v6), Err(DnsError::NoData), Ok(1)),
        ("one is enough beside trouble", Err(trouble.clone()), some(v4), Ok(1)),
        ("trouble leaves it open", Err(DnsError::NoData), Err(trouble.clone()), Err(trouble.clone())),
        ("trouble leaves it open, denied or not", Err(trouble.clone()), Err(DnsError::NoSuchDomain), Err(trouble.clone())),
        ("one family denies the name", Err(DnsError::NoSuchDomain), Err(DnsError::NoData), Err(DnsError::NoData)),
        ("neither", Err(DnsError::NoSuchDomain), Err(DnsError::NoSuchDomain), Err(DnsError::NoSuchDomain)),
    ] {
        assert_eq!(both(first, second).map(|answer| answer.value.len()), expected, "{case}");
    }
    let half = both(some(v6), Ok(Answer { value: vec![v4.parse().unwrap()], authenticated: false, alias: None })).unwrap();
    assert!(!half.authenticated, "half an authenticated answer is none");
}
