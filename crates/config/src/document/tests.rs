use super::*;

const TEXT: &str = r#"hostname = "h"
[dns]
servers = ["a", "b"]
[[listener]]
kind = "mx"
[[listener]]
kind = "pop3"
[delivery.tls]
min = "1.2"
"#;

fn path(of: &str) -> String {
    path_at(TEXT, TEXT.find(of).unwrap()).join(".")
}

#[test]
fn a_place_knows_the_keys_above_it() {
    assert_eq!(path("\"h\""), "hostname");
    assert_eq!(path("servers"), "dns.servers");
    assert_eq!(path("\"b\""), "dns.servers.1");
    assert_eq!(path("\"pop3\""), "listener.1.kind");
    assert_eq!(path("\"1.2\""), "delivery.tls.min");
}

#[test]
fn a_path_leads_to_its_value_or_the_nearest_table() {
    let at = |path: &str| span_of(TEXT, path).map(|span| &TEXT[span]);
    assert_eq!(at("dns.servers.1"), Some("\"b\""));
    assert_eq!(at("listener.1.kind"), Some("\"pop3\""));
    assert!(at("listener.1.address").unwrap().starts_with("[[listener]]"));
    assert_eq!(at("nothing"), None);
    assert_eq!(span_of("not toml", "a"), None);
}
