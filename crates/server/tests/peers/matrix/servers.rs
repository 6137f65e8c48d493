//! The servers of the matrix: with logins, three doors each where they can, and somebody whom they refuse.

use crate::posthouse::{PASSWORD, Posthouse};
use crate::servers::{self, Server};
use crate::world::{World, program, run_to_end};
use posthouse_testkit::guard::Guard;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server that runs.
pub(super) struct Peer<'a> {
    /// As the rows have it.
    pub(super) name: &'static str,
    pub(super) host: &'static str,
    domain: &'static str,
    /// The account that logs in.
    account: &'static str,
    /// Whose signature its certificate has.
    pub(super) ca: Option<PathBuf>,
    /// For OAuth.
    pub(super) token: Option<String>,
    /// Where there is a certificate of a client's.
    pub(super) client_certificate: Option<PathBuf>,
    /// Whether a letter to two is kept twice.
    pub(super) copy_for_each: bool,
    /// Takes so many letters out of it.
    pub(super) take: Box<dyn Fn(usize) -> Vec<Vec<u8>> + 'a>,
}

impl Peer<'_> {
    pub(super) fn at(&self, name: &str) -> String {
        format!("{name}@{}", self.domain)
    }

    pub(super) fn user(&self) -> String {
        if self.account.contains('@') { self.account.to_owned() } else { self.at(self.account) }
    }
}

/// A peer that keeps letters as one of the servers does.
fn of(name: &'static str, host: &'static str, server: Server) -> Peer<'static> {
    Peer {
        name,
        host,
        domain: server.domain,
        account: "alice",
        ca: Some(server.folder.join("cert.pem")),
        token: None,
        client_certificate: None,
        copy_for_each: true,
        take: Box::new(move |count| server.take(count)),
    }
}

/// A server that keeps letters in this maildir.
fn kept(world: &World, domain: &'static str, address: &'static str, process: Option<Guard>) -> Server {
    let folder = world.folder(domain);
    let server = Server { domain, address, smtputf8: true, folder, log: "log", _process: process };
    for port in [465, 587] {
        world.listening(address, port);
    }
    server
}

/// Logins by Cyrus SASL.
pub(super) fn postfix(world: &World) -> Peer<'static> {
    let sasl = world.folder("postfix/sasl");
    fs::write(sasl.join("smtpd.conf"), include_str!("../conf/postfix-sasl.conf")).unwrap();
    let server = servers::postfix(world);
    let mut add =
        Command::new("saslpasswd2").args(["-p", "-c", "-u", "postfix.test", "alice"]).stdin(Stdio::piped()).spawn().unwrap();
    add.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
    assert!(add.wait().unwrap().success());
    run_to_end(Command::new("chown").args(["postfix", "/etc/sasldb2"]));
    for port in [465, 587] {
        world.listening(server.address, port);
    }
    of("Postfix 3.7", "mx.postfix.test", server)
}

pub(super) fn exim(world: &World) -> Peer<'static> {
    let server = servers::exim(world);
    for port in [465, 587] {
        world.listening(server.address, port);
    }
    of("Exim 4.96", "mx.exim.test", server)
}

pub(super) fn opensmtpd(world: &World) -> Peer<'static> {
    of("OpenSMTPD 6.8", "mx.opensmtpd.test", servers::opensmtpd(world))
}

fn dovecot(world: &World) -> Guard {
    let folder = world.folder("dovecot.test");
    world.folder_of("dovecot.test/mail", "vmail");
    world.certificate(&folder, "mx.dovecot.test");
    let client = world.folder("dovecot.test/client");
    world.certificate(&client, "alice@dovecot.test");
    let id = |what| run_to_end(Command::new("id").args([what, "vmail"])).trim().to_owned();
    let (uid, gid, home) = (id("-u"), id("-g"), folder.join("mail").display().to_string());
    let users: String = ["alice", "bob", "carol", "bøb"]
        .iter()
        .map(|name| format!("{name}@dovecot.test:{{PLAIN}}{PASSWORD}:{uid}:{gid}::{home}::\n"))
        .collect();
    fs::write(folder.join("users"), users).unwrap();
    fs::create_dir_all(folder.join("keys/default/HS256")).unwrap();
    fs::write(folder.join("keys/default/HS256/default"), run_to_end(program("issuer.py").arg("key"))).unwrap();
    let words = [("DIR", folder.to_str().unwrap())];
    world.fill(include_str!("../conf/dovecot.conf"), &words, &folder.join("dovecot.conf"));
    world.fill(include_str!("../conf/dovecot-oauth2.conf"), &words, &folder.join("oauth2.conf"));
    Guard::spawn(Command::new("dovecot").arg("-F").arg("-c").arg(folder.join("dovecot.conf")))
}

