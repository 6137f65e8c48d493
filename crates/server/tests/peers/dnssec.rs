//! A DNSSEC laboratory: signed, forged, expired and unsigned zones by nsd, a validating unbound in front, and one mail host. What we make of each
//! destination is what Postfix makes of it, whether the server asks or a program that sends directly.

use crate::posthouse::posthouse;
use crate::world::{PATIENCE, World, eventually, in_a_world, run_to_end, try_to_end};
use posthouse_testkit::guard::Guard;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What there is at the mail host, in the view of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// TLS, and it is who the DNS says.
    Verified,
    /// TLS; it may be anybody.
    Encrypted,
    /// It is not used now.
    NotUsed,
}

/// The signed zones, each with its records; `@HASH@` is the hash of the mail host's key, `@CA@` a hash that fits nothing.
const ZONES: [(&str, &str, Signed); 6] = [
    (
        "signed",
        "@ MX 10 mx
mx A 127.0.0.2
_25._tcp.mx TLSA 3 1 1 @HASH@
wrong MX 10 mx.wrong
mx.wrong A 127.0.0.2
_25._tcp.mx.wrong TLSA 3 1 1 @OTHER@
none MX 10 mx.none
mx.none A 127.0.0.2
alias MX 10 mx.alias
mx.alias CNAME mx
own MX 10 mx.own
mx.own CNAME mx.none
_25._tcp.mx.own TLSA 3 1 1 @HASH@
away MX 10 mx.away
mx.away CNAME mx.insecure.lab.
_25._tcp.mx.away TLSA 3 1 1 @HASH@
unusable MX 10 mx.unusable
mx.unusable A 127.0.0.2
_25._tcp.mx.unusable TLSA 1 1 1 @OTHER@
*.wild MX 10 mx.wild
*.wild A 127.0.0.2
*._tcp.mx.wild TLSA 3 1 1 @HASH@
mx.wild A 127.0.0.2
elsewhere MX 10 mx.insecure.lab.
implicit A 127.0.0.2
_25._tcp.implicit TLSA 3 1 1 @HASH@
tlsa-alias MX 10 mx.tlsa-alias
mx.tlsa-alias A 127.0.0.2
_25._tcp.mx.tlsa-alias CNAME _25._tcp.mx",
        Signed::Well,
    ),
    // Signed, and changed afterwards.
    ("bogus", "@ MX 10 mx\nmx A 127.0.0.2", Signed::Forged("MX\t10 mx", "MX\t20 mx")),
    ("forged", "@ MX 10 mx\nmx A 127.0.0.2\n_25._tcp.mx TLSA 3 1 1 @HASH@", Signed::Forged("TLSA\t3 1 1", "TLSA\t3 0 1")),
    ("expired", "@ MX 10 mx\nmx A 127.0.0.2\n_25._tcp.mx TLSA 3 1 1 @HASH@", Signed::LongAgo),
    // Nobody signs this one.
    ("insecure", "@ MX 10 mx\nmx A 127.0.0.2\n_25._tcp.mx TLSA 3 1 1 @HASH@\nborrowed MX 10 mx.signed.lab.", Signed::Not),
    // NSEC3 with opt-out: the delegation below it is not signed, and nothing proves that it is there or not.
    ("optout", "@ MX 10 mx\nmx A 127.0.0.2\n_25._tcp.mx TLSA 3 1 1 @HASH@\nbelow NS ns.lab.", Signed::OptOut),
];

#[derive(Clone, Copy, PartialEq)]
enum Signed {
    Well,
    Forged(&'static str, &'static str),
    LongAgo,
    Not,
    OptOut,
}

/// Each destination, and what it is to be.
const DESTINATIONS: [(&str, Sight); 20] = [
    ("signed.lab", Sight::Verified),
    ("wrong.signed.lab", Sight::NotUsed),
    ("none.signed.lab", Sight::Encrypted),
    ("alias.signed.lab", Sight::Verified),
    ("own.signed.lab", Sight::Verified),
    ("away.signed.lab", Sight::Verified),
    ("unusable.signed.lab", Sight::Encrypted),
    ("any.wild.signed.lab", Sight::Verified),
    ("elsewhere.signed.lab", Sight::Encrypted),
    ("implicit.signed.lab", Sight::Verified),
    ("tlsa-alias.signed.lab", Sight::Verified),
    ("nobody.signed.lab", Sight::NotUsed),
    ("bogus.lab", Sight::NotUsed),
    ("forged.lab", Sight::NotUsed),
    ("expired.lab", Sight::NotUsed),
    ("insecure.lab", Sight::Encrypted),
    ("borrowed.insecure.lab", Sight::Verified),
    ("optout.lab", Sight::Verified),
    ("below.optout.lab", Sight::Encrypted),
    ("gone.lab", Sight::NotUsed),
];

