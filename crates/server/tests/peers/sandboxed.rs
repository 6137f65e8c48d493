//! A server that the kernel confines, and all that it does at once: real peers at each of its doors, and nothing breaks for want of a file or a port.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use posthouse_testkit::guard::Guard;
use rustix::process::Signal;

use crate::acme::authority;
use crate::filters::rspamd;
use crate::posthouse::{PASSWORD, Posthouse, posthouse};
use crate::updates::{Bind, NAMED};
use crate::world::{PATIENCE, World, eventually, in_a_world, program, run_to_end, try_to_end};

/// A web server that takes whatever is posted: what came, each with its path in front.
fn web() -> Arc<Mutex<String>> {
    let (posted, listener) = (Arc::new(Mutex::new(String::new())), TcpListener::bind("127.0.0.1:8026").unwrap());
    let heard = Arc::clone(&posted);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut head, mut line) = (String::new(), String::new());
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                head.push_str(&line.to_ascii_lowercase());
                line.clear();
            }
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
            let first = head.lines().next().unwrap_or_default().to_owned();
            heard.lock().unwrap().push_str(&format!("{first} {}\n", String::from_utf8_lossy(&body)));
        }
    });
    posted
}

/// The mail host of another domain, with a policy that asks for its certificate; and the file of who is believed for it.
fn far(world: &World) -> (Posthouse, String) {
    let mut lines = "[[listener]]\nkind = \"https\"\naddress = \"127.0.0.3:443\"\n[mta-sts.serve]\nmode = \"enforce\"\nmx = [\"in.far.test\"]\n".to_owned();
    let mut believed = String::new();
    for name in ["in.far.test", "mta-sts.far.test"] {
        let folder = world.folder(name);
        world.certificate(&folder, name);
        believed.push_str(&fs::read_to_string(folder.join("cert.pem")).unwrap());
        let folder = folder.display();
        lines.push_str(&format!("[[tls.certificate]]\ncert = \"{folder}/cert.pem\"\nkey = \"{folder}/key.pem\"\n"));
    }
    let file = world.folder("believed").join("ca.pem");
    fs::write(&file, believed).unwrap();
    (Posthouse::start_with(world, "far.test", "127.0.0.3", "", &lines), file.display().to_string())
}

/// All that a configuration can name.
fn configuration(bind: &Bind, authority: &Path, believed: &str) -> String {
    let acme = format!(
        "[tls.acme]\nagree-to-terms = true\ndirectory = \"https://localhost:14000/dir\"\nca = {authority:?}\nchallenge = \"dns-01\"\nnames = [\"mx.ours.test\"]\n"
    );
    let filters = "[[intake.milter]]\nname = \"rspamd\"\naddress = \"inet:127.0.0.1:11332\"\n\
        [[intake.http-filter]]\nname = \"hook\"\nurl = \"http://127.0.0.1:8025/letter\"\nform = \"hook\"\nauthorization = \"Bearer between us\"\n";
    let lists = "[intake.lists]\nexempt = []\n[[intake.lists.list]]\nzone = \"bl.test\"\n";
    let watching = "[alarms]\nlook-every = \"100ms\"\nfailed-logins = 1\n[alarms.webhook]\nurl = \"http://127.0.0.1:8026/alarm\"\n\
        [opentelemetry]\nurl = \"http://127.0.0.1:8026\"\ntraces = 1\nevery = \"500ms\"\n";
    let believed = format!("[http]\nca = \"{believed}\"\nprivate-addresses = true\n[delivery]\ntls-ca = \"{believed}\"\n");
    let sandbox = "[sandbox]\nlandlock = \"require\"\n[log]\nformat = \"journal\"\nlevel = \"debug\"\n";
    [&acme, filters, lists, watching, &believed, sandbox, &bind.lines("\"ours.test\"")].concat()
}

