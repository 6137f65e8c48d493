//! Programs of others that hand a letter to Posthouse, on 587 with STARTTLS and on 465 with TLS from the start.

use crate::posthouse::{PASSWORD, Posthouse};
use crate::relay::{assert_kept, with_lf};
use crate::world::{World, in_a_world, program, run_to_end, try_to_end};
use posthouse_testkit::letters;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn ours(world: &World) -> Posthouse {
    Posthouse::start(world, "posthouse.test", "127.0.0.2")
}

/// How a program takes the encrypted way in.
#[derive(Clone, Copy, PartialEq)]
enum Door {
    /// 587.
    StartTls,
    /// 465.
    Tls,
}

const BOTH: [Door; 2] = [Door::StartTls, Door::Tls];

impl Door {
    fn port(self) -> &'static str {
        match self {
            Door::StartTls => "587",
            Door::Tls => "465",
        }
    }

    /// The one word or the other.
    fn choose<'a>(self, starttls: &'a str, tls: &'a str) -> &'a str {
        match self {
            Door::StartTls => starttls,
            Door::Tls => tls,
        }
    }
}

/// Sends letters that are files with this program through both doors and compares what arrives.
fn letters_are_kept(world: &World, form: fn(&[u8]) -> Vec<u8>, command: impl Fn(&Posthouse, Door, &PathBuf) -> Command) {
    let ours = ours(world);
    for sample in letters::samples().iter().filter(|sample| ["multipart", "dots", "blank-lines"].contains(&sample.name)) {
        for door in BOTH {
            let file = world.folder("letters").join(sample.name);
            fs::write(&file, form(&sample.bytes)).unwrap();
            let mut command = command(&ours, door, &file);
            let output = command.stdin(fs::File::open(&file).unwrap()).output().unwrap();
            assert!(output.status.success(), "{command:?}: {output:?}");
            assert_kept(sample.name, &sample.bytes, &ours.take(world, 1)[0]);
        }
    }
}

/// Swaks takes a last lone dot for the end, and adds one with its line end otherwise.
fn with_an_end(bytes: &[u8]) -> Vec<u8> {
    [&with_lf(bytes)[..], b"."].concat()
}