/// Dovecot hands what is submitted to a server that it is told; whoever that knows is known.
pub(super) fn dovecot_submission(world: &World, postfix: Server) -> Peer<'static> {
    let process = dovecot(world);
    let server = kept(world, "dovecot.test", "127.0.0.7", Some(process));
    let mut peer = of("Dovecot 2.3 submission", "mx.dovecot.test", server);
    let folder = world.folder("dovecot.test");
    peer.domain = "postfix.test";
    peer.account = "alice@dovecot.test";
    peer.token = Some(run_to_end(program("issuer.py").arg("alice@dovecot.test")).trim().to_owned());
    peer.client_certificate = Some(folder.join("client"));
    let keep = peer.take;
    peer.take = Box::new(move |count| {
        let _dovecot = &keep;
        postfix.take(count)
    });
    peer
}

pub(super) fn dovecot_lmtp(world: &World) -> Peer<'static> {
    let process = dovecot(world);
    let server = kept(world, "dovecot.test", "127.0.0.7", Some(process));
    of("Dovecot 2.3 LMTP", "mx.dovecot.test", server)
}

/// A maildir that is a server's to fill.
fn maildir(folder: &Path) -> PathBuf {
    let place = folder.join("mail/box");
    for part in ["tmp", "new", "cur"] {
        fs::create_dir_all(place.join(part)).unwrap();
    }
    place
}

pub(super) fn aiosmtpd(world: &World) -> Peer<'static> {
    let folder = world.folder("aiosmtpd.test");
    world.certificate(&folder, "mx.aiosmtpd.test");
    let place = maildir(&folder);
    let mut python = program("catch.py");
    python
        .arg("127.0.0.9")
        .arg(folder.join("cert.pem"))
        .arg(folder.join("key.pem"))
        .args(["alice@aiosmtpd.test", PASSWORD])
        .arg(place);
    let server = kept(world, "aiosmtpd.test", "127.0.0.9", Some(Guard::spawn(&mut python)));
    Peer { copy_for_each: false, ..of("aiosmtpd 1.4", "mx.aiosmtpd.test", server) }
}

pub(super) fn haraka(world: &World, npm: &Path) -> Peer<'static> {
    let folder = world.folder("haraka.test");
    let (config, plugins) = (world.folder("haraka.test/config"), world.folder("haraka.test/plugins"));
    world.certificate(&folder, "mx.haraka.test");
    maildir(&folder);
    let users = format!("[core]\nmethods=PLAIN,LOGIN,CRAM-MD5\n[users]\nalice@haraka.test={PASSWORD}\n");
    let listen = "listen=127.0.0.8:25,127.0.0.8:587,127.0.0.8:465\nsmtps_port=465\nnodes=0\n";
    let tls = "key=key.pem\ncert=cert.pem\nno_starttls_ports[]=25\n";
    for (name, text) in [
        ("smtp.ini", listen),
        ("me", "mx.haraka.test\n"),
        ("loglevel", "NOTICE\n"),
        ("plugins", "tls\nauth/flat_file\nbox\n"),
        ("auth_flat_file.ini", &users),
        ("tls.ini", tls),
    ] {
        fs::write(config.join(name), text).unwrap();
    }
    for name in ["key.pem", "cert.pem"] {
        fs::copy(folder.join(name), config.join(name)).unwrap();
    }
    let usual = fs::read_to_string(npm.join("node_modules/Haraka/config/connection.ini")).unwrap();
    // It would break lines that are as long as they may be (RFC 5321 §4.5.3.1.6), and counts the doubled dot too.
    fs::write(config.join("connection.ini"), usual.replace("data_line_length=992", "data_line_length=1001")).unwrap();
    world.fill(include_str!("../conf/haraka-box.js"), &[("DIR", folder.to_str().unwrap())], &plugins.join("box.js"));
    let log = folder.join("log");
    let command = format!(
        "exec {} {} -c {} >{} 2>&1",
        npm.join("node").display(),
        npm.join("node_modules/Haraka/bin/haraka").display(),
        folder.display(),
        log.display()
    );
    let process = Guard::spawn(Command::new("sh").args(["-c", &command]));
    let server = kept(world, "haraka.test", "127.0.0.8", Some(process));
    Peer { copy_for_each: false, ..of("Haraka 3.3", "mx.haraka.test", server) }
}

pub(super) fn posthouse(world: &World) -> Peer<'_> {
    let ours = Posthouse::start(world, "posthouse.test", "127.0.0.2");
    ours.manage(&["alias", "remove", "*@posthouse.test"]);
    for other in ["carol", "bøb"] {
        ours.manage(&["alias", "add", &ours.at(other), &ours.at("bob")]);
    }
    Peer {
        name: "Posthouse",
        host: "mx.posthouse.test",
        domain: "posthouse.test",
        account: "alice",
        ca: Some(ours.ca()),
        token: None,
        client_certificate: None,
        // The others are the same account by another name.
        copy_for_each: false,
        take: Box::new(move |count| ours.take(world, count)),
    }
}
