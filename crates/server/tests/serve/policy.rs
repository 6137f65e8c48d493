//! Our own MTA-STS policy: configured, served, published, and the check that compares the three.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use posthouse_dns::Zone;
use posthouse_http::{Client, Limits, Request};
use posthouse_runtime::block_on;
use posthouse_runtime::tls::Ca;
use posthouse_testkit::name_server::NameServer;
use rustix::process::Signal;

use crate::common::{Running, Site, Smtp, letter, posthouse, until};

/// The port at which policies are fetched is known once it listens, and then the kernel would not let the server connect to it.
const MORE: &str = "
[sandbox]
landlock = \"off\"
[[tls.certificate]]
cert = \"server.pem\"
key = \"server.key\"
[mta-sts.serve]
mode = \"testing\"
";

/// A site with an HTTPS listener whose certificate is for the names of `example.test`.
fn site() -> (Site, Ca) {
    let site = Site::new(&["mx", "https"], MORE);
    let ca = Ca::load_or_create(&site.dir.path().join("ca")).unwrap();
    let (cert, key) = ca.issue(&["mail.example.test", "mta-sts.example.test"].map(str::to_owned)).unwrap();
    fs::write(site.dir.path().join("server.pem"), cert).unwrap();
    fs::write(site.dir.path().join("server.key"), key).unwrap();
    (site, ca)
}

fn command(site: &Site, arguments: &[&str]) -> (i32, String) {
    let output = posthouse().args(arguments).arg("--config").arg(site.config()).output().unwrap();
    let words = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(words).unwrap())
}

/// The status and the body at a URL.
fn get(ca: &Ca, address: SocketAddr, host: &str, path: &str) -> (u16, String) {
    let zone = Zone::of("mta-sts.example.test A 127.0.0.1\nmail.example.test A 127.0.0.1").unwrap();
    let ca = Some(ca.certificate_path().to_owned());
    let settings = posthouse_http::Settings { ca, private_addresses: true, ..posthouse_http::Settings::default() };
    let client = Client::new(Arc::new(zone), &settings).unwrap();
    let request = Request::get(format!("https://{host}:{}{path}", address.port())).body(bytes::Bytes::new()).unwrap();
    let response = block_on(client.send(request, Limits { body_bytes_max: 1000 })).unwrap().unwrap();
    (response.status().as_u16(), String::from_utf8(response.body().to_vec()).unwrap())
}

#[test]
fn the_policy_is_served_for_our_domains_and_nothing_else_is() {
    let (site, ca) = site();
    let server = site.start();
    let https = server.address("https");
    let policy = "version: STSv1\r\nmode: testing\r\nmx: mail.example.test\r\nmax_age: 604800\r\n";
    assert_eq!(get(&ca, https, "mta-sts.example.test", "/.well-known/mta-sts.txt"), (200, policy.to_owned()));
    for (host, path) in [
        ("mta-sts.example.test", "/"),
        ("mta-sts.example.test", "/.well-known/../.well-known/mta-sts.txt"),
        ("mta-sts.example.test", "/.well-known/mta-sts.txt/"),
        ("mail.example.test", "/.well-known/mta-sts.txt"),
    ] {
        assert_eq!(get(&ca, https, host, path).0, 404, "{host}{path}");
    }
    assert_eq!(server.stop().code(), Some(0));
}

/// The configuration with what the check needs to see the world of the test.
fn look_through(site: &Site, names: &NameServer, ca: &Ca, server: &Running) {
    let text = fs::read_to_string(site.config()).unwrap();
    let text = text.replace("127.0.0.1:1\"", &format!("{}\"", names.address()));
    let http = format!("[http]\nca = {:?}\nprivate-addresses = true\n", ca.certificate_path());
    let port = format!("[mta-sts]\nport = {}\n[mta-sts.serve]", server.address("https").port());
    fs::write(site.config(), format!("{}{http}", text.replace("[mta-sts.serve]", &port))).unwrap();
}

