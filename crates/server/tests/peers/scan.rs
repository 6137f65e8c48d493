//! TLS in the eyes of others: the scanners testssl.sh and sslyze at every port, tickets and browsers led to the wrong one.

use crate::posthouse::Posthouse;
use crate::world::{World, in_a_world, run_to_end, run_with_pypi, try_to_end};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// The ports with TLS, and how it begins there.
const PORTS: [(u16, bool); 4] = [(25, true), (587, true), (465, false), (995, false)];

/// How long one scan of one port may take: testssl.sh starts some ten thousand programs for each, and on a machine that has others to run too that takes minutes.
const SCAN_SECONDS_MAX: &str = "500";

/// What testssl.sh finds and is meant so.
const MEANT: [&str; 1] = [
    // The certificate is of an authority of our own, which has no list of what it took back: its certificates last a short time.
    "cert_revocation",
];

/// What testssl.sh must have looked for, and to its end: what it could not look for it calls a warning.
const LOOKED_FOR: [&str; 15] = [
    "heartbleed",
    "CCS",
    "ROBOT",
    "secure_renego",
    "secure_client_renego",
    "CRIME_TLS",
    "POODLE_SSL",
    "fallback_SCSV",
    "SWEET32",
    "FREAK",
    "DROWN",
    "LOGJAM",
    "BEAST",
    "LUCKY13",
    "RC4",
];

fn ours(world: &World) -> Posthouse {
    Posthouse::start(world, "posthouse.test", "127.0.0.2")
}

#[test]
fn scanners_of_tls_find_no_weakness_at_any_port() {
    run_with_pypi(concat!(module_path!(), "::scanners_of_tls_find_no_weakness_at_any_port"), "sslyze", |world, pypi| {
        let ours = ours(world);
        let folder = world.folder("scan");
        std::thread::scope(|scope| {
            let scans: Vec<_> = PORTS
                .iter()
                .map(|&(port, starttls)| {
                    let (ours, folder) = (&ours, &folder);
                    scope.spawn(move || {
                        testssl(ours, port, starttls, folder);
                        sslyze(ours, port, starttls, folder, pypi);
                    })
                })
                .collect();
            scans.into_iter().for_each(|scan| scan.join().unwrap());
        });
    });
}

/// A program that is ended when it takes too long.
fn scanner(program: &str, folder: &Path) -> Command {
    let mut scan = Command::new("timeout");
    scan.args(["--kill-after=5", SCAN_SECONDS_MAX, program]).current_dir(folder);
    scan
}

/// Runs a scanner to its end, and returns what it said. It writes into a file: whatever it has started and left behind would hold a pipe open, and keep us waiting, until our server is tired of
/// a connection on which nothing is said. Its exit code counts findings of every kind.
fn ended(scan: &mut Command, words: &Path) -> String {
    let file = fs::File::create(words).unwrap();
    let status = scan.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
    let said = fs::read_to_string(words).unwrap();
    if [124, 137].contains(&status.code().unwrap_or(137)) {
        let around = ["ps -ef --forest", "ss -tnp"].map(|words| run_to_end(Command::new("sh").args(["-c", words])));
        panic!("{scan:?} hangs; it said:\n{said}\n{}", around.join("\n"));
    }
    said
}

