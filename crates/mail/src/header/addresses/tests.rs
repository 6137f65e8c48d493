use super::*;

fn read(value: &str) -> Vec<String> {
    address_list(value).unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn lists_are_read_in_all_their_forms() {
    for (value, expected) in [
        ("", vec![]),
        ("a@x.test", vec!["a@x.test"]),
        (" <a@x.test> ", vec!["a@x.test"]),
        ("Alice <a@x.test>, b@y.test", vec!["a@x.test", "b@y.test"]),
        ("\"Liddell, Alice\" <a@x.test>", vec!["a@x.test"]),
        ("a@x.test (Alice (of \\) course))", vec!["a@x.test"]),
        ("team: a@x.test, Bob <b@y.test>;, c@z.test", vec!["a@x.test", "b@y.test", "c@z.test"]),
        ("undisclosed-recipients:;", vec![]),
        ("=?utf-8?q?x=40evil.test?= <a@x.test>", vec!["a@x.test"]),
        ("\"a b\"@x.test", vec!["\"a b\"@x.test"]),
    ] {
        assert_eq!(read(value), expected, "{value}");
    }
}

#[test]
fn an_address_in_a_display_name_is_not_taken_for_the_address() {
    assert_eq!(read("\"evil@evil.test\" <a@x.test>"), ["a@x.test"]);
    assert_eq!(read("evil@evil.test <a@x.test>"), ["a@x.test"]);
    assert_eq!(read("\"a@evil.test x\"@x.test"), ["\"a@evil.test x\"@x.test"]);
}

#[test]
fn every_address_is_seen_where_software_differs() {
    assert_eq!(read("<a@x.test> b@y.test"), ["a@x.test", "b@y.test"]);
    for value in ["<a@x.test", "a@x.test>", "<<a@x.test>>", "<a@x.test><b@y.test>", "\"a@x.test", "(a@x.test", "a)@x.test"] {
        assert_eq!(address_list(value), Err(AddressListError::Unbalanced), "{value}");
    }
    for value in ["Alice", "a(x)b@x.test", "a@x(y).test", "a@evil.test(x)b@x.test", "a@x.test b@y.test", "a @x.test"] {
        assert!(matches!(address_list(value), Err(AddressListError::Address { .. })), "{value}");
    }
}

#[test]
fn nesting_and_number_are_bounded() {
    assert_eq!(address_list(&"(".repeat(100_000)), Err(AddressListError::TooDeep));
    assert_eq!(address_list(&"a@x.test,".repeat(1001)), Err(AddressListError::TooMany));
    assert_eq!(read(&"g:".repeat(100_000)), Vec::<String>::new());
}
