//! Failure reports (RFC 9991): a letter that is forged in the name of a domain that wants to know of it at once.

use posthouse_testkit::name_server::NameServer;

use crate::common::{Site, Smtp, posthouse, until};

#[test]
fn a_forged_letter_is_taken_as_its_domain_asks_and_told_at_once_with_its_header_alone() {
    let names = NameServer::start(
        "example.test TXT v=spf1 -all\nexample.test MX 10 mail.example.test\n_dmarc.example.test TXT v=DMARC1; p=none; fo=1; ruf=mailto:bob@example.test",
    );
    let site = Site::new(&["mx"], "[intake.senders]\nexempt = []\n[dmarc-reports]\nfailures = true\n");
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("127.0.0.1:1\"", &format!("{}\"", names.address()))).unwrap();
    let server = site.start();
    let mut smtp = Smtp::open(server.address("mx")).unwrap();
    let forged = "From: Boss <boss@example.test>\r\nSubject: transfer\r\n\r\nAll of it, today.\r\n";
    let id = smtp.send("boss@example.test", "alice@example.test", forged).unwrap();
    site.wait_for("alice", id);
    let report = site.wait_for_any("bob");
    for said in [
        "Return-Path: <>",
        "Auto-Submitted: auto-generated",
        "Content-Type: message/feedback-report",
        "Feedback-Type: auth-failure",
        "Reported-Domain: example.test",
        "Source-IP: 127.0.0.1",
        "Subject: transfer",
    ] {
        assert!(report.contains(said), "no `{said}` in {report}");
    }
    assert!(!report.contains("alice@") && !report.contains("All of it"), "neither whom it was for nor what it says: {report}");
    let output = |words: &[&str]| {
        let output = posthouse().args(words).arg("--config").arg(site.config()).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    until("the report among those that were sent", || output(&["reports", "sent"]).contains("example.test").then_some(()));
    let timeline = output(&["trace", &id.to_string()]);
    assert!(timeline.contains("bob@example.test"), "{timeline}");
    server.stop();
}
