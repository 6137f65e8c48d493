//! Signatures of others, and what others say of ours: dkimpy and opendkim.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use posthouse_dns::Zone;
use posthouse_mail::header::{Header, end_of_header};
use posthouse_mailauth::Examination;
use posthouse_mailauth::arc::ArcResult;
use posthouse_mailauth::dkim::{Algorithm, BodyDigest, Dkim, DkimResult, Keys, Signer, SigningKey, key_record};
use posthouse_runtime::block_on;
use posthouse_testkit::letters;

use crate::world::{World, in_a_world, program, run_to_end};

const DOMAIN: &str = "posthouse.test";

/// Our key and theirs: the RSA one in the form that old programs read, the Ed25519 one as dkimpy wants it.
pub(crate) struct Keychain {
    pub(crate) keys: [(Arc<SigningKey>, &'static str); 2],
    rsa: PathBuf,
    ed25519: PathBuf,
}

impl Keychain {
    pub(crate) fn new(world: &World) -> Self {
        let folder = world.folder("keys");
        let (rsa, der, ed25519) = (folder.join("rsa.pem"), folder.join("rsa.der"), folder.join("ed25519"));
        fs::write(&rsa, include_str!("conf/dkim.pem")).unwrap();
        run_to_end(Command::new("openssl").args(["rsa", "-outform", "DER", "-in"]).arg(&rsa).arg("-out").arg(&der));
        let key = SigningKey::from_der(Algorithm::Rsa, &fs::read(&der).unwrap()).unwrap();
        let other = SigningKey::generate(Algorithm::Ed25519).unwrap();
        // PKCS #8 ends with the seed.
        let pkcs8 = other.to_pkcs8().unwrap();
        fs::write(folder.join("seed"), &pkcs8[pkcs8.len() - 32..]).unwrap();
        fs::write(&ed25519, run_to_end(Command::new("base64").arg("-w0").arg(folder.join("seed")))).unwrap();
        Self { keys: [(Arc::new(key), "peer"), (Arc::new(other), "ed")], rsa, ed25519 }
    }

    fn names(&self) -> impl Iterator<Item = (String, String)> {
        self.keys.iter().map(|(key, selector)| (format!("{selector}._domainkey.{DOMAIN}"), key_record(key).unwrap()))
    }

    pub(crate) fn zone(&self) -> Zone {
        Zone::master(&self.names().map(|(name, text)| format!("{name}. TXT \"{text}\"\n")).collect::<String>()).unwrap()
    }

    fn json(&self, world: &World) -> PathBuf {
        let path = world.folder("keys").join("zone.json");
        fs::write(&path, serde_json::to_vec(&self.names().collect::<BTreeMap<_, _>>()).unwrap()).unwrap();
        path
    }
}

/// A letter with a signature of each key.
pub(crate) fn signed(keys: &[(Arc<SigningKey>, &'static str)], letter: &[u8]) -> Vec<u8> {
    let (fields, whole) = end_of_header(letter).unwrap();
    let mut body = BodyDigest::new();
    body.update(&letter[whole..]);
    let body = body.finish();
    let mut signed = Vec::new();
    for (key, selector) in keys {
        let signer = Signer { domain: DOMAIN.parse().unwrap(), selector: (*selector).to_owned(), key: Arc::clone(key) };
        signed.extend(signer.sign(Header::parse(&letter[..fields]).unwrap(), &body, now()).unwrap().into_bytes());
    }
    signed.extend_from_slice(letter);
    signed
}

fn now() -> u64 {
    posthouse_runtime::clock::unix_millis() / 1000
}

fn outcome(command: &mut Command, letter: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let letter = letter.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&letter));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    output
}

fn with_input(command: &mut Command, letter: &[u8]) -> Vec<u8> {
    let output = outcome(command, letter);
    assert!(output.status.success(), "{command:?}: {output:?}");
    output.stdout
}

fn peer() -> Command {
    program("dkim_peer.py")
}

/// The verdicts on the signatures, from the top, and on the chain.
pub(crate) fn examined(zone: &Zone, letter: &[u8]) -> (Vec<Dkim>, ArcResult) {
    let (fields, whole) = end_of_header(letter).unwrap();
    let mut examination = Examination::new(Header::parse(&letter[..fields]).unwrap(), now());
    letter[whole..].chunks(1000).for_each(|piece| examination.body(piece));
    let keys = block_on(Keys::fetch(zone, examination.key_names())).unwrap();
    let (dkim, arc, _) = examination.close(&keys);
    (dkim, arc.result)
}

fn assert_passes(zone: &Zone, letter: &[u8], what: &str) {
    let (verdicts, _) = examined(zone, letter);
    assert!(!verdicts.is_empty() && verdicts.iter().all(|one| one.result == DkimResult::Pass), "{what}: {verdicts:?}");
}

fn opendkim_verifies(letter: &[u8]) -> bool {
    outcome(Command::new("opendkim-testmsg").arg("-C"), letter).status.success()
}

/// The letters, keys and records that dkimpy is tested with.
fn data_of_dkimpy(name: &str) -> Vec<u8> {
    fs::read(Path::new("/usr/lib/python3/dist-packages/dkim/tests/data").join(name)).unwrap()
}

/// With CRLF: most files have LF alone, and dkimpy reads both.
fn letter_of_dkimpy(name: &str) -> Vec<u8> {
    let bytes = data_of_dkimpy(name);
    let lines = bytes.split(|&octet| octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.collect::<Vec<_>>().join(&b"\r\n"[..])
}

/// Whether each signature holds: as dkimpy says, and as we do.
fn both(world: &World, names: &[(&str, String)], letter: &[u8]) -> (Vec<bool>, Vec<bool>) {
    let json = world.folder("keys").join("names.json");
    fs::write(&json, serde_json::to_vec(&names.iter().cloned().collect::<BTreeMap<_, _>>()).unwrap()).unwrap();
    let said = with_input(peer().arg("verify").arg(&json), letter);
    let theirs = String::from_utf8(said).unwrap().split_whitespace().map(|word| word == "True").collect();
    let zone: String = names.iter().map(|(name, text)| format!("{name}. TXT \"{}\"\n", text.trim())).collect();
    let (verdicts, _) = examined(&Zone::master(&zone).unwrap(), letter);
    (theirs, verdicts.iter().map(|one| one.result == DkimResult::Pass).collect())
}

in_a_world! {
    fn the_letters_that_dkimpy_is_tested_with_are_judged_alike(world) {
        let record = |file: &str| String::from_utf8(data_of_dkimpy(file)).unwrap();
        let names = [
            ("test._domainkey.football.example.com", record("test.txt")),
            ("brisbane._domainkey.football.example.com", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=".to_owned()),
            ("sed._domainkey.test.ex", record("eximtest.dns")),
        ];
        for (letter, right) in [
            ("rfc6376.signed.msg", &[true, true][..]),
            ("rfc6376.signed.rsa.msg", &[true]),
            ("ed25519test2.msg", &[true]),
            // `d=` is no name of a domain: what a parser makes of it must not become the name of a key.
            ("test.message.baddomain", &[false]),
        ] {
            let bytes = letter_of_dkimpy(letter);
            assert_eq!(both(world, &names, &bytes), (right.to_vec(), right.to_vec()), "{letter}");
            let changed = [&bytes[..], b"x\r\n"].concat();
            let none = vec![false; right.len()];
            assert_eq!(both(world, &names, &changed), (none.clone(), none), "{letter}, changed");
        }
    }

    fn the_keys_and_records_that_dkimpy_is_tested_with_are_read_alike(world) {
        for (key, file, right) in [
            ("test.private", "test.txt", true),
            ("test.private", "test2.txt", true),
            ("test.private", "badversion.txt", false),
            ("test.private", "badk.txt", false),
            ("test.private", "test_bad.txt", false),
            ("test.private", "test_tlsrpt.txt", false),
            ("1024_testkey.key", "1024_testkey_wo_markers.pub.txt", true),
            ("1024_testkey.key", "1024_testkey_wo_markers.pub.rsa.txt", true),
            ("2048_testkey.key", "2048_testkey_wo_markers.pub.txt", true),
            ("2048_testkey.key", "2048_testkey_wo_markers.pub.rsa.txt", true),
            ("2048_testkey_PKCS8.key", "2048_testkey_PKCS8.key.pub.txt", true),
            ("2048_testkey.key", "test.txt", false),
        ] {
            let path = world.folder("keys").join(key);
            fs::write(&path, data_of_dkimpy(key)).unwrap();
            let names = [("s._domainkey.example.com", String::from_utf8(data_of_dkimpy(file)).unwrap())];
            for letter in ["test.message", "test_extra.message", "rfc6376.msg", "rfc6376.w1258.msg"] {
                let mut sign = peer();
                sign.arg("sign").arg(&path).args(["rsa-sha256", "s", "example.com", "relaxed/simple", "whole"]);
                let signed = with_input(&mut sign, &letter_of_dkimpy(letter));
                assert_eq!(both(world, &names, &signed), (vec![right], vec![right]), "{letter} with {key} and {file}");
            }
        }
    }

    fn dkimpy_believes_what_we_sign(world) {
        let keys = Keychain::new(world);
        let zone = keys.json(world);
        for sample in letters::samples() {
            let signed = signed(&keys.keys, &sample.bytes);
            let said = with_input(peer().arg("verify").arg(&zone), &signed);
            assert_eq!(String::from_utf8_lossy(&said).trim(), "True True", "{}", sample.name);
            let changed = [&signed[..], b"x\r\n"].concat();
            let said = with_input(peer().arg("verify").arg(&zone), &changed);
            assert_eq!(String::from_utf8_lossy(&said).trim(), "False False", "{}", sample.name);
        }
    }

    fn we_believe_what_dkimpy_signs(world) {
        let keys = Keychain::new(world);
        let zone = keys.zone();
        for sample in letters::samples() {
            for canons in ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"] {
                for (key, algorithm, selector) in [(&keys.rsa, "rsa-sha256", "peer"), (&keys.ed25519, "ed25519-sha256", "ed")] {
                    for length in ["length", "whole"] {
                        let mut sign = peer();
                        sign.arg("sign").arg(key).args([algorithm, selector, DOMAIN, canons, length]);
                        let signed = with_input(&mut sign, &sample.bytes);
                        assert_passes(&zone, &signed, &format!("{} {canons} {algorithm} {length}", sample.name));
                    }
                }
            }
        }
    }

    fn we_believe_the_chain_that_dkimpy_seals(world) {
        let keys = Keychain::new(world);
        let zone = keys.zone();
        let mut letter = letters::samples()[1].bytes.clone();
        for number in 1..=3 {
            // dkimpy seals what its server says of the chain so far, and takes two such fields for a broken chain.
            let before = format!("\r\nAuthentication-Results: {DOMAIN}; ");
            let text = String::from_utf8(letter).unwrap();
            let text = text.replace(&format!("{before}spf=pass"), "\r\nX-Before: x").replace(&format!("{before}arc=pass"), "\r\nX-Before: x");
            let said = if number == 1 { "spf=pass" } else { "arc=pass" };
            letter = format!("Authentication-Results: {DOMAIN}; {said}\r\n{text}").into_bytes();
            letter = with_input(peer().arg("seal").arg(&keys.rsa).args(["peer", DOMAIN]), &letter);
            assert_eq!(examined(&zone, &letter).1, ArcResult::Pass, "{number} sets: {}", String::from_utf8_lossy(&letter));
        }
        letter.extend_from_slice(b"more\r\n");
        assert_eq!(examined(&zone, &letter).1, ArcResult::Fail);
    }

    fn opendkim_believes_what_we_sign(world) {
        let keys = Keychain::new(world);
        for sample in letters::samples().iter().filter(|sample| !sample.smtputf8) {
            // It finds the key in the DNS of this world, and says by its exit code what it thinks.
            let signed = signed(&keys.keys[..1], &sample.bytes);
            assert!(opendkim_verifies(&signed), "{}", sample.name);
            assert!(!opendkim_verifies(&[&signed[..], b"x\r\n"].concat()), "{}: a changed letter", sample.name);
        }
    }

    fn the_old_hash_that_opendkim_signs_with_proves_nothing(world) {
        let keys = Keychain::new(world);
        let mut sign = Command::new("opendkim-testmsg");
        sign.args(["-C", "-d", DOMAIN, "-s", "peer", "-k"]).arg(&keys.rsa);
        let signed = with_input(&mut sign, &letters::samples()[0].bytes);
        assert!(opendkim_verifies(&signed), "it believes itself");
        let (verdicts, _) = examined(&keys.zone(), &signed);
        assert_eq!((verdicts.len(), verdicts[0].result), (1, DkimResult::Permerror), "{verdicts:?}");
    }
}
