//! The numbers for Prometheus.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::common::{Site, Smtp, letter};

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The value on the line that begins with `name`.
fn value(text: &str, name: &str) -> u64 {
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.parse().unwrap()
}

#[test]
fn what_happens_is_counted_and_told_in_the_form_that_prometheus_reads() {
    let site = Site::new(&["mx", "metrics"], "");
    let server = site.start();
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    let id = smtp.send("sender@elsewhere.test", "bob@example.test", &letter("counted", 1000)).unwrap();
    assert!(smtp.send("sender@elsewhere.test", "nosuch@example.test", "").is_err());
    site.wait_for("bob", id);
    let text = get(server.address("metrics"), "/metrics");
    assert!(text.starts_with("HTTP/1.1 200 ") && text.contains("text/plain; version=0.0.4"), "{text}");
    assert_eq!(value(&text, "posthouse_letters_accepted_total{listener=\"mx\"}"), 1);
    assert_eq!(value(&text, "posthouse_refusals_total{stage=\"recipient\"}"), 1);
    assert_eq!(value(&text, "posthouse_stored_total"), 1);
    assert_eq!(value(&text, "posthouse_taking_mail"), 1);
    assert_eq!(value(&text, "posthouse_connections_open{protocol=\"smtp\"}"), 1);
    assert!(value(&text, "posthouse_octets_accepted_total") > 1000);
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let mut named = "";
    for line in body.lines() {
        // Each family has its HELP and TYPE before its lines, and no line is of another.
        match line.strip_prefix("# HELP ").or(line.strip_prefix("# TYPE ")) {
            Some(told) => named = told.split(' ').next().unwrap(),
            None => assert!(line.starts_with(named) && line[named.len()..].starts_with(['{', ' ']), "{line} below {named}"),
        }
    }
    assert!(get(server.address("metrics"), "/").starts_with("HTTP/1.1 404 "));
    server.stop();
}