#[test]
fn the_check_says_whether_configuration_web_and_dns_agree() {
    let (site, ca) = site();
    let server = site.start();
    let names = NameServer::start("example.test MX 10 mail.example.test\nmta-sts.example.test A 127.0.0.1");
    look_through(&site, &names, &ca, &server);
    let check = || command(&site, &["domain", "check", "example.test"]);
    let (exit, said) = check();
    assert!(exit == 65 && said.contains("there is no record; publish `v=STSv1; id="), "{exit} {said}");
    // What `dns` prints is what the check wants to see.
    let (_, lines) = command(&site, &["domain", "dns", "example.test"]);
    let id =
        lines.lines().find_map(|line| line.strip_prefix("_mta-sts.example.test. IN TXT ")).unwrap().trim_matches('"').to_owned();
    assert!(lines.contains("mta-sts.example.test. IN CNAME mail.example.test.\n"), "{lines}");
    let mut zone = format!(
        "mta-sts.example.test A 127.0.0.1\n_mta-sts.example.test TXT {id}\nexample.test MX 10 mail.example.test\n\
         _dmarc.example.test TXT v=DMARC1; p=none; rua=mailto:reports@example.test\nmail.example.test A 127.0.0.1\n\
         mail.example.test TXT v=spf1 a -all"
    );
    names.set(&zone);
    let (exit, said) = check();
    assert_eq!(exit, 0, "{said}");
    // A host that the policy does not name.
    zone.push_str("\nexample.test MX 20 backup.example.test");
    names.set(&zone);
    let (exit, said) = check();
    assert!(exit == 65 && said.contains("wrong  backup.example.test"), "{said}");
    // A policy that is changed: first the file, then the server, then the DNS.
    let text = fs::read_to_string(site.config()).unwrap();
    fs::write(site.config(), text.replace("\"testing\"", "\"enforce\"\nmx = [\"*.example.test\"]")).unwrap();
    let (_, said) = check();
    assert!(said.contains("serves another policy") && said.contains("servers that know the old one keep it"), "{said}");
    server.signal(Signal::HUP);
    server.wait_for_log("was reloaded");
    let (_, said) = check();
    assert!(said.contains("right  https://mta-sts.example.test") && said.contains("right  backup.example.test"), "{said}");
}

/// Waits until the timeline of a letter has these words.
fn wait_for_trace(site: &Site, letter: &str, words: &str) -> String {
    until(&format!("`{words}` in the timeline of {letter}"), || {
        Some(command(site, &["trace", letter]).1).filter(|timeline| timeline.contains(words))
    })
}

#[test]
fn another_servers_policy_is_fetched_and_obeyed_for_the_recipients_domain() {
    // One server has `far.test` and a policy for it, the other sends there.
    let (far, ca) = site();
    let (cert, key) = ca.issue(&["mx.far.test", "mta-sts.far.test"].map(str::to_owned)).unwrap();
    fs::write(far.dir.path().join("server.pem"), cert).unwrap();
    fs::write(far.dir.path().join("server.key"), key).unwrap();
    for arguments in [["domain", "add", "far.test"].as_slice(), &["alias", "add", "bob@far.test", "bob@example.test"]] {
        assert_eq!(command(&far, arguments).0, 0);
    }
    let enforce = fs::read_to_string(far.config()).unwrap().replace("\"testing\"", "\"enforce\"\nmx = [\"mx.far.test\"]");
    fs::write(far.config(), &enforce).unwrap();
    let server = far.start();
    let hosts = "far.test MX 10 mx.far.test\nmx.far.test A 127.0.0.1\nmta-sts.far.test A 127.0.0.1";
    let names = NameServer::start(&format!("{hosts}\n_mta-sts.far.test TXT v=STSv1; id=1;"));
    let more = format!(
        "[intake]\ntrusted-networks = [\"127.0.0.0/8\"]\n[delivery]\nport = {}\ntls-ca = {ca:?}\n[http]\nca = {ca:?}\nprivate-addresses = true\n\
         [mta-sts]\nport = {}\n",
        server.address("mx").port(),
        server.address("https").port(),
        ca = ca.certificate_path(),
    );
    let near = Site::new(&["mx"], &more);
    let text = fs::read_to_string(near.config()).unwrap();
    fs::write(near.config(), text.replace("127.0.0.1:1\"", &format!("{}\"", names.address()))).unwrap();
    let sender = near.start();
    let send = || {
        let mut smtp = Smtp::open(sender.address("mx")).unwrap();
        smtp.send("alice@example.test", "bob@far.test", &letter("safe", 10)).unwrap().to_string()
    };
    let timeline = wait_for_trace(&near, &send(), "250 ");
    assert!(timeline.contains("verified, as the domain's MTA-STS policy asks"), "{timeline}");
    far.wait_for_any("bob");
    // The policy changes to one that does not name the host: nothing is sent there any more, and the timeline says why.
    fs::write(far.config(), enforce.replace("mx.far.test", "other.far.test")).unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("was reloaded");
    names.set(&format!("{hosts}\n_mta-sts.far.test TXT v=STSv1; id=2;"));
    sender.stop();
    let sender = near.start();
    let mut smtp = Smtp::open(sender.address("mx")).unwrap();
    let id = smtp.send("alice@example.test", "bob@far.test", &letter("unsafe", 10)).unwrap().to_string();
    let timeline = wait_for_trace(&near, &id, "does not name this host");
    assert!(timeline.contains("deferred for bob@far.test") && timeline.contains("next try"), "{timeline}");
    assert_eq!(far.inbox("bob").len(), 1);
}
