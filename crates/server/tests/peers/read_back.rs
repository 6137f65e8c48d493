//! Programs of others that read the mail Posthouse keeps, over POP3 with STLS on 110 and with TLS on 995.

use crate::posthouse::{PASSWORD, Posthouse};
use crate::relay::{assert_kept, with_lf};
use crate::world::{World, eventually, in_a_world, program, run_to_end, try_to_end};
use posthouse_testkit::letters::{self, Sample};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often getmail may lose sight of a process of its own.
const GETMAIL_ATTEMPTS: usize = 5;

/// A server whose bob has one letter of each kind, in this order.
fn ours_with_letters(world: &World) -> (Posthouse, Vec<Sample>) {
    let ours = Posthouse::start(world, "posthouse.test", "127.0.0.2");
    let samples: Vec<Sample> = letters::samples().into_iter().filter(|sample| !sample.smtputf8).collect();
    for (number, sample) in samples.iter().enumerate() {
        let file = world.folder("letters").join(sample.name);
        fs::write(&file, &sample.bytes).unwrap();
        ours.submit(&file, if sample.eight_bit { "BODY=8BITMIME" } else { "" }, &[ours.at("bob")]);
        eventually("the letter did not arrive", || (count(&ours) == number + 1).then_some(()));
    }
    (ours, samples)
}

fn count(ours: &Posthouse) -> usize {
    let url = format!("pop3s://{}:995/", ours.host);
    // An empty list is an empty line for curl.
    run_to_end(&mut curl(ours, &url)).lines().filter(|line| !line.is_empty()).count()
}

fn curl(ours: &Posthouse, url: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--ssl-reqd", "--url", url]).arg("--cacert").arg(ours.ca());
    curl.args(["--user", &format!("{}:{PASSWORD}", ours.at("bob"))]);
    curl
}

/// The letters in a folder, in the order of the samples.
fn assert_all_kept(samples: &[Sample], folder: &Path, lf: bool) {
    let files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    let read: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    assert_eq!(read.len(), samples.len());
    for sample in samples {
        let sent = if lf { with_lf(&sample.bytes) } else { sample.bytes.clone() };
        let found = read.iter().find(|letter| letter.ends_with(&sent));
        assert_kept(sample.name, &sent, found.map_or(b"nothing".as_slice(), Vec::as_slice));
    }
}

in_a_world! {
    fn poplib_reads_every_letter(world) {
        let (ours, samples) = ours_with_letters(world);
        let folder = world.folder("read");
        let mut fetch = program("fetch.py");
        fetch.args([&ours.host, "110", "stls"]).arg(ours.ca()).args([&ours.at("bob"), PASSWORD]).arg(&folder);
        assert_eq!(run_to_end(&mut fetch), format!("{}\n", samples.len()));
        assert_all_kept(&samples, &folder, false);
        assert_eq!(count(&ours), 0, "deleted letters came back");
    }

    fn curl_reads_every_letter(world) {
        let (ours, samples) = ours_with_letters(world);
        for door in ["pop3://mx.posthouse.test:110", "pop3s://mx.posthouse.test:995"] {
            for (number, sample) in samples.iter().enumerate() {
                let file = world.folder("read").join("letter");
                run_to_end(curl(&ours, &format!("{door}/{}", number + 1)).arg("--output").arg(&file));
                assert_kept(sample.name, &sample.bytes, &fs::read(file).unwrap());
            }
        }
    }

    fn fetchmail_reads_every_letter(world) {
        let (ours, samples) = ours_with_letters(world);
        for (tls, folder) in [("", "stls"), ("ssl", "tls")] {
            let folder = world.folder(folder);
            let settings = world.folder("fetchmail").join("rc");
            let text = format!(
                "set no syslog\npoll {} protocol pop3 user \"{}\" password \"{PASSWORD}\" {tls} sslproto \"tls1.2+\" sslcertfile \"{}\" sslcertck \
                 no rewrite keep fetchall mda \"cat >$(mktemp {}/XXXXXX)\"\n",
                ours.host, ours.at("bob"), ours.ca().display(), folder.display()
            );
            fs::write(&settings, text).unwrap();
            fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).unwrap();
            run_to_end(Command::new("fetchmail").arg("-f").arg(&settings).env("FETCHMAILHOME", world.folder("fetchmail")));
            assert_all_kept(&samples, &folder, true);
        }
    }

    fn getmail_reads_every_letter(world) {
        let (ours, samples) = ours_with_letters(world);
        // It starts a process for each letter and only then begins to listen for that process's end (getmailcore/baseclasses.py, `forkchild`). One that is quick is waited for in
        // vain, for `timeout`; what was done till then is begun anew.
        let read = (1..=GETMAIL_ATTEMPTS).find_map(|attempt| getmail(world, &ours, attempt));
        assert_all_kept(&samples, &read.expect("it lost its own child each time").join("new"), true);
    }
}

/// Where the letters are; nothing when it did not hear of the end of a process of its own.
fn getmail(world: &World, ours: &Posthouse, attempt: usize) -> Option<PathBuf> {
    // It does not deliver as root.
    let maildir = world.folder_of(&format!("maildir-{attempt}"), "vmail");
    for part in ["cur", "new", "tmp"] {
        world.folder_of(&format!("maildir-{attempt}/{part}"), "vmail");
    }
    let place = world.folder(&format!("getmail-{attempt}"));
    let text = format!(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = {}\nusername = {}\npassword = {PASSWORD}\nca_certs = {}\ntimeout = 15\n\
         [destination]\ntype = Maildir\nuser = vmail\npath = {}/\n[options]\nread_all = true\ndelivered_to = false\nreceived = false\n",
        ours.host,
        ours.at("bob"),
        ours.ca().display(),
        maildir.display()
    );
    fs::write(place.join("getmailrc"), text).unwrap();
    let output = try_to_end(Command::new("getmail").arg(format!("--getmaildir={}", place.display())));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if said.contains("waiting child pid") {
        return None;
    }
    assert!(output.status.success(), "{}\n{said}", output.status);
    Some(maildir)
}