in_a_world! {
    fn what_dnssec_says_of_a_destination_is_what_postfix_hears(world) {
        let lab = Lab::start(world);
        let mut ours = BTreeMap::new();
        let mut differences = Vec::new();
        for (destination, expected) in DESTINATIONS {
            let (sight, said) = lab.posthouse(destination);
            let (theirs, heard) = lab.postfix(destination);
            let (sent, told) = lab.sent(world, destination);
            if sent != expected {
                differences.push(format!("{destination}: expected {expected:?}\n`send --direct` says {sent:?}:\n{told}"));
            }
            if sight != expected || theirs != expected {
                differences.push(format!("{destination}: expected {expected:?}\nwe say {sight:?}:\n{said}\nPostfix says {theirs:?}:\n{heard}"));
            }
            ours.insert(destination, sight);
        }
        assert!(differences.is_empty(), "{}", differences.join("\n\n"));
        assert_eq!(ours.len(), DESTINATIONS.len());
    }
}

in_a_world! {
    fn a_check_and_a_reload_say_whether_the_published_records_fit_the_certificate(world) {
        let mut lab = Lab::start(world);
        let own = fs::read_to_string(lab.host.folder.join("posthouse.toml")).unwrap();
        // As the host of another name, with the same certificate.
        let check = |host: &str, more: &str| {
            let config = lab.host.folder.join("as.toml");
            fs::write(&config, own.replace("mx.signed.lab", host).replace("[[tls", &format!("{more}[[tls"))).unwrap();
            let output = try_to_end(posthouse().args(["domain", "check", "signed.lab", "--config"]).arg(config));
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            said.lines().find(|line| line.contains("  TLSA _25._tcp.")).unwrap_or_else(|| panic!("{output:?}")).to_owned()
        };
        let folder = lab.host.folder.display();
        run_to_end(Command::new("sh").args(["-c", &format!("openssl ecparam -name prime256v1 -genkey -noout -out {folder}/next.key")]));
        for (host, more, right, words) in [
            ("mx.signed.lab", "", "right", "published and signed"),
            ("mx.signed.lab", "[tls]\nnext-key = \"next.key\"\n", "wrong", "the record of the key to come is not published"),
            ("mx.wrong.signed.lab", "", "wrong", "none of the published records is that of the certificate that is shown"),
            ("mx.unusable.signed.lab", "", "wrong", "none of the published records"),
            ("mx.none.signed.lab", "", "right", "there is none: no server holds us to our certificate"),
            ("mx.insecure.lab", "", "right", "published, but DNSSEC does not vouch for it"),
            ("mx.forged.lab", "", "wrong", "it cannot be read now"),
            ("mx.expired.lab", "", "wrong", "it cannot be read now"),
            ("mx.tlsa-alias.signed.lab", "", "right", "published and signed"),
        ] {
            let line = check(host, more);
            assert!(line.starts_with(right) && line.contains(words), "{host}: {line}");
        }
        // The certificate that fits, once more: nothing to say. Then one with another key.
        const SAID: &str = "the DNS and the certificate that is shown do not fit together";
        lab.host.process.signal(rustix::process::Signal::HUP);
        lab.host.process.expect("the configuration was reloaded", PATIENCE);
        world.certificate(&lab.host.folder, "elsewhere.example");
        lab.host.process.signal(rustix::process::Signal::HUP);
        lab.host.process.expect(SAID, PATIENCE);
        assert_eq!(lab.host.process.output().matches(SAID).count(), 1, "{}", lab.host.process.output());
    }
}

struct Lab {
    host: Host,
    config: PathBuf,
    main: PathBuf,
    _processes: Vec<Guard>,
}

