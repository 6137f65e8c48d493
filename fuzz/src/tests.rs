use std::path::Path;

use super::*;

/// The mutations of each file.
const MUTATIONS: u32 = 200;

/// Numbers without a clock or a generator of the system: the same run every time.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(n.max(1)).unwrap()).unwrap()
    }
}

/// Octets that mean something in mail, put where they do not belong.
const TOKENS: [&[u8]; 16] =
    [b"\r\n", b"\r", b"\n", b"\0", b".", b"\r\n.\r\n", b"<", b">", b"@", b"\"", b"\\", b"+0A", b"=", b" ", b"\xff", b"\xc3\xb6"];

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora").join(name);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 5, "{name} has a corpus");
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    corpus.iter().for_each(|seed| target(seed));
    let mut draws = Draws(0x9E37_79B9_7F4A_7C15);
    for seed in &corpus {
        for _ in 0..MUTATIONS {
            target(&mutated(seed, &corpus, &mut draws));
        }
    }
}

fn mutated(seed: &[u8], corpus: &[Vec<u8>], draws: &mut Draws) -> Vec<u8> {
    let mut octets = seed.to_vec();
    for _ in 0..=draws.below(4) {
        let at = draws.below(octets.len() + 1);
        match draws.below(6) {
            0 => octets.truncate(at),
            1 => drop(octets.splice(at..at, TOKENS[draws.below(TOKENS.len())].iter().copied())),
            2 if at < octets.len() => octets[at] = u8::try_from(draws.below(256)).unwrap(),
            3 if at < octets.len() => drop(octets.remove(at)),
            4 => {
                let end = (at + draws.below(40)).min(octets.len());
                octets.extend_from_within(at..end);
            }
            _ => {
                let other = &corpus[draws.below(corpus.len())];
                let from = draws.below(other.len() + 1);
                octets.truncate(at);
                octets.extend_from_slice(&other[from..]);
            }
        }
    }
    octets
}

#[test]
fn commands() {
    replay("command", command);
}

#[test]
fn replies() {
    replay("reply", reply);
}

#[test]
fn paths() {
    replay("path", path);
}

#[test]
fn dotted_letters() {
    replay("dot_body", dot_body);
}

#[test]
fn letters_in_chunks() {
    replay("bdat_body", bdat_body);
}

#[test]
fn server_sessions() {
    replay("server_session", server_session);
}

#[test]
fn proxy_headers() {
    replay("proxy_header", proxy_header);
}

#[test]
fn zones_of_senders() {
    replay("sender_zone", sender_zone);
}

#[test]
fn letters_of_senders() {
    replay("sender_letter", sender_letter);
}

#[test]
fn reports_on_letters() {
    replay("dmarc_report", dmarc_report);
}

#[test]
fn reports_on_tls() {
    replay("tls_report", tls_report);
}

#[test]
fn feedback_on_single_letters() {
    replay("feedback", feedback);
}

#[test]
fn letters_with_reports() {
    replay("report_letter", report_letter);
}

#[test]
fn senders_of_forwarded_letters() {
    replay("srs_address", srs_address);
}

#[test]
fn policies_of_domains() {
    replay("mta_sts_policy", mta_sts_policy);
}

#[test]
fn records_on_tls() {
    replay("tls_records", tls_records);
}

#[test]
fn tlsa_records_and_certificates() {
    replay("tlsa", tlsa);
}

#[test]
fn tokens_and_keys() {
    replay("token", token);
}
