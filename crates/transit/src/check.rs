//! Whether our own MTA-STS policy is the same in the configuration, on the web and in the DNS, and whether reports on it find their way.
//!
//! It looks from outside, as another server would: through the resolver, over HTTPS, with certificates verified.

use posthouse_dns::{DnsError, MxAnswer, Resolver};
use posthouse_http::Client;
use posthouse_mail::Domain;
use posthouse_mailauth::mta_sts::{HOST_LABEL, Mode, Policy, RECORD_LABEL, Record};
use posthouse_mailauth::tls_rpt::{self, RECORD_LABELS};
use serde::Serialize;

use crate::fetch;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: a name of the DNS, or a URL.
    pub subject: String,
    /// Whether it is as it should be.
    pub right: bool,
    /// What was found, and what to do when it is not right.
    pub words: String,
}

/// A record that the DNS of a domain should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: &'static str,
    /// The text, or the name it leads to.
    pub value: String,
}

/// The records for a policy of ours: where its host is, and that it is there. Its `id` changes when the policy does.
#[must_use]
pub fn records(domain: &Domain, hostname: &Domain, policy: &Policy) -> Vec<Wanted> {
    vec![
        Wanted { name: format!("{HOST_LABEL}.{domain}"), kind: "CNAME", value: format!("{hostname}.") },
        Wanted { name: format!("{RECORD_LABEL}.{domain}"), kind: "TXT", value: format!("v=STSv1; id={};", policy.id()) },
    ]
}

/// Looks at a domain of ours. `policy` is what is configured, `port` where policies are fetched.
pub async fn examine(resolver: &Resolver, client: &Client, domain: &Domain, policy: Option<&Policy>, port: u16) -> Vec<Finding> {
    let mut findings = vec![record(resolver, domain, policy).await];
    if let Some(policy) = policy {
        findings.push(served(client, domain, policy, port).await);
        findings.extend(hosts(resolver, domain, policy).await);
    }
    findings.push(reports(resolver, domain).await);
    findings
}

/// The mail hosts of a domain of ours that announces the policy and whose mail it keeps from them; `None`: there is none, or nobody can tell now.
pub async fn uncovered(resolver: &Resolver, domain: &Domain, policy: &Policy) -> Option<String> {
    let texts = texts(resolver, &format!("{RECORD_LABEL}.{domain}")).await.ok()?;
    if policy.mode == Mode::None || !matches!(Record::read(&texts), Ok(Some(_))) {
        return None;
    }
    let MxAnswer::Hosts(hosts) = resolver.mx(domain).await.ok()?.value else { return None };
    let left_out: Vec<_> = hosts.iter().filter(|mx| !policy.allows(&mx.host)).map(|mx| mx.host.to_string()).collect();
    let what =
        if policy.mode == Mode::Enforce { "gets no mail from those who obey it" } else { "is reported by those who test it" };
    (!left_out.is_empty()).then(|| format!("the MTA-STS policy does not allow {}, which {what}", left_out.join(", ")))
}

async fn record(resolver: &Resolver, domain: &Domain, policy: Option<&Policy>) -> Finding {
    let subject = format!("{RECORD_LABEL}.{domain}");
    let (right, words) = match (texts(resolver, &subject).await.map(|texts| Record::read(&texts)), policy) {
        (Err(why), _) => (false, why),
        (Ok(Err(error)), _) => (false, error.to_string()),
        (Ok(Ok(None)), None) => (true, "there is no policy, here and in the DNS".to_owned()),
        (Ok(Ok(None)), Some(policy)) => (false, format!("there is no record; publish `v=STSv1; id={};`", policy.id())),
        (Ok(Ok(Some(_))), None) => (
            false,
            "a policy is announced and none is configured here; set [mta-sts.serve], with `mode = \"none\"` to take it back"
                .to_owned(),
        ),
        (Ok(Ok(Some(found))), Some(policy)) if found.id() == policy.id() => {
            (true, format!("announces the policy, id {}", found.id()))
        }
        (Ok(Ok(Some(found))), Some(policy)) => (
            false,
            format!(
                "has the id {}, and that of the configured policy is {}: servers that know the old one keep it",
                found.id(),
                policy.id()
            ),
        ),
    };
    Finding { subject, right, words }
}