impl Lab {
    fn start(world: &World) -> Lab {
        let host = Host::start(world);
        let place = world.folder("lab");
        let words = [("HASH", host.hash.as_str()), ("OTHER", &"07".repeat(32))];
        let mut root = "@ SOA ns root 1 60 60 600 60\n@ NS ns\nns A 127.0.0.55\n".to_owned();
        let mut zones = vec!["lab".to_owned(), "below.optout.lab".to_owned()];
        fs::write(place.join("below.optout.lab"), zone("below.optout.lab", "@ MX 10 mx\nmx A 127.0.0.2")).unwrap();
        for (name, records, signed) in ZONES {
            let origin = format!("{name}.lab");
            let records = words.iter().fold(records.to_owned(), |text, (word, value)| text.replace(&format!("@{word}@"), value));
            fs::write(place.join(&origin), zone(&origin, &records)).unwrap();
            root.push_str(&format!("{name} NS ns\n"));
            if signed != Signed::Not {
                root.push_str(&sign(&place, &origin, signed));
            }
            zones.push(origin);
        }
        fs::write(place.join("lab"), format!("$ORIGIN lab.\n$TTL 60\n{root}")).unwrap();
        let anchor = sign(&place, "lab", Signed::Well);
        fs::write(place.join("anchor"), anchor).unwrap();
        let names = serve(world, &place, &zones);
        fs::write("/etc/resolv.conf", "nameserver 127.0.0.54\noptions trust-ad edns0\n").unwrap();
        let main = world.folder("finger");
        fs::write(
            main.join("main.cf"),
            "compatibility_level = 3.6\nmyhostname = client.test\nsmtp_dns_support_level = dnssec\nsmtp_host_lookup = dns\n",
        )
        .unwrap();
        fs::write(main.join("master.cf"), "").unwrap();
        let config = place.join("posthouse.toml");
        let text = "hostname = \"client.test\"\ndata = \"data\"\n[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.1:2525\"\n[dns]\nservers = [\"127.0.0.54:53\"]\n[mta-sts]\nobey = false\n";
        fs::write(&config, text).unwrap();
        fs::create_dir_all(place.join("data")).unwrap();
        Lab { host, config, main, _processes: names.into() }
    }

    fn posthouse(&self, destination: &str) -> (Sight, String) {
        let output = try_to_end(posthouse().args(["tls", "check", destination, "--config"]).arg(&self.config));
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let reached = said.lines().any(|line| line.trim_start().starts_with("reached at ") && line.contains(" over TLS"));
        let sight = match (reached, said.contains("it fits TLSA")) {
            (true, true) => Sight::Verified,
            (true, false) => Sight::Encrypted,
            (false, _) => Sight::NotUsed,
        };
        assert_eq!(output.status.success(), sight != Sight::NotUsed, "{destination}:\n{said}");
        (sight, said)
    }

    /// A letter that is given to the hosts of the destination, as far as one of them listens.
    fn sent(&self, world: &World, destination: &str) -> (Sight, String) {
        let to = format!("somebody@{destination}");
        let letter = ["--from", "us@client.test", "--to", &to, "--text", "hello", "--json"];
        let mut send = posthouse();
        send.args(["send", "--direct", "--helo", "client.test"]).args(letter).env("XDG_STATE_HOME", world.folder("state"));
        let output = try_to_end(&mut send);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        let row = &told["recipients"][0];
        let sight = match (
            row["host"]["tls"].is_string(),
            row["host"]["policy"].as_str().is_some_and(|words| words.contains("it fits TLSA")),
        ) {
            (true, true) => Sight::Verified,
            (true, false) => Sight::Encrypted,
            (false, _) => Sight::NotUsed,
        };
        // The host is nobody's and says so to whoever comes that far. What cannot be found out is for now; only that there is nothing is for good.
        let expected = match (sight, destination) {
            (Sight::NotUsed, "gone.lab" | "nobody.signed.lab") => "unsendable",
            (Sight::NotUsed, _) => "deferred",
            (Sight::Verified | Sight::Encrypted, _) => "refused",
        };
        assert_eq!(row["outcome"], expected, "{destination}: {said}");
        (sight, said)
    }

    fn postfix(&self, destination: &str) -> (Sight, String) {
        let mut finger = Command::new("posttls-finger");
        finger.args(["-l", "dane", "-c", "-T", "10", "-t", "10", "-L", "summary", destination]).env("MAIL_CONFIG", &self.main);
        let output = try_to_end(&mut finger);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // Its own words: it shows the connection that Postfix would give up, and calls a host whose MX record is not signed trusted at most.
        let is_borrowed = said.contains("log verified as trusted") && said.contains("Trusted TLS connection established");
        let sight = if said.contains("no matching DANE TLSA records") {
            Sight::NotUsed
        } else if said.contains("Verified TLS connection established") || is_borrowed {
            Sight::Verified
        } else if said.contains(" TLS connection established") {
            Sight::Encrypted
        } else {
            Sight::NotUsed
        };
        (sight, said)
    }
}

