//! Posthouse itself, as a process in the world.

use crate::world::{PATIENCE, World, attempt, program, run_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct horse";

/// A server for one domain, with the accounts alice and bob; whatever else is written to the domain is bob's.
pub(crate) struct Posthouse {
    pub(crate) domain: String,
    pub(crate) host: String,
    pub(crate) folder: PathBuf,
    process: Guard,
}

/// The command line of the binary under test.
pub(crate) fn posthouse() -> Command {
    Command::new(env!("CARGO_BIN_EXE_posthouse"))
}

fn manage(config: &Path, words: &[&str]) {
    run_to_end(posthouse().args(words).arg("--config").arg(config).env("POSTHOUSE_PASSWORD", PASSWORD));
}

impl Posthouse {
    /// Starts one on the real ports of this address.
    pub(crate) fn start(world: &World, domain: &str, address: &str) -> Posthouse {
        Self::start_with(world, domain, address, "", "")
    }

    /// As [`Self::start`], with lines of `more` in its configuration, and those of `listener` for its `mx` listener.
    pub(crate) fn start_with(world: &World, domain: &str, address: &str, listener: &str, more: &str) -> Posthouse {
        Self::begin(
            world,
            domain,
            address,
            listener,
            &format!("[dns]\nservers = [\"127.0.0.53:53\"]\n[log]\nlevel = \"debug\"\n{more}"),
        )
    }

    /// As [`Self::start`], with another name server and lines of `more` in its configuration.
    pub(crate) fn start_with_names(world: &World, domain: &str, address: &str, names: &str, more: &str) -> Posthouse {
        Self::begin(world, domain, address, "", &format!("[dns]\nservers = [\"{names}\"]\n{more}"))
    }

    fn begin(world: &World, domain: &str, address: &str, listener: &str, rest: &str) -> Posthouse {
        let folder = world.folder(domain);
        let host = format!("mx.{domain}");
        let config = folder.join("posthouse.toml");
        let listeners: String = [("mx", 25), ("submission", 587), ("submissions", 465), ("pop3", 110), ("pop3s", 995)]
            .iter()
            .map(|(kind, port)| {
                let more = if *kind == "mx" { listener } else { "" };
                format!("[[listener]]\nkind = \"{kind}\"\naddress = \"{address}:{port}\"\n{more}")
            })
            .collect();
        let text = format!("hostname = \"{host}\"\ndata = \"data\"\n{listeners}{rest}");
        fs::write(&config, text).unwrap();
        manage(&config, &["domain", "add", domain]);
        for name in ["alice", "bob"] {
            manage(&config, &["account", "add", &format!("{name}@{domain}"), "--password-env", "POSTHOUSE_PASSWORD"]);
        }
        manage(&config, &["alias", "add", &format!("*@{domain}"), &format!("bob@{domain}")]);
        let mut process = Guard::spawn(posthouse().args(["serve", "--config"]).arg(&config));
        process.expect(&format!("ready pop3s {address}:995"), PATIENCE);
        Posthouse { domain: domain.to_owned(), host, folder, process }
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.join("posthouse.toml")
    }

    /// Changes its identities while it runs.
    pub(crate) fn manage(&self, words: &[&str]) {
        manage(&self.config(), words);
    }

    /// The certificate of its authority.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.join("data/ca/ca.pem")
    }

    /// An address of its domain.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("{name}@{}", self.domain)
    }

    /// Submits a file as alice, through 587 with STARTTLS.
    pub(crate) fn submit(&self, file: &Path, options: &str, to: &[String]) -> String {
        let mut send = program("send.py");
        send.arg(file).args([&self.host, "587", "starttls"]).arg(self.ca());
        send.args([&self.at("alice"), PASSWORD, &self.at("alice"), options]).args(to);
        run_to_end(&mut send)
    }

    /// Waits until so many letters have arrived for bob, takes them out over POP3 and returns them, with CRLF.
    pub(crate) fn take(&self, world: &World, count: usize) -> Vec<Vec<u8>> {
        let folder = world.folder(&format!("{}/fetched", self.domain));
        let mut letters = Vec::new();
        let all = attempt(|| {
            self.fetch(&folder, "bob");
            for file in fs::read_dir(&folder).unwrap() {
                let file = file.unwrap().path();
                letters.push(fs::read(&file).unwrap());
                fs::remove_file(file).unwrap();
            }
            (letters.len() >= count).then_some(())
        });
        assert!(all.is_some() && letters.len() == count, "{} of {count} letters arrived\n{}", letters.len(), self.log());
        letters
    }

    /// Empties a mailbox over POP3 into a folder.
    pub(crate) fn fetch(&self, folder: &Path, name: &str) {
        let mut fetch = program("fetch.py");
        fetch.args([&self.host, "995", "tls"]).arg(self.ca()).args([&self.at(name), PASSWORD]).arg(folder);
        run_to_end(&mut fetch);
    }

    /// Everything it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// Stops it in order.
    pub(crate) fn stop(self) {
        let status = self.process.terminate(PATIENCE);
        assert!(status.success(), "{status}");
    }
}