async fn served(client: &Client, domain: &Domain, policy: &Policy, port: u16) -> Finding {
    let subject = format!("https://{HOST_LABEL}.{domain}");
    let (right, words) = match fetch::policy(client, domain, port).await {
        Ok(found) if found == *policy => (true, format!("serves the policy, mode {}", found.mode)),
        Ok(found) => (
            false,
            format!("serves another policy (id {}, mode {}) than the configured one; reload the server", found.id(), found.mode),
        ),
        Err(error) => (false, error.to_string()),
    };
    Finding { subject, right, words }
}

/// Every host of the MX records is to be allowed: an enforced policy keeps mail from the others.
async fn hosts(resolver: &Resolver, domain: &Domain, policy: &Policy) -> Vec<Finding> {
    let one = |subject: String, right: bool, words: String| Finding { subject, right, words };
    match resolver.mx(domain).await {
        Ok(answer) => match answer.value {
            MxAnswer::Null => vec![one(domain.to_string(), false, "takes no mail (null MX)".to_owned())],
            MxAnswer::Hosts(hosts) => hosts
                .into_iter()
                .map(|mx| {
                    let right = policy.allows(&mx.host);
                    let words = if right {
                        "is a mail host that the policy allows"
                    } else {
                        "is a mail host and not in the policy: add it to `mx`"
                    };
                    one(mx.host.to_string(), right, words.to_owned())
                })
                .collect(),
        },
        Err(error) => vec![one(domain.to_string(), false, format!("has no MX records that can be read: {error}"))],
    }
}

async fn reports(resolver: &Resolver, domain: &Domain) -> Finding {
    let subject = format!("{RECORD_LABELS}.{domain}");
    let (right, words) = match texts(resolver, &subject).await.map(|texts| tls_rpt::Record::read(&texts)) {
        Err(why) => (false, why),
        Ok(Err(error)) => (false, error.to_string()),
        Ok(Ok(None)) => (true, "nobody is asked to report on TLS".to_owned()),
        Ok(Ok(Some(record))) => {
            let places: Vec<_> = record.destinations().iter().map(ToString::to_string).collect();
            (true, format!("asks for reports to {}", places.join(", ")))
        }
    };
    Finding { subject, right, words }
}

/// The texts at a name; none when there are none.
async fn texts(resolver: &Resolver, name: &str) -> Result<Vec<Vec<u8>>, String> {
    let name: Domain = name.parse().map_err(|_| "the name is too long for the DNS".to_owned())?;
    match resolver.txt(&name).await {
        Ok(answer) => Ok(answer.value),
        Err(DnsError::NoData | DnsError::NoSuchDomain) => Ok(Vec::new()),
        Err(DnsError::Temporary(why)) => Err(format!("cannot be read now: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthouse_dns::Zone;

    use super::*;

    /// What is wrong under a zone, where the policy allows `mx.a.test` in this mode.
    fn told(mode: &str, zone: &str) -> Option<String> {
        let text = format!("version: STSv1\nmode: {mode}\nmx: mx.a.test\nmax_age: 86400\n");
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let resolver: Resolver = Arc::new(Zone::of(zone).unwrap());
        posthouse_runtime::block_on(uncovered(&resolver, &"a.test".parse().unwrap(), &policy)).unwrap()
    }

    #[test]
    fn a_mail_host_that_an_announced_policy_leaves_out_is_told_of() {
        let announced = "_mta-sts.a.test TXT v=STSv1; id=1;";
        let two = format!("{announced}\na.test MX 10 mx.a.test\na.test MX 20 old.a.test");
        assert!(told("enforce", &two).unwrap().contains("does not allow old.a.test, which gets no mail"));
        assert!(told("testing", &two).unwrap().contains("is reported"));
        for (name, mode, zone) in [
            ("it is taken back", "none", two.clone()),
            ("nobody knows of it", "enforce", two.replace(announced, "")),
            ("all are allowed", "enforce", two.replace("\na.test MX 20 old.a.test", "")),
            ("nobody can tell", "enforce", format!("{announced}\na.test SERVFAIL")),
        ] {
            assert_eq!(told(mode, &zone), None, "{name}");
        }
    }
}
