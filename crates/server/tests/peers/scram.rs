//! Libraries of others that log in by SCRAM, with SHA-1 and SHA-256, bound to the connection, to the certificate, or not at all.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::posthouse::{PASSWORD, Posthouse, posthouse};
use crate::servers::postfix;
use crate::world::{World, eventually, in_a_world, program, run_to_end, run_with_pypi};

fn ours(world: &World) -> Posthouse {
    Posthouse::start(world, "posthouse.test", "127.0.0.2")
}

/// What scramp was offered and told at a port with TLS from the start.
fn scramp(ours: &Posthouse, pypi: &Path, way: (&str, &str), mechanism: &str, binding: &str, password: &str) -> (String, String) {
    let (protocol, tls) = way;
    let port = if protocol == "smtp" { "465" } else { "995" };
    let mut scramp = program("scram.py");
    scramp.args([protocol, &ours.host, port]).arg(ours.ca()).args([tls, mechanism, binding, &ours.at("alice"), password]);
    let said = run_to_end(scramp.env("PYTHONPATH", pypi));
    let (offer, end) = said.trim_end().split_once('\n').unwrap();
    (offer.to_owned(), end.to_owned())
}

/// msmtp, with GNU SASL, at 587; to the end of the log-in and a letter.
fn msmtp(ours: &Posthouse, mechanism: &str, password: &str, versions: &str) -> (bool, String) {
    let mut msmtp = Command::new("msmtp");
    msmtp.args(["--debug", "--port=587", "--tls=on", "--tls-starttls=on"]).arg(format!("--host={}", ours.host));
    msmtp.arg(format!("--tls-trust-file={}", ours.ca().display())).arg(format!("--tls-priorities=NORMAL{versions}"));
    msmtp.arg(format!("--auth={mechanism}")).arg(format!("--user={}", ours.at("alice")));
    msmtp
        .arg(format!("--passwordeval=echo {password}"))
        .arg(format!("--from={}", ours.at("alice")))
        .arg("--")
        .arg(ours.at("bob"));
    let mut child = msmtp.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"Subject: by SCRAM\n\nHello\n").unwrap();
    let output = child.wait_with_output().unwrap();
    (output.status.success(), format!("{output:?}"))
}

#[test]
fn scramp_is_bound_to_the_certificate_under_both_versions_of_tls() {
    let name = concat!(module_path!(), "::scramp_is_bound_to_the_certificate_under_both_versions_of_tls");
    run_with_pypi(name, "scramp", |world, pypi| {
        let ours = ours(world);
        for (protocol, good, bad) in [("smtp", "235 2.7.0", "535 5.7.8"), ("pop3", "+OK", "-ERR [AUTH]")] {
            for tls in ["1.2", "1.3"] {
                for hash in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
                    let plus = format!("{hash}-PLUS");
                    let (offer, end) = scramp(&ours, pypi, (protocol, tls), &plus, "tls-server-end-point", PASSWORD);
                    let offered: Vec<&str> = offer.split(' ').collect();
                    assert!(offered.contains(&plus.as_str()) && offered.contains(&hash), "{protocol} {tls} {offer}");
                    assert!(end.starts_with(good), "{protocol} {tls} {plus}: {end}");
                    let (_, end) = scramp(&ours, pypi, (protocol, tls), hash, "none", PASSWORD);
                    assert!(end.starts_with(good), "{protocol} {tls} {hash}: {end}");
                    let (_, end) = scramp(&ours, pypi, (protocol, tls), &plus, "another's", PASSWORD);
                    assert!(end.starts_with(bad), "{protocol} {tls} {plus}: {end}");
                    // Its own binding, and no -PLUS: it must believe that there was none in the offer.
                    let (_, end) = scramp(&ours, pypi, (protocol, tls), hash, "tls-server-end-point", PASSWORD);
                    assert!(end.starts_with(bad), "{protocol} {tls} {plus}: {end}");
                }
            }
            let (_, end) = scramp(&ours, pypi, (protocol, "1.3"), "SCRAM-SHA-1-PLUS", "tls-server-end-point", "wrong");
            assert!(end.starts_with(bad), "{protocol}: {end}");
        }
    });
}

in_a_world! {
    fn gnu_sasl_in_msmtp_logs_in_by_both_hashes(world) {
        let ours = ours(world);
        for mechanism in ["scram-sha-1", "scram-sha-256"] {
            for version in ["1.2", "1.3"] {
                let (good, said) = msmtp(&ours, mechanism, PASSWORD, &format!(":-VERS-ALL:+VERS-TLS{version}"));
                assert!(good, "{said}");
            }
            let (good, said) = msmtp(&ours, mechanism, "wrong", "");
            assert!(!good && said.contains("535 5.7.8"), "{said}");
        }
        let logins = run_to_end(posthouse().args(["trace", &ours.at("alice"), "--config"]).arg(ours.config()));
        for mechanism in ["SCRAM-SHA-1", "SCRAM-SHA-256"] {
            assert!(logins.contains(&format!("logged in over smtp by {mechanism},")), "{logins}");
        }
    }

    fn cyrus_sasl_in_postfix_logs_in_by_sha1(world) {
        let (ours, _postfix) = (ours(world), postfix(world));
        let ca = ours.ca();
        for setting in [
            "relayhost=[mx.posthouse.test]:587".to_owned(),
            "smtp_sasl_auth_enable=yes".to_owned(),
            format!("smtp_sasl_password_maps=inline:{{ {{ [mx.posthouse.test]:587 = {}:{PASSWORD} }} }}", ours.at("alice")),
            "smtp_sasl_mechanism_filter=scram-sha-1".to_owned(),
            "smtp_tls_policy_maps=".to_owned(),
            "smtp_tls_security_level=verify".to_owned(),
            format!("smtp_tls_CAfile={}", ca.display()),
        ] {
            run_to_end(Command::new("postconf").args(["-e", &setting]));
        }
        run_to_end(Command::new("postfix").arg("reload"));
        let (alice, bob) = (ours.at("alice"), ours.at("bob"));
        run_to_end(Command::new("swaks").args(["--server", "127.0.0.3", "--from", &alice, "--to", &bob, "--header", "Subject: by SCRAM"]));
        let letters = ours.take(world, 1);
        assert!(String::from_utf8_lossy(&letters[0]).contains("Subject: by SCRAM"));
        let logins = eventually("a log-in by SCRAM-SHA-1", || {
            let logins = run_to_end(posthouse().args(["trace", &alice, "--config"]).arg(ours.config()));
            logins.contains("SCRAM-SHA-1").then_some(logins)
        });
        assert!(!logins.contains("refused"), "{logins}");
    }
}
