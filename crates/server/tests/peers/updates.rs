//! Zones that are changed by us: BIND takes the changes, pebble believes them, and the keys of a domain come and go.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use posthouse_config::{Period, Secret};
use posthouse_dns::{Change, Data, DnsError, Kind, Name, Record, Resolver, TsigAlgorithm, UpdateSettings, Updates};
use posthouse_runtime::block_on;
use posthouse_testkit::guard::Guard;

use crate::acme::{authority, connect, roots, server_with};
use crate::posthouse::{Posthouse, posthouse};
use crate::world::{PATIENCE, World, eventually, in_a_world, run_to_end, try_to_end};

pub(crate) const NAMED: &str = "127.0.0.7:53";

/// BIND with the zones `ours.test` and `posthouse.test`, which the key `posthouse` may change, `locked.test`, which it may not, and `away.test`, whose proofs are in `ours.test`.
pub(crate) struct Bind {
    secret: String,
    _process: Guard,
}

impl Bind {
    fn start(world: &World) -> Self {
        Self::start_with(world, &[])
    }

    /// The same with more zones, by their records.
    pub(crate) fn start_with(world: &World, more: &[(&str, &str)]) -> Self {
        let (ip, port) = NAMED.split_once(':').unwrap();
        let place = world.folder("named");
        let key = run_to_end(Command::new("tsig-keygen").args(["-a", "hmac-sha256", "posthouse"]));
        let secret = key.split("secret \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
        let long = run_to_end(Command::new("tsig-keygen").args(["-a", "hmac-sha512", "longer"]));
        fs::write(place.join("long"), &long).unwrap();
        let zone = |name: &str, more: &str, policy: &str| {
            let text = format!("$TTL 1\n@ SOA ns root 1 1 1 60 1\n@ NS ns\nns A {ip}\nmx A 127.0.0.2\n{more}\n");
            fs::write(place.join(name), text).unwrap();
            format!("zone \"{name}\" {{ type primary; file \"{name}\"; update-policy {{ {policy} }}; }};\n")
        };
        let zones = [
            zone("ours.test", "", "grant posthouse zonesub TXT; grant longer zonesub TXT;"),
            zone("locked.test", "", "grant nobody zonesub TXT;"),
            zone("posthouse.test", "", "grant posthouse zonesub TXT; grant posthouse zonesub TLSA;"),
            zone("away.test", "_acme-challenge CNAME away.ours.test.", "grant nobody zonesub TXT;"),
        ];
        let more: String = more.iter().map(|(name, records)| zone(name, records, "grant nobody zonesub TXT;")).collect();
        let conf = format!(
            "options {{ directory \"{dir}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion yes; dnssec-validation no; pid-file none;\n\
             session-keyfile \"{dir}/session\"; }};\ncontrols {{ }};\n{key}{long}{}",
            zones.concat() + &more,
            dir = place.display()
        );
        fs::write(place.join("named.conf"), conf).unwrap();
        let process = Guard::spawn(Command::new("named").args(["-g", "-4", "-n", "1", "-c"]).arg(place.join("named.conf")));
        world.listening(ip, port.parse().unwrap());
        Self { secret, _process: process }
    }

    /// The lines of the configuration that let us change these zones.
    pub(crate) fn lines(&self, zones: &str) -> String {
        format!(
            "[[dns-update]]\nzones = [{zones}]\nserver = \"{NAMED}\"\nkey-name = \"posthouse\"\nsecret = \"{}\"\nttl = \"1s\"\nsettle = \"0s\"\n",
            self.secret
        )
    }
}

fn settings(server: &str, zone: &str, key: &str, secret: &str) -> UpdateSettings {
    UpdateSettings {
        zones: vec![zone.to_owned()],
        server: server.parse().unwrap(),
        key_name: key.to_owned(),
        secret: Secret::new(secret),
        algorithm: TsigAlgorithm::default(),
        ttl: Period::seconds(1),
        settle: Period::default(),
    }
}

/// What comes of one change.
fn changed(settings: UpdateSettings, change: Change) -> Result<(), String> {
    let updates = Updates::new(&[settings]).unwrap();
    block_on(updates.change(change)).unwrap().map_err(|error| error.to_string())
}

fn add(name: &str, text: &str) -> Change {
    Change::Add { name: name.parse().unwrap(), data: Data::Text(text.to_owned()) }
}

fn remove(name: &str, text: &str) -> Change {
    Change::Remove { name: name.parse().unwrap(), data: Data::Text(text.to_owned()) }
}

/// The texts at a name, asked of the server itself and never kept.
fn texts(name: &str) -> Vec<String> {
    let settings = posthouse_dns::Settings { servers: vec![NAMED.parse().unwrap()], ..posthouse_dns::Settings::default() };
    let resolver: Resolver = posthouse_dns::real(&settings).unwrap();
    let name: Name = name.parse().unwrap();
    let answer = match block_on(async { resolver.records(&name, Kind::Txt).await }).unwrap() {
        Ok(answer) => answer.value,
        Err(DnsError::NoSuchDomain | DnsError::NoData) => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    let text = |record| if let Record::Text(text) = record { Some(String::from_utf8(text).unwrap()) } else { None };
    let mut texts: Vec<String> = answer.into_iter().filter_map(text).collect();
    texts.sort();
    texts
}

/// The TLSA records of `mx.posthouse.test`, asked of the server itself.
fn tlsa() -> Vec<String> {
    let settings = posthouse_dns::Settings { servers: vec![NAMED.parse().unwrap()], ..posthouse_dns::Settings::default() };
    let resolver: Resolver = posthouse_dns::real(&settings).unwrap();
    let name: Name = "_25._tcp.mx.posthouse.test".parse().unwrap();
    match block_on(async { resolver.records(&name, Kind::Tlsa).await }).unwrap() {
        Ok(answer) => answer.value.iter().map(ToString::to_string).collect(),
        Err(DnsError::NoSuchDomain | DnsError::NoData) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// The record of the certificate that is shown at this moment; `None`: nobody shows one.
fn shown() -> Option<String> {
    let script = "openssl s_client -connect 127.0.0.2:995 -servername mx.posthouse.test </dev/null 2>/dev/null | openssl x509 -noout -pubkey 2>/dev/null \
                  | openssl pkey -pubin -outform DER 2>/dev/null | openssl dgst -sha256 -r";
    let said = run_to_end(Command::new("sh").arg("-c").arg(script));
    let digest = said.split_whitespace().next().unwrap().to_owned();
    // That of nothing.
    (!digest.starts_with("e3b0c442")).then(|| format!("3 1 1 {digest}"))
}

in_a_world! {
    fn each_certificate_has_a_key_whose_record_was_there_before_and_no_moment_lacks_one(world) {
        let bind = Bind::start(world);
        let (_pebble, ca) = authority(world, 30, "", NAMED);
        let more = format!("reuse-key = false\n[tls]\npublish-tlsa = true\n{}", bind.lines("\"posthouse.test\""));
        let (process, folder) = server_with(world, &ca, ("dns-01", "\"mx.posthouse.test\""), NAMED, &["pop3s"], &more);
        let mut process = Some(process);
        let mut keys: Vec<String> = Vec::new();
        // What others are held to is asked first: a certificate that comes after it must fit.
        let mut look = || {
            let (published, shown) = (tlsa(), shown()?);
            assert!(published.is_empty() && keys.len() < 2 || published.contains(&shown), "{shown} is not in {published:?}; {keys:?}");
            if !published.is_empty() && !keys.contains(&shown) {
                keys.push(shown);
            }
            Some(keys.len())
        };
        eventually("no certificate was shown with a record", || look().filter(|count| *count >= 1));
        eventually("the key did not change", || look().filter(|count| *count >= 2));
        // Killed at any moment: what is ours is known after it.
        drop(process.take());
        let mut process = Guard::spawn(posthouse().args(["serve", "--config"]).arg(folder.join("posthouse.toml")));
        process.expect("ready pop3s 127.0.0.2:", PATIENCE);
        eventually("the key did not change again", || look().filter(|count| *count >= 3));
        let log = process.output();
        assert!(!log.contains("do not fit together"), "{log}");
        let is_clean = || (tlsa().iter().filter(|record| keys.contains(record)).count() == 1).then_some(());
        eventually("the old records are not gone", is_clean);
    }

    fn a_text_is_put_beside_others_and_taken_away_alone(world) {
        let bind = Bind::start(world);
        let ours = || settings(NAMED, "ours.test", "posthouse", &bind.secret);
        let name = "_acme-challenge.ours.test";
        changed(ours(), add(name, "one")).unwrap();
        changed(ours(), add(name, "one")).unwrap();
        changed(ours(), add(name, "two")).unwrap();
        let long = "x".repeat(600);
        changed(ours(), add(name, &long)).unwrap();
        assert_eq!(texts(name), ["one", "two", &long]);
        changed(ours(), remove(name, "one")).unwrap();
        changed(ours(), remove(name, "one")).unwrap();
        changed(ours(), remove(name, &long)).unwrap();
        assert_eq!(texts(name), ["two"]);
        let long = fs::read_to_string(world.folder("named").join("long")).unwrap();
        let secret = long.split('"').nth(3).unwrap();
        let other = UpdateSettings { algorithm: TsigAlgorithm::HmacSha512, ..settings(NAMED, "ours.test", "longer", secret) };
        changed(other, remove(name, "two")).unwrap();
        assert_eq!(texts(name), Vec::<String>::new());
    }

    fn a_change_that_is_not_made_says_why(world) {
        let bind = Bind::start(world);
        let mute = TcpListener::bind("127.0.0.5:53").unwrap();
        let secret = &bind.secret;
        let said = |settings, name: &str| changed(settings, add(name, "x")).unwrap_err();
        for (settings, name, words) in [
            (settings(NAMED, "locked.test", "posthouse", secret), "x.locked.test", "it refuses (REFUSED): the key has no right"),
            (settings(NAMED, "nobodys.test", "posthouse", secret), "x.nobodys.test", "it is not the zone's server"),
            (settings(NAMED, "ours.test", "posthouse", "b3RoZXI="), "x.ours.test", "its key `posthouse` has another secret"),
            (settings(NAMED, "ours.test", "stranger", secret), "x.ours.test", "it knows no key `stranger` for hmac-sha256"),
            (settings("127.0.0.5:53", "ours.test", "posthouse", secret), "x.ours.test", "does not answer within 10 s"),
            (settings("127.0.0.4:53", "ours.test", "posthouse", secret), "x.ours.test", "cannot be reached: Connection refused"),
            (settings(NAMED, "ours.test", "posthouse", secret), "x.elsewhere.test", "lies in no zone of `dns-update`"),
        ] {
            let said = said(settings, name);
            assert!(said.contains(words), "{words:?} is not in {said:?}");
        }
        drop(mute);
    }

    fn a_clock_that_is_wrong_is_told_of(world) {
        let bind = Bind::start(world);
        let folder = world.folder("late");
        let listener = "[[listener]]\nkind = \"mx\"\naddress = \"127.0.0.2:25\"\n";
        let rest = format!("[dns]\nservers = [\"{NAMED}\"]\n[dkim]\nsettle = \"1s\"\n{}", bind.lines("\"ours.test\""));
        fs::write(folder.join("posthouse.toml"), format!("hostname = \"mx.ours.test\"\ndata = \"data\"\n{listener}{rest}")).unwrap();
        run_to_end(posthouse().args(["domain", "add", "ours.test", "--config"]).arg(folder.join("posthouse.toml")));
        let library = fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("faketime/libfaketimeMT.so.1"));
        let library = library.into_iter().find(|path| path.exists()).unwrap();
        let mut late = posthouse();
        late.env("LD_PRELOAD", library).env("FAKETIME", "+2h").env("DONT_FAKE_MONOTONIC", "1");
        let mut process = Guard::spawn(late.args(["serve", "--config"]).arg(folder.join("posthouse.toml")));
        process.expect("it was tried and is tried again", PATIENCE);
        process.expect("its clock shows 2", PATIENCE);
    }

    fn a_wildcard_is_proven_by_a_record_that_comes_and_goes(world) {
        let bind = Bind::start(world);
        let (_pebble, ca) = authority(world, 86_400, "", NAMED);
        let names = r#""*.ours.test", "ours.test""#;
        let (mut process, _) = server_with(world, &ca, ("dns-01", names), NAMED, &["pop3s"], &bind.lines("\"ours.test\""));
        process.expect("a new certificate is shown from now on", PATIENCE);
        connect(&roots(&ca), "mx.ours.test").unwrap();
        connect(&roots(&ca), "ours.test").unwrap();
        assert_eq!(texts("_acme-challenge.ours.test"), Vec::<String>::new());
    }

    fn a_proof_is_put_where_an_alias_leads(world) {
        let bind = Bind::start(world);
        let (_pebble, ca) = authority(world, 86_400, "", NAMED);
        let (mut process, _) = server_with(world, &ca, ("dns-01", "\"away.test\""), NAMED, &["pop3s"], &bind.lines("\"ours.test\""));
        process.expect("a new certificate is shown from now on", PATIENCE);
        connect(&roots(&ca), "away.test").unwrap();
        assert_eq!(texts("away.ours.test"), Vec::<String>::new());
    }

    fn a_proof_that_cannot_be_published_is_told_and_tried_again(world) {
        let bind = Bind::start(world);
        let (_pebble, ca) = authority(world, 86_400, "", NAMED);
        let (mut process, folder) =
            server_with(world, &ca, ("dns-01", "\"mx.locked.test\""), NAMED, &["pop3s"], &bind.lines("\"locked.test\""));
        process.expect("the proof for mx.locked.test cannot be published", PATIENCE);
        process.expect("it is tried again", PATIENCE);
        let status = run_to_end(posthouse().args(["status", "--config"]).arg(folder.join("posthouse.toml")));
        assert!(status.contains("no new certificate: the proof for mx.locked.test") && status.contains("REFUSED"), "{status}");
    }

    fn keys_come_and_go_without_an_operator(world) {
        let bind = Bind::start(world);
        let more = format!("[dkim]\nsettle = \"1s\"\noverlap = \"1s\"\n{}", bind.lines("\"ours.test\""));
        let ours = Posthouse::start_with_names(world, "ours.test", "127.0.0.2", NAMED, &more);
        let records = || {
            let said = run_to_end(posthouse().args(["domain", "dns", "ours.test", "--config"]).arg(ours.config()));
            let names = said.lines().filter(|line| line.contains("v=DKIM1")).map(|line| line.split(". IN").next().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        let first = records();
        eventually("the first keys are not published", || first.iter().all(|name| texts(name).len() == 1).then_some(()));
        let check = || try_to_end(posthouse().args(["domain", "check", "ours.test", "--config"]).arg(ours.config())).stdout;
        eventually("they are not seen", || (String::from_utf8(check()).unwrap().matches("published; the key signs").count() == 2).then_some(()));
        ours.manage(&["domain", "rotate", "ours.test"]);
        eventually("the old keys are not gone", || first.iter().all(|name| texts(name).is_empty()).then_some(()));
        let log = ours.log();
        assert_eq!(log.matches("which signs from now on").count(), 2, "{log}");
        eventually("the old keys are not forgotten", || (ours.log().matches("a key is forgotten").count() == 2).then_some(()));
        let second = records();
        assert!(second.len() == 2 && second.iter().all(|name| !first.contains(name) && texts(name).len() == 1), "{second:?}");
        ours.stop();
    }

    fn keys_that_cannot_be_published_are_told_of(world) {
        let bind = Bind::start(world);
        let more = format!("[dkim]\nsettle = \"1s\"\n{}", bind.lines("\"locked.test\""));
        let ours = Posthouse::start_with_names(world, "locked.test", "127.0.0.2", NAMED, &more);
        let status = || run_to_end(posthouse().args(["status", "--config"]).arg(ours.config()));
        let said = eventually("nothing is said", || Some(status()).filter(|said| said.contains("it was tried and is tried again")));
        assert!(said.contains("REFUSED"), "{said}");
        ours.stop();
    }
}
