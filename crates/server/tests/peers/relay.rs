//! Letters between Posthouse and the servers of others, both ways, found through MX records of a real name server.
//!
//! What arrives must be what was sent, byte for byte; only headers at the top may have been added.

use crate::posthouse::Posthouse;
use crate::servers::{self, Server};
use crate::world::{World, in_a_world, program, run_to_end};
use posthouse_testkit::letters::{self, Sample};
use std::fs;
use std::path::PathBuf;

const MEGABYTE: usize = 1_000_000;

fn ours(world: &World) -> Posthouse {
    Posthouse::start(world, "posthouse.test", "127.0.0.2")
}

fn file(world: &World, bytes: &[u8]) -> PathBuf {
    let file = world.folder("letters").join("letter.eml");
    fs::write(&file, bytes).unwrap();
    file
}

fn options(sample: &Sample) -> &'static str {
    match (sample.eight_bit, sample.smtputf8) {
        (_, true) => "BODY=8BITMIME SMTPUTF8",
        (true, false) => "BODY=8BITMIME",
        (false, false) => "",
    }
}

/// The samples that this server can take.
fn samples(server: &Server) -> Vec<Sample> {
    letters::samples().into_iter().filter(|sample| server.smtputf8 || !sample.smtputf8).collect()
}

/// An international letter has an international recipient.
fn recipient(sample: &Sample, domain: &str) -> String {
    if sample.smtputf8 { format!("bøb@{domain}") } else { format!("bob@{domain}") }
}

/// Mailboxes of the others keep LF.
pub(crate) fn with_lf(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|&byte| byte != b'\r').collect()
}

pub(crate) fn assert_kept(name: &str, sent: &[u8], arrived: &[u8]) {
    assert!(arrived.ends_with(sent), "{name}: {} bytes sent, arrived as\n{}", sent.len(), shown(arrived));
    let added = String::from_utf8_lossy(&arrived[..arrived.len() - sent.len()]);
    assert!(!added.contains("\n\n") && !added.contains("\n\r\n"), "{name}: more than headers was added:\n{added}");
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned()
}

/// Hands a letter to one of the others, who relays for this machine.
fn give(world: &World, server: &Server, bytes: &[u8], options: &str, to: &[String]) {
    let file = file(world, bytes);
    let mut send = program("send.py");
    send.arg(file).args([server.address, "25", "plain", "-", "", "", "carol@client.test", options]).args(to);
    assert_eq!(run_to_end(&mut send), "{}\n");
}

fn every_sample_goes_to(world: &World, server: &Server) {
    let ours = ours(world);
    for sample in samples(server) {
        let to = [recipient(&sample, server.domain)];
        assert_eq!(ours.submit(&file(world, &sample.bytes), options(&sample), &to), "{}\n");
        let arrived = server.take(1);
        assert_kept(sample.name, &with_lf(&sample.bytes), &arrived[0]);
    }
}

fn a_large_letter_goes_to(world: &World, server: &Server) {
    let ours = ours(world);
    let bytes = letters::with_attachment("large", 20 * MEGABYTE);
    assert_eq!(ours.submit(&file(world, &bytes), "", &[format!("bob@{}", server.domain)]), "{}\n");
    assert_kept("large", &with_lf(&bytes), &server.take(1)[0]);
}

fn a_hundred_recipients_at(world: &World, server: &Server) {
    let ours = ours(world);
    let bytes = letters::letter("hundred", b"Hello all.\r\n");
    assert_eq!(ours.submit(&file(world, &bytes), "", &letters::recipients(100, server.domain)), "{}\n");
    for arrived in server.take(100) {
        assert_kept("hundred", &with_lf(&bytes), &arrived);
    }
}

fn every_sample_comes_from(world: &World, server: &Server) {
    let ours = ours(world);
    for sample in samples(server) {
        give(world, server, &sample.bytes, options(&sample), &[recipient(&sample, &ours.domain)]);
        let arrived = ours.take(world, 1);
        assert_kept(sample.name, &sample.bytes, &arrived[0]);
    }
}