fn swaks(words: &[&str]) -> Output {
    try_to_end(Command::new("swaks").args(["--helo", "client.test"]).args(words))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the system's journal has of the server.
fn journal(words: &str) -> Option<()> {
    let mut journalctl = Command::new("journalctl");
    let output = try_to_end(journalctl.args(["-o", "cat", "--no-pager", "SYSLOG_IDENTIFIER=posthouse"]));
    String::from_utf8_lossy(&output.stdout).contains(words).then_some(())
}

/// The letters of bob's, one after the other.
fn letters(ours: &Posthouse) -> String {
    let read = |words: &[&str]| {
        let output = posthouse().args(["mail"]).args(words).arg("--config").arg(ours.config()).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let bob = ours.at("bob");
    (1..=4).map(|number| read(&["show", &bob, &number.to_string()])).collect()
}

in_a_world! {
    fn all_that_a_server_does_works_while_the_kernel_confines_it(world) {
        fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").unwrap();
        fs::create_dir_all("/run/log/journal").unwrap();
        let _journald = Guard::spawn(&mut Command::new("/usr/lib/systemd/systemd-journald"));
        eventually("there is no journal", || Path::new("/run/systemd/journal/socket").exists().then_some(()));
        let bind = Bind::start_with(world, &[
            ("far.test", "@ MX 10 in\nin A 127.0.0.3\nmta-sts A 127.0.0.3\n_mta-sts TXT \"v=STSv1; id=1;\""),
            ("bl.test", "2.0.0.127 A 127.0.0.2\n9.0.0.127 A 127.0.0.2\n9.0.0.127 TXT \"for tests\""),
        ]);
        let (_pebble, ca) = authority(world, 20, "", NAMED);
        let _rspamd = rspamd(world);
        let mut hook = Guard::spawn(&mut program("hook.py"));
        hook.expect("ready", PATIENCE);
        let (posted, (far, believed)) = (web(), far(world));
        let ours = Posthouse::start_with_names(world, "ours.test", "127.0.0.2", NAMED, &configuration(&bind, &ca, &believed));
        let status = || run_to_end(posthouse().args(["status", "--config"]).arg(ours.config()));
        assert!(status().contains("sandbox: on (Landlock)"), "{}", status());
        eventually("its log is not in the journal", || journal("this process may touch what it needs"));

        // An authority, by a name server that takes changes; and again, before it ends.
        let certificate = ours.folder.join("data/acme/certificate.pem");
        let first = eventually("there is no certificate", || fs::read_to_string(&certificate).ok());

        // From the world: a list, a milter, a filter over HTTP.
        let from = |address: &'static str| swaks(&["--server", "127.0.0.2", "--local-interface", address, "--from", "x@client.test", "--to", "bob@ours.test", "--header", "Subject: in"]);
        assert!(said(&from("127.0.0.9")).contains("127.0.0.9 is listed by bl.test (for tests)"), "{}", said(&from("127.0.0.9")));
        assert!(from("127.0.0.8").status.success(), "{}", said(&from("127.0.0.8")));
        let letter = eventually("nothing came", || Some(letters(&ours)).filter(|text| text.contains("Subject: in")));
        assert!(letter.contains("X-Spamd-Bar: /") && letter.contains("X-Hook: 127.0.0.8"), "{letter}");

        // To the world: over TLS, as the policy asks that was fetched over HTTPS.
        let output = swaks(&["--server", "127.0.0.2:587", "--tls", "--auth", "PLAIN", "--auth-user", "alice@ours.test", "--auth-password", PASSWORD,
            "--from", "alice@ours.test", "--to", "bob@far.test", "--header", "Subject: out"]);
        assert!(output.status.success(), "{}", said(&output));
        eventually("nothing arrived", || letters(&far).contains("Subject: out").then_some(()));
        let trace = run_to_end(posthouse().args(["trace", "bob@far.test", "--config"]).arg(ours.config()));
        assert!(trace.contains("MTA-STS") && trace.contains("TLSv1.3"), "{trace}");

        // Reading, and a log-in that fails, which is an alarm.
        let pop3 = |password: &str| {
            let url = ["--silent", "--insecure", "--url", "pop3s://127.0.0.2/1", "--user"];
            try_to_end(Command::new("curl").args(url).arg(format!("bob@ours.test:{password}")))
        };
        assert!(said(&pop3(PASSWORD)).contains("Subject: in"), "{}", said(&pop3(PASSWORD)));
        assert!(!pop3("wrong").status.success());
        for words in ["post /alarm", "began\",\"name\":\"logins", "post /v1/metrics", "post /v1/traces"] {
            eventually(&format!("nobody posted `{words}`"), || posted.lock().unwrap().contains(words).then_some(()));
        }

        // Another configuration, within what was named; and one that wants more.
        let good = fs::read_to_string(ours.config()).unwrap();
        let size = || said(&swaks(&["--server", "127.0.0.2", "--quit-after", "EHLO"])).contains("SIZE 1048576").then_some(());
        fs::write(ours.config(), format!("{good}[intake]\nletter-size-max = \"1 MiB\"\n")).unwrap();
        ours.signal(Signal::HUP);
        eventually("it does not take the new limit", size);
        fs::write(ours.config(), good.replace("127.0.0.1:8026/alarm", "127.0.0.1:8027/alarm")).unwrap();
        ours.signal(Signal::HUP);
        eventually("it does not say what is out of reach", || journal("does not let this process connect to port 8027"));
        fs::write(ours.config(), good).unwrap();

        eventually("the certificate was not renewed", || fs::read_to_string(&certificate).ok().filter(|now| *now != first));
        assert!(journal("Permission denied").is_none(), "something was out of reach");
        ours.stop();
    }
}
