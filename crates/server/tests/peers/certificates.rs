//! Programs of others, and our own client, that log in with a certificate (EXTERNAL), on 587, 465 and 995.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use posthouse_client::{CertificateFiles, Mailer, Message, Roots};
use posthouse_testkit::certificates::{Authority, Ends, Issued, Wanted};

use crate::posthouse::{Posthouse, posthouse};
use crate::world::{World, attempt, in_a_world, program, run_to_end};

/// A server that believes an authority of clients.
struct Site {
    authority: Authority,
    ours: Posthouse,
    folder: PathBuf,
}

impl Site {
    fn start(world: &World) -> Self {
        let (authority, folder) = (Authority::new(), world.folder("clients"));
        fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
        let more = format!("[tls]\nclient-ca = \"{}\"\n", folder.join("ca.pem").display());
        let ours = Posthouse::start_with(world, "posthouse.test", "127.0.0.2", "", &more);
        Self { authority, ours, folder }
    }

    fn files(&self, name: &str, issued: &Issued) -> CertificateFiles {
        let files =
            CertificateFiles { cert: self.folder.join(format!("{name}.pem")), key: self.folder.join(format!("{name}.key")) };
        fs::write(&files.cert, &issued.cert).unwrap();
        fs::write(&files.key, &issued.key).unwrap();
        files
    }

    /// What smtplib hears that shows a certificate.
    fn smtplib(&self, files: &CertificateFiles, authzid: &str) -> String {
        let alice = self.ours.at("alice");
        let mut send = program("send_certificate.py");
        send.args([&self.ours.host, "587"]).arg(self.ours.ca()).args([&files.cert, &files.key]).args([authzid, &alice, &alice]);
        run_to_end(&mut send).trim_end().to_owned()
    }
}

in_a_world! {
    fn a_certificate_sends_and_reads_for_its_account_without_a_password(world) {
        let site = Site::start(world);
        let alice = site.ours.at("alice");
        let files = site.files("alice", &site.authority.issue(&Wanted { emails: &[&alice], ..Wanted::default() }));
        assert_eq!(site.smtplib(&files, ""), "sent");
        assert_eq!(site.smtplib(&files, &alice), "sent");
        for url in ["smtp+starttls://mx.posthouse.test:587", "smtps://mx.posthouse.test:465"] {
            let mailer = Mailer::builder(url).unwrap().roots(Roots::PemFile(site.ours.ca())).certificate(files.clone()).build().unwrap();
            let message = Message::builder().from(&alice).to(&alice).subject("by certificate").text("x").build().unwrap();
            let sent = posthouse_runtime::block_on(async { mailer.send(&message).await.map(|report| report.is_complete()) }).unwrap();
            assert!(sent.unwrap(), "{url}");
        }
        let came = attempt(|| {
            let mut curl = Command::new("curl");
            curl.args(["--silent", "--show-error", "--url", "pop3s://mx.posthouse.test:995/"]).arg("--cacert").arg(site.ours.ca());
            curl.arg("--cert").arg(&files.cert).arg("--key").arg(&files.key).args(["--user", &format!("{alice}:")]);
            let output = curl.args(["--login-options", "AUTH=EXTERNAL"]).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            (String::from_utf8_lossy(&output.stdout).lines().count() == 4).then_some(())
        });
        assert!(came.is_some(), "{}", site.ours.log());
    }

    fn a_certificate_of_somebody_else_lets_nobody_in(world) {
        let site = Site::start(world);
        let (alice, bob) = (site.ours.at("alice"), site.ours.at("bob"));
        let own = Wanted { emails: &[&alice], ..Wanted::default() };
        let rows = [
            (site.authority.issue(&Wanted { emails: &[&bob], ..Wanted::default() }), &*alice, "535"),
            (site.authority.issue(&Wanted { common_name: &alice, ..Wanted::default() }), &*alice, "535"),
            (site.authority.issue(&Wanted { common_name: &alice, ..Wanted::default() }), "", "535"),
            (site.authority.issue(&Wanted { emails: &["alice@posthouse.test\0.evil.test"], ..Wanted::default() }), "", "535"),
            (site.authority.issue(&Wanted { ends: Ends::Past, ..own.clone() }), "", "not offered"),
            (site.authority.issue(&Wanted { for_servers: true, ..own.clone() }), "", "not offered"),
            (Authority::new().issue(&own), "", "not offered"),
        ];
        for (place, (issued, authzid, expected)) in rows.into_iter().enumerate() {
            assert_eq!(site.smtplib(&site.files("other", &issued), authzid), expected, "row {place}");
        }
        let told = run_to_end(posthouse().args(["trace", &alice, "--config"]).arg(site.ours.config()));
        assert!(told.contains("EXTERNAL") && told.contains("is not that of such an account"), "{told}");
        // Other servers are not asked for one.
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-starttls", "smtp", "-connect", "mx.posthouse.test:25"]).stdin(std::process::Stdio::null());
        let output = openssl.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("No client certificate CA names sent"), "{said}");
    }
}
