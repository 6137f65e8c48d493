//! Passwords of an LDAP directory: OpenLDAP's slapd, over StartTLS and with TLS from the start.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use posthouse_testkit::guard::Guard;

use crate::posthouse::{PASSWORD, Posthouse, posthouse};
use crate::world::{World, in_a_world, program, run_to_end};

const ADDRESS: &str = "127.0.0.9";
const HOST: &str = "mx.aiosmtpd.test";
const ALICE: &str = "from the directory";

/// slapd with some people.
struct Directory {
    folder: PathBuf,
    process: Option<Guard>,
}

impl Directory {
    fn start(world: &World) -> Self {
        let folder = world.folder("slapd");
        fs::create_dir(folder.join("data")).unwrap();
        world.certificate(&folder, HOST);
        let conf = folder.join("slapd.conf");
        let words = [("DIR", folder.to_str().unwrap()), ("SCHEMA", "/etc/ldap/schema")];
        world.fill(include_str!("conf/slapd.conf"), &words, &conf);
        fs::write(folder.join("people.ldif"), include_str!("conf/people.ldif")).unwrap();
        run_to_end(Command::new("slapadd").arg("-f").arg(&conf).arg("-l").arg(folder.join("people.ldif")));
        let mut directory = Self { folder, process: None };
        directory.up(world);
        directory
    }

    fn up(&mut self, world: &World) {
        let places = format!("ldap://{ADDRESS}:389 ldaps://{ADDRESS}:636");
        let mut slapd = Command::new("slapd");
        slapd.arg("-f").arg(self.folder.join("slapd.conf")).args(["-h", &places, "-d", "0"]);
        self.process = Some(Guard::spawn(&mut slapd));
        world.listening(ADDRESS, 389);
        world.listening(ADDRESS, 636);
    }

    fn settings(&self, url: &str, more: &str) -> String {
        settings(url, &self.folder.join("cert.pem"), more)
    }
}

fn settings(url: &str, ca: &Path, more: &str) -> String {
    format!(
        "[ldap]\nurl = \"{url}\"\nbase = \"ou=people,dc=posthouse,dc=test\"\nbind-dn = \"cn=reader,dc=posthouse,dc=test\"\nbind-password = \"reading\"\nca = \"{}\"\n{more}",
        ca.display()
    )
}

fn ours(world: &World, ldap: &str) -> Posthouse {
    Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", ldap)
}

/// What is said to a log-in.
fn log_in(ours: &Posthouse, protocol: &str, login: &str, password: &str) -> String {
    let port = if protocol == "pop3" { "995" } else { "465" };
    run_to_end(program("login.py").args([protocol, &ours.host, port]).arg(ours.ca()).args([login, password])).trim().to_owned()
}