/// The classic program, with a port it does not know to be special.
fn classic(host: &str, port: &str, ca: &PathBuf, sender: &str, password: &str, to: &[&str]) -> (bool, String) {
    let output = try_to_end(program("classic.py").args([host, port]).arg(ca).args([sender, password]).args(to));
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the text of the classic program is in its letter.
const CLASSIC_TEXT: &str = "SGVsbG8sCgoudGhpcyBsaW5lIGJlZ2lucyB3aXRoIGEgZG90CgpHcsO8w59lCg==";

in_a_world! {
    fn the_classic_program_sends_to_several(world) {
        let ours = ours(world);
        let to = [ours.at("bob"), ours.at("bob+carol"), ours.at("bob+dave")];
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        let (good, said) = classic(&ours.host, "587", &ours.ca(), &ours.at("alice"), PASSWORD, &to);
        assert!(good && said == "sent\n", "{said}");
        for letter in ours.take(world, 3) {
            let letter = String::from_utf8(letter).unwrap();
            assert!(letter.contains(CLASSIC_TEXT) && letter.contains("\r\n<p>Hello</p>\r\n"), "{letter}");
        }
    }

    fn the_classic_program_is_told_of_a_wrong_password(world) {
        let ours = ours(world);
        let (good, said) = classic(&ours.host, "587", &ours.ca(), &ours.at("alice"), "wrong", &[&ours.at("bob")]);
        assert!(!good && said.starts_with("SMTPAuthenticationError (535"), "{said}");
    }

    fn the_classic_program_is_told_of_an_unknown_recipient(world) {
        let ours = ours(world);
        ours.manage(&["alias", "remove", "*@posthouse.test"]);
        let (good, said) = classic(&ours.host, "587", &ours.ca(), &ours.at("alice"), PASSWORD, &[&ours.at("nobody")]);
        assert!(!good && said.starts_with("SMTPRecipientsRefused {'nobody@posthouse.test': (550"), "{said}");
    }

    fn the_classic_program_is_told_when_the_server_is_gone(world) {
        let ours = ours(world);
        let (host, ca, alice, bob) = (ours.host.clone(), ours.ca(), ours.at("alice"), ours.at("bob"));
        ours.stop();
        let (good, said) = classic(&host, "587", &ca, &alice, PASSWORD, &[&bob]);
        assert!(!good && said.starts_with("ConnectionRefusedError"), "{said}");
    }

    fn the_classic_program_does_not_trust_a_stranger(world) {
        let ours = ours(world);
        let stranger = world.folder("stranger");
        world.certificate(&stranger, &ours.host);
        let (good, said) = classic(&ours.host, "587", &stranger.join("cert.pem"), &ours.at("alice"), PASSWORD, &[&ours.at("bob")]);
        assert!(!good && said.starts_with("SSLCertVerificationError"), "{said}");
    }

    fn swaks_sends_what_it_was_given(world) {
        letters_are_kept(world, with_an_end, |ours, door, file| {
            let mut swaks = Command::new("swaks");
            swaks.args(["--server", &ours.host, "--port", door.port(), door.choose("--tls", "--tls-on-connect")]);
            swaks.arg("--tls-verify").arg("--tls-ca-path").arg(ours.ca());
            swaks.args(["--auth", "PLAIN", "--auth-user", &ours.at("alice"), "--auth-password", PASSWORD]);
            swaks.args(["--from", &ours.at("alice"), "--to", &ours.at("bob")]);
            swaks.arg("--data").arg(format!("@{}", file.display()));
            swaks
        });
    }

    fn curl_sends_what_it_was_given(world) {
        letters_are_kept(world, <[u8]>::to_vec, |ours, door, file| {
            let mut curl = Command::new("curl");
            let url = format!("{}://{}:{}/client.test", door.choose("smtp", "smtps"), ours.host, door.port());
            curl.args(["--silent", "--show-error", "--ssl-reqd", "--url", &url]).arg("--cacert").arg(ours.ca());
            curl.args(["--user", &format!("{}:{PASSWORD}", ours.at("alice"))]);
            curl.args(["--mail-from", &ours.at("alice"), "--mail-rcpt", &ours.at("bob")]).arg("--upload-file").arg(file);
            curl
        });
    }

    fn msmtp_sends_what_it_was_given(world) {
        letters_are_kept(world, with_lf, |ours, door, _| {
            let mut msmtp = Command::new("msmtp");
            msmtp.arg(format!("--host={}", ours.host)).arg(format!("--port={}", door.port())).arg("--tls=on");
            msmtp.arg(door.choose("--tls-starttls=on", "--tls-starttls=off")).arg(format!("--tls-trust-file={}", ours.ca().display()));
            msmtp.arg("--auth=on").arg(format!("--user={}", ours.at("alice"))).arg(format!("--passwordeval=echo {PASSWORD}"));
            msmtp.arg(format!("--from={}", ours.at("alice"))).arg("--").arg(ours.at("bob"));
            msmtp
        });
    }

    fn s_nail_sends_a_letter(world) {
        let ours = ours(world);
        for door in BOTH {
            let scheme = door.choose("submission", "submissions");
            let user = format!("alice%40posthouse.test:{}", PASSWORD.replace(' ', "%20"));
            let mut nail = Command::new("s-nail");
            nail.args(["-:/", "-S", "v15-compat", "-S", &format!("mta={scheme}://{user}@{}:{}", ours.host, door.port())]);
            nail.args(["-S", &format!("tls-ca-file={}", ours.ca().display()), "-S", "tls-verify=strict", "-S", "tls-ca-no-defaults"]);
            if door == Door::StartTls {
                nail.args(["-S", "smtp-use-starttls"]);
            }
            nail.args(["-S", "smtp-auth=plain", "-S", &format!("from={}", ours.at("alice"))]);
            nail.args(["-S", "sendwait", "-s", "From a shell", "-.", &ours.at("bob")]);
            let text = world.folder("letters").join("text");
            fs::write(&text, "Hello\n.\n.dot\nend\n").unwrap();
            let output = nail.stdin(fs::File::open(&text).unwrap()).stderr(Stdio::piped()).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let letter = String::from_utf8(ours.take(world, 1).remove(0)).unwrap();
            assert!(letter.contains("Subject: From a shell\r\n") && letter.ends_with("\r\n\r\nHello\r\n.\r\n.dot\r\nend\r\n"), "{letter}");
        }
    }

    fn nodemailer_sends_a_letter(world) {
        let ours = ours(world);
        for door in BOTH {
            let mut mailer = program("mailer.js");
            mailer.args(["127.0.0.2", &ours.host, door.port(), door.choose("starttls", "tls")]).arg(ours.ca());
            let said = run_to_end(mailer.args([&ours.at("alice"), PASSWORD, &ours.at("alice"), &ours.at("bob")]));
            assert!(said.starts_with("sent bob@posthouse.test 250 "), "{said}");
            let letter = String::from_utf8(ours.take(world, 1).remove(0)).unwrap();
            assert!(letter.contains("\r\n.dot\r\n") && letter.contains("BwcHBwcHBwcHBwcHBwcH"), "{letter}");
        }
    }

    fn nodemailer_is_told_of_a_wrong_password(world) {
        let ours = ours(world);
        let mut mailer = program("mailer.js");
        mailer.args(["127.0.0.2", &ours.host, "587", "starttls"]).arg(ours.ca());
        let output = try_to_end(mailer.args([&ours.at("alice"), "wrong", &ours.at("alice"), &ours.at("bob")]));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.starts_with("EAUTH ") && said.contains("535"), "{said}");
    }
}