fn a_large_letter_comes_from(world: &World, server: &Server) {
    let ours = ours(world);
    let bytes = letters::with_attachment("large", 20 * MEGABYTE);
    give(world, server, &bytes, "", &[ours.at("bob")]);
    assert_kept("large", &bytes, &ours.take(world, 1)[0]);
}

fn a_hundred_recipients_from(world: &World, server: &Server) {
    let ours = ours(world);
    let bytes = letters::letter("hundred", b"Hello all.\r\n");
    give(world, server, &bytes, "", &letters::recipients(100, &ours.domain));
    let mut arrived = ours.take(world, 100);
    arrived.iter().for_each(|letter| assert_kept("hundred", &bytes, letter));
    // Each was delivered to its own address.
    arrived.sort_unstable();
    arrived.dedup();
    assert_eq!(arrived.len(), 100);
}

in_a_world! {
    fn every_sample_goes_to_postfix_over_tls(world) {
        let postfix = servers::postfix(world);
        every_sample_goes_to(world, &postfix);
        let log = postfix.log();
        assert!(log.contains("TLS connection established from"), "{log}");
    }

    fn twenty_megabytes_go_to_postfix(world) {
        a_large_letter_goes_to(world, &servers::postfix(world));
    }

    fn a_hundred_recipients_at_postfix(world) {
        a_hundred_recipients_at(world, &servers::postfix(world));
    }

    fn every_sample_comes_from_postfix_over_tls(world) {
        every_sample_comes_from(world, &servers::postfix(world));
    }

    fn twenty_megabytes_come_from_postfix(world) {
        a_large_letter_comes_from(world, &servers::postfix(world));
    }

    fn a_hundred_recipients_from_postfix(world) {
        a_hundred_recipients_from(world, &servers::postfix(world));
    }

    fn every_sample_goes_to_exim_over_tls(world) {
        let exim = servers::exim(world);
        every_sample_goes_to(world, &exim);
        let log = exim.log();
        assert!(log.contains(" X=TLS1.3:"), "{log}");
    }

    fn twenty_megabytes_go_to_exim(world) {
        a_large_letter_goes_to(world, &servers::exim(world));
    }

    fn a_hundred_recipients_at_exim(world) {
        a_hundred_recipients_at(world, &servers::exim(world));
    }

    fn every_sample_comes_from_exim_over_tls(world) {
        every_sample_comes_from(world, &servers::exim(world));
    }

    fn twenty_megabytes_come_from_exim(world) {
        a_large_letter_comes_from(world, &servers::exim(world));
    }

    fn a_hundred_recipients_from_exim(world) {
        a_hundred_recipients_from(world, &servers::exim(world));
    }

    fn every_sample_goes_to_opensmtpd_without_tls(world) {
        every_sample_goes_to(world, &servers::opensmtpd(world));
    }

    fn twenty_megabytes_go_to_opensmtpd(world) {
        a_large_letter_goes_to(world, &servers::opensmtpd(world));
    }

    fn every_sample_comes_from_opensmtpd(world) {
        every_sample_comes_from(world, &servers::opensmtpd(world));
    }

    fn twenty_megabytes_come_from_opensmtpd(world) {
        a_large_letter_comes_from(world, &servers::opensmtpd(world));
    }

    fn a_hundred_recipients_from_opensmtpd(world) {
        a_hundred_recipients_from(world, &servers::opensmtpd(world));
    }

    /// The fixtures alone, so that a failure above is known to be ours.
    fn the_others_reach_each_other(world) {
        let all = [servers::postfix(world), servers::exim(world), servers::opensmtpd(world)];
        for from in &all {
            for to in &all {
                for sample in letters::samples().iter().filter(|sample| ["dots", "long-lines", "eight-bit"].contains(&sample.name)) {
                    give(world, from, &sample.bytes, options(sample), &[format!("bob@{}", to.domain)]);
                    let name = format!("{}, {} to {}", sample.name, from.domain, to.domain);
                    assert_kept(&name, &with_lf(&sample.bytes), &to.take(1)[0]);
                }
            }
        }
    }
}
