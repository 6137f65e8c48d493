//! What others know of our letters, for `posthouse domain check`.

use posthouse_directory::REPORTS;
use posthouse_dns::{Name, Resolver};
use posthouse_mail::Domain;
use posthouse_mailauth::dmarc::destinations;
use posthouse_mailauth::spf::{self, SpfResult};
use posthouse_transit::check::Finding;

/// Whether others know what to do with letters that only claim to be of the domain, and whom to tell of them.
pub(super) async fn dmarc(resolver: &Resolver, domain: &Domain) -> Finding {
    let subject = format!("_dmarc.{domain}");
    let wanted = format!("{REPORTS}@{domain}");
    let Ok(name) = Name::try_from(domain) else {
        return Finding { subject, right: false, words: "the name is too long for the DNS".to_owned() };
    };
    let (right, words) = match destinations(resolver.as_ref(), &name).await {
        Err(error) => (false, format!("cannot be read now: {error}")),
        Ok(found) if found.is_empty() => {
            (false, format!("asks nobody for reports, or those it asks do not agree; publish `rua=mailto:{wanted}`"))
        }
        Ok(found) => {
            let places: Vec<_> = found.iter().map(|one| one.address.to_string()).collect();
            let is_read = if places.contains(&wanted) { "; those are read here (posthouse reports)" } else { "" };
            (true, format!("asks for reports to {}{is_read}", places.join(", ")))
        }
    };
    Finding { subject, right, words }
}

/// Whether SPF passes for what the host writes itself: bounces and reports have no sender, and then its own name counts (RFC 7208 §2.4).
pub(super) async fn own_letters(resolver: &Resolver, hostname: &Domain) -> Vec<Finding> {
    let addresses = match resolver.addresses(hostname).await {
        Ok(answer) => answer.value,
        Err(error) => {
            let words = format!("has no address that can be read: {error}");
            return vec![Finding { subject: hostname.to_string(), right: false, words }];
        }
    };
    let mut findings = Vec::new();
    for ip in addresses {
        let question = spf::Question { ip, helo: hostname.as_str(), mail_from: "", receiver: hostname.as_str(), now: 0 };
        let found = spf::check(resolver.as_ref(), question).await;
        let right = found.result == SpfResult::Pass;
        let publish = if right { String::new() } else { format!("; publish `{hostname} TXT \"v=spf1 a -all\"`") };
        let words = format!("bounces and reports from {ip}: SPF says {} ({}){publish}", found.result, found.reason);
        findings.push(Finding { subject: hostname.to_string(), right, words });
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthouse_dns::Zone;

    use super::*;

    fn looked(zone: &str) -> (Finding, Vec<Finding>) {
        let resolver: Resolver = Arc::new(Zone::of(zone).unwrap());
        let looked = async {
            let (domain, host) = ("ours.test".parse().unwrap(), "mail.ours.test".parse().unwrap());
            (dmarc(&resolver, &domain).await, own_letters(&resolver, &host).await)
        };
        posthouse_runtime::block_on(looked).unwrap()
    }

    #[test]
    fn where_reports_go_and_whether_bounces_pass_spf() {
        let (record, letters) = looked(
            "_dmarc.ours.test TXT v=DMARC1; p=none; rua=mailto:reports@ours.test\nmail.ours.test A 192.0.2.1\nmail.ours.test TXT v=spf1 a -all",
        );
        assert!(record.right && record.words.contains("read here"), "{record:?}");
        assert!(letters.len() == 1 && letters[0].right, "{letters:?}");
        let (record, letters) = looked("_dmarc.ours.test TXT v=DMARC1; rua=mailto:x@other.test\nmail.ours.test A 192.0.2.1");
        assert!(!record.right && record.words.contains("rua=mailto:reports@ours.test"), "{record:?}");
        assert!(!letters[0].right && letters[0].words.contains("mail.ours.test TXT \"v=spf1 a -all\""), "{letters:?}");
        let (record, letters) = looked("_dmarc.ours.test SERVFAIL\nmail.ours.test SERVFAIL");
        assert!(!record.right && !letters[0].right);
    }
}