fn testssl(ours: &Posthouse, port: u16, starttls: bool, folder: &Path) {
    let file = folder.join(format!("testssl-{port}.json"));
    let mut scan = scanner("testssl", folder);
    scan.args(["--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "-p", "-s", "-f", "-S", "-U"]);
    scan.arg("--add-ca").arg(ours.ca()).arg("--jsonfile").arg(&file);
    if starttls {
        scan.args(["--starttls", "smtp"]);
    }
    // Its exit code counts findings of every kind.
    let said = ended(scan.arg(format!("{}:{port}", ours.host)), &folder.join(format!("testssl-{port}.txt")));
    let findings: Vec<Value> = serde_json::from_str(&fs::read_to_string(&file).unwrap_or_default())
        .unwrap_or_else(|why| panic!("{port}: {why}\n{said}"));
    let of = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    for (id, begins) in [
        ("SSLv2", "not offered"),
        ("SSLv3", "not offered"),
        ("TLS1", "not offered"),
        ("TLS1_1", "not offered"),
        ("TLS1_2", "offered"),
        ("TLS1_3", "offered"),
        ("heartbleed", "not vulnerable"),
    ] {
        let finding = findings.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{port}: no {id}\n{said}"));
        assert!(of(finding, "finding").starts_with(begins), "{port}: {finding}");
    }
    let sound = |finding: &&Value| ["OK", "INFO", "LOW"].contains(&of(finding, "severity").as_str());
    let missed: Vec<_> = LOOKED_FOR.iter().filter(|id| !findings.iter().filter(sound).any(|one| one["id"] == **id)).collect();
    assert!(missed.is_empty(), "{port}: {missed:?} were not looked for to the end\n{findings:#?}");
    let harmless = ["OK", "INFO", "LOW", "DEBUG", "WARN"];
    let weak: Vec<_> = findings
        .iter()
        .filter(|finding| !harmless.contains(&of(finding, "severity").as_str()) && !MEANT.contains(&of(finding, "id").as_str()))
        .collect();
    assert!(weak.is_empty(), "{port}: {weak:#?}");
}

fn sslyze(ours: &Posthouse, port: u16, starttls: bool, folder: &Path, pypi: &Path) {
    let file = folder.join(format!("sslyze-{port}.json"));
    let mut scan = scanner("/usr/bin/python3", folder);
    scan.args([
        "-m",
        "sslyze",
        "--mozilla_config",
        "disable",
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
        "--tlsv1_3",
    ]);
    scan.args(["--heartbleed", "--openssl_ccs", "--robot", "--reneg", "--compression", "--early_data", "--ems"]);
    if starttls {
        scan.args(["--starttls", "smtp"]);
    }
    scan.arg("--json_out").arg(&file).arg(format!("{}:{port}", ours.host)).env("PYTHONPATH", pypi);
    let said = ended(&mut scan, &folder.join(format!("sslyze-{port}.txt")));
    let told: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap_or_default())
        .unwrap_or_else(|why| panic!("{port}: {why}\n{said}"));
    let found = &told["server_scan_results"][0]["scan_result"];
    for (scan, key, right) in [
        ("ssl_2_0_cipher_suites", "is_tls_version_supported", Value::Bool(false)),
        ("ssl_3_0_cipher_suites", "is_tls_version_supported", Value::Bool(false)),
        ("tls_1_0_cipher_suites", "is_tls_version_supported", Value::Bool(false)),
        ("tls_1_1_cipher_suites", "is_tls_version_supported", Value::Bool(false)),
        ("tls_1_2_cipher_suites", "is_tls_version_supported", Value::Bool(true)),
        ("tls_1_3_cipher_suites", "is_tls_version_supported", Value::Bool(true)),
        ("tls_compression", "supports_compression", Value::Bool(false)),
        ("tls_1_3_early_data", "supports_early_data", Value::Bool(false)),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", Value::Bool(false)),
        ("heartbleed", "is_vulnerable_to_heartbleed", Value::Bool(false)),
        ("robot", "robot_result", "NOT_VULNERABLE_RSA_NOT_SUPPORTED".into()),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", Value::Bool(false)),
        ("tls_extended_master_secret", "supports_ems_extension", Value::Bool(true)),
    ] {
        assert_eq!(found[scan]["result"][key], right, "{port}: {scan}\n{said}");
    }
}

in_a_world! {
    fn a_ticket_of_one_service_is_worth_nothing_at_another(world) {
        let ours = ours(world);
        for version in ["-tls1_2", "-tls1_3"] {
            let ticket = world.folder("tickets").join(&version[1..]);
            let ticket = ticket.to_str().unwrap();
            for (port, words, kind) in [(465, ["-sess_out", ticket], "New, "), (465, ["-sess_in", ticket], "Reused, "), (995, ["-sess_in", ticket], "New, ")] {
                if kind != "Reused, " {
                    // A ticket is for one use: each time a fresh one of the first port's.
                    handshake(&ours, 465, version, &["-sess_out", ticket]);
                }
                let said = handshake(&ours, port, version, &words);
                assert!(said.contains(kind), "{version} {port} {words:?}:\n{said}");
            }
        }
    }

    fn a_browser_that_is_led_to_a_mail_port_brings_no_letter_and_gets_no_page(world) {
        let ours = ours(world);
        let commands = "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@posthouse.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n";
        let body = world.folder("browser").join("body");
        fs::write(&body, commands).unwrap();
        for (port, scheme) in [(25, "http"), (587, "http"), (110, "http"), (465, "https"), (995, "https")] {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(ours.ca()).arg("--data-binary");
            let output = try_to_end(curl.arg(format!("@{}", body.display())).arg(format!("{scheme}://{}:{port}/", ours.host)));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && output.stdout.is_empty(), "{port}: {said}");
            // TLS itself tells them apart (ALPN).
            assert_eq!(scheme == "https", said.contains("alert"), "{port}: {said}");
        }
        assert!(ours.take(world, 0).is_empty());
    }
}

fn handshake(ours: &Posthouse, port: u16, version: &str, words: &[&str]) -> String {
    let mut openssl = Command::new("openssl");
    openssl
        .args(["s_client", "-ign_eof", "-servername", &ours.host, "-connect", &format!("127.0.0.2:{port}"), version])
        .args(words);
    let mut running = openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(b"QUIT\r\n").unwrap();
    String::from_utf8_lossy(&running.wait_with_output().unwrap().stdout).into_owned()
}