in_a_world! {
    fn the_directory_says_who_may_come_in(world) {
        let directory = Directory::start(world);
        for url in [format!("ldap://{HOST}"), format!("ldaps://{HOST}")] {
            let ours = ours(world, &directory.settings(&url, ""));
            let app = run_to_end(posthouse().args(["account", "app-password", "add", "alice@posthouse.test", "phone", "--json", "--config"]).arg(ours.config()));
            let app: serde_json::Value = serde_json::from_str(&app).unwrap();
            for (protocol, good, bad) in [("smtp", "235 2.7.0", "535 5.7.8"), ("pop3", "+OK", "-ERR [AUTH]")] {
                for (login, password, right) in [
                    ("alice@posthouse.test", ALICE, true),
                    ("Alice@Posthouse.test", ALICE, true),
                    ("alice@posthouse.test", "wrong", false),
                    // Our own password is none any more.
                    ("alice@posthouse.test", PASSWORD, false),
                    ("alice@posthouse.test", app["password"].as_str().unwrap(), true),
                    ("alice+phone@posthouse.test", app["password"].as_str().unwrap(), true),
                    // An account here whom the directory does not know, and the other way round.
                    ("bob@posthouse.test", PASSWORD, false),
                    ("carol@posthouse.test", "carol in ldap", false),
                    ("twin@posthouse.test", "twin", false),
                    ("locked@posthouse.test", "x", false),
                    ("nobody@posthouse.test", "x", false),
                    ("*@posthouse.test", ALICE, false),
                    ("a*", ALICE, false),
                    ("alice@posthouse.test)(objectClass=*", ALICE, false),
                    ("*)(mail=alice@posthouse.test", ALICE, false),
                ] {
                    let said = log_in(&ours, protocol, login, password);
                    assert!(said.starts_with(if right { good } else { bad }), "{url} {protocol} {login} {password}: {said}");
                    run_to_end(posthouse().args(["logins", "clear", "--all", "--config"]).arg(ours.config()));
                }
            }
            // slapd would take it for nobody's, and let it in.
            for (protocol, bad) in [("smtp", "501 5.5.2"), ("pop3", "-ERR wrong arguments")] {
                let said = log_in(&ours, protocol, "alice@posthouse.test", "");
                assert!(said.starts_with(bad), "{protocol} {said}");
            }
            assert_eq!(log_in(&ours, "offer", "", ""), "AUTH PLAIN LOGIN");
            ours.stop();
            fs::remove_dir_all(world.folder("posthouse.test")).unwrap();
        }
    }

    fn who_is_known_to_the_directory_gets_an_account(world) {
        let directory = Directory::start(world);
        let ours = ours(world, &directory.settings(&format!("ldaps://{HOST}"), "create = true\n"));
        assert!(log_in(&ours, "smtp", "carol@posthouse.test", "wrong").starts_with("535 5.7.8"));
        let accounts = || run_to_end(posthouse().args(["account", "list", "--config"]).arg(ours.config()));
        assert!(!accounts().contains("carol"));
        assert!(log_in(&ours, "pop3", "carol@posthouse.test", "carol in ldap").starts_with("+OK"));
        assert!(accounts().contains("carol@posthouse.test"));
        assert!(log_in(&ours, "smtp", "carol@posthouse.test", "carol in ldap").starts_with("235"));
    }

    fn a_directory_that_cannot_be_asked_refuses_nobody(world) {
        let mut directory = Directory::start(world);
        let ours = ours(world, &directory.settings(&format!("ldap://{HOST}"), "timeout = \"2s\"\n"));
        let alice = |password| log_in(&ours, "smtp", "alice@posthouse.test", password);
        assert!(alice(ALICE).starts_with("235"));
        drop(directory.process.take());
        for _ in 0..3 {
            assert!(alice(ALICE).starts_with("454 4.7.0"), "it is down");
        }
        assert!(log_in(&ours, "smtp", "nobody@posthouse.test", "x").starts_with("454 4.7.0"), "whoever it is");
        assert!(log_in(&ours, "pop3", "alice@posthouse.test", ALICE).starts_with("-ERR [SYS/TEMP]"));
        {
            // It takes connections and says nothing.
            let _silent = TcpListener::bind((ADDRESS, 389)).unwrap();
            assert!(alice(ALICE).starts_with("454 4.7.0"), "it hangs");
        }
        directory.up(world);
        assert!(alice(ALICE).starts_with("235"), "nothing was held against anybody");
    }

    fn a_directory_with_another_certificate_sees_no_password(world) {
        let directory = Directory::start(world);
        let stranger = world.folder("stranger");
        world.certificate(&stranger, HOST);
        for url in [format!("ldap://{HOST}"), format!("ldaps://{HOST}"), format!("ldaps://{ADDRESS}")] {
            // The last is the right certificate, for another name.
            let ca = if url.contains(HOST) { stranger.join("cert.pem") } else { directory.folder.join("cert.pem") };
            let ours = ours(world, &settings(&url, &ca, ""));
            assert!(log_in(&ours, "smtp", "alice@posthouse.test", ALICE).starts_with("454 4.7.0"), "{url}");
            ours.stop();
            fs::remove_dir_all(world.folder("posthouse.test")).unwrap();
        }
    }
}
