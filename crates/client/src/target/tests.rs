use super::*;

fn order(addresses: &[&str], source: Option<&str>) -> Vec<String> {
    let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let mut target = Target::new("x", addresses, Security::Plain, "me.example");
    target.sources.extend(source.map(|source| source.parse::<IpAddr>().unwrap()));
    target.in_order().iter().map(ToString::to_string).collect()
}

#[test]
fn the_families_take_turns() {
    assert_eq!(order(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"], None), ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]);
    assert_eq!(order(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], None), ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
    assert_eq!(order(&[], None), Vec::<String>::new());
}

#[test]
fn a_family_that_the_source_address_cannot_reach_is_left_out() {
    assert_eq!(order(&["[::1]:1", "1.1.1.1:1"], Some("127.0.0.1")), ["1.1.1.1:1"]);
}

#[test]
fn a_name_with_a_thousand_addresses_is_not_tried_for_days() {
    let many: Vec<String> = (0..1000).map(|n| format!("10.0.{}.{}:25", n / 250, n % 250)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(order(&many, None).len(), Target::ADDRESSES_MAX);
}