/// The mail host of every destination, with a key of its own.
struct Host {
    hash: String,
    folder: PathBuf,
    process: Guard,
}

impl Host {
    fn start(world: &World) -> Host {
        let folder = world.folder("mailhost");
        world.certificate(&folder, "elsewhere.example");
        let shell = format!(
            "openssl x509 -in {}/cert.pem -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -r",
            folder.display()
        );
        let hash = run_to_end(Command::new("sh").args(["-c", &shell])).split(' ').next().unwrap().to_owned();
        let config = folder.join("posthouse.toml");
        let text = "hostname = \"mx.signed.lab\"\ndata = \"data\"\n[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.2:25\"\n[[tls.certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n[dns]\nservers = [\"127.0.0.54:53\"]\n";
        fs::write(&config, text).unwrap();
        let process = Guard::spawn(posthouse().args(["serve", "--config"]).arg(&config));
        world.listening("127.0.0.2", 25);
        Host { hash, folder, process }
    }
}

fn zone(origin: &str, records: &str) -> String {
    format!("$ORIGIN {origin}.\n$TTL 60\n@ SOA ns.lab. root.lab. 1 60 60 600 60\n@ NS ns.lab.\n{records}\n")
}

/// Signs a zone in place; its DS records, for the zone above.
fn sign(place: &Path, origin: &str, signed: Signed) -> String {
    let ldns = |words: &[&str]| run_to_end(Command::new("/usr/bin/env").args(words).current_dir(place));
    let key = ldns(&["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", origin]).trim().to_owned();
    let mut words = vec!["ldns-signzone", "-o", origin, "-f", "signed.tmp"];
    match signed {
        Signed::LongAgo => words.extend(["-i", "20200101", "-e", "20200201"]),
        Signed::OptOut => words.extend(["-n", "-p"]),
        Signed::Well | Signed::Forged(..) | Signed::Not => {}
    }
    words.extend([origin, &key]);
    ldns(&words);
    let mut text = fs::read_to_string(place.join("signed.tmp")).unwrap();
    if let Signed::Forged(from, to) = signed {
        assert!(text.contains(from), "no {from:?} in\n{text}");
        text = text.replace(from, to);
    }
    fs::write(place.join(origin), text).unwrap();
    ldns(&["ldns-key2ds", "-n", "-2", &format!("{key}.key")])
}

/// nsd with the zones, and unbound that believes the key of `lab`.
fn serve(world: &World, place: &Path, zones: &[String]) -> [Guard; 2] {
    let dir = place.display();
    let mut nsd = format!(
        "server:\n ip-address: 127.0.0.55\n do-ip6: no\n server-count: 1\n username: \"\"\n chroot: \"\"\n zonesdir: \"{dir}\"\n database: \"\"\n pidfile: \"\"\n xfrdfile: \"\"\n zonelistfile: \"\"\n xfrdir: \"{dir}\"\nremote-control:\n control-enable: no\n"
    );
    for zone in zones {
        nsd.push_str(&format!("zone:\n name: \"{zone}.\"\n zonefile: \"{zone}\"\n"));
    }
    fs::write(place.join("nsd.conf"), nsd).unwrap();
    run_to_end(Command::new("ip").args(["address", "add", "127.0.0.55/8", "dev", "lo"]));
    run_to_end(Command::new("ip").args(["address", "add", "127.0.0.54/8", "dev", "lo"]));
    let names = Guard::spawn(Command::new("nsd").args(["-d", "-c"]).arg(place.join("nsd.conf")));
    world.listening("127.0.0.55", 53);
    let unbound = format!(
        "server:\n interface: 127.0.0.54\n access-control: 127.0.0.0/8 allow\n do-ip6: no\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: \"{dir}\"\n pidfile: \"\"\n use-syslog: no\n logfile: \"\"\n do-not-query-localhost: no\n module-config: \"validator iterator\"\n trust-anchor-file: \"{dir}/anchor\"\n qname-minimisation: no\nremote-control:\n control-enable: no\nstub-zone:\n name: \"lab.\"\n stub-addr: 127.0.0.55\n"
    );
    fs::write(place.join("unbound.conf"), unbound).unwrap();
    let resolver = Guard::spawn(Command::new("unbound").args(["-d", "-p", "-c"]).arg(place.join("unbound.conf")));
    eventually("the resolver does not answer", || std::net::TcpStream::connect("127.0.0.54:53").ok());
    [names, resolver]
}
