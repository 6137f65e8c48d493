//! What the DNS should say of our certificate (DANE), and whether it does.
//!
//! The record of a key that is to come stands beside that of the key in use: a certificate whose record is not known everywhere yet makes
//! servers that obey DANE keep their letters (RFC 7671 §8.1).

use posthouse_admin::DnsRecord;
use posthouse_dns::{DnsError, Kind, Name, Record, Resolver, Tlsa};
use posthouse_mail::Domain;
use posthouse_mailauth::dane;
use posthouse_runtime::tls::{PublicKey, TlsError};
use posthouse_transit::check::Finding;

use crate::cli::{Exit, Failure};
use crate::config::Config;
use crate::serve::{acme_store, certificate_files};

/// The records of the key in use, and of the one to come.
pub(crate) struct Keys {
    owner: String,
    shown: Option<Tlsa>,
    next: Option<Tlsa>,
}

/// Where the records of a mail host stand (RFC 7672 §2.2).
pub(crate) fn owner(host: &Domain) -> String {
    format!("_25._tcp.{host}")
}

impl Keys {
    /// Reads the certificate that is shown to servers that ask for `host`, or the authority of our own that issues it.
    pub(crate) fn read(config: &Config, host: &Domain) -> Result<Self, Failure> {
        let failed = |error: TlsError| Failure::new(Exit::Config, error);
        let of_acme = || {
            let path = acme_store(config).next_key_path();
            (config.tls.publish_tlsa && config.tls.acme.is_some() && path.exists()).then_some(path)
        };
        let next = config.tls.next_key.clone().or_else(of_acme);
        let next = next.as_deref().map(PublicKey::of_private_key).transpose().map_err(failed)?;
        let files = certificate_files(config);
        let certificates = files.iter().map(|files| PublicKey::of_certificate(&files.cert));
        let keys: Vec<PublicKey> = certificates.collect::<Result<_, _>>().map_err(failed)?;
        let shown = keys.iter().find(|key| key.is_for(host.as_str())).or_else(|| keys.first());
        let shown = match shown {
            Some(key) => Some(dane::record_of_host(&key.spki)),
            None => {
                // Its certificates change with each start; the authority stays.
                let authority = config.data.join("ca/ca.pem");
                let key = authority.exists().then(|| PublicKey::of_certificate(&authority)).transpose().map_err(failed)?;
                key.map(|key| dane::record_of_authority(&key.spki))
            }
        };
        let next = next.map(|key| dane::record_of_host(&key.spki)).filter(|next| shown.as_ref() != Some(next));
        Ok(Self { owner: owner(host), shown, next })
    }

    /// That of the key in use, and that of the one to come.
    pub(crate) fn into_pair(self) -> (Option<Tlsa>, Option<Tlsa>) {
        (self.shown, self.next)
    }

    /// What is wrong for certain: records that others may hold us to, and none of them that of the certificate that is shown.
    pub(crate) fn misfit(&self, published: &[Tlsa]) -> Option<String> {
        let shown = self.shown.as_ref()?;
        (!published.is_empty() && !published.contains(shown)).then(|| {
            format!(
                "none of the {} TLSA records at {} is that of the certificate that is shown ({})",
                published.len(),
                self.owner,
                Record::Tlsa(shown.clone())
            )
        })
    }

    /// The records to publish.
    pub(crate) fn records(&self) -> Vec<DnsRecord> {
        let records = self.shown.iter().chain(&self.next).map(|tlsa| Record::Tlsa(tlsa.clone()).to_string());
        records.map(|value| DnsRecord { name: self.owner.clone(), kind: "TLSA".to_owned(), value }).collect()
    }

    /// Whether they are published.
    pub(crate) async fn examine(&self, resolver: &Resolver) -> Vec<Finding> {
        let finding = |right, words: String| vec![Finding { subject: format!("TLSA {}", self.owner), right, words }];
        let Ok(owner) = self.owner.parse::<Name>() else { return Vec::new() };
        let published = match resolver.records(&owner, Kind::Tlsa).await {
            Ok(answer) if !answer.authenticated => {
                let words =
                    "published, but DNSSEC does not vouch for it (or our resolver is not trusted to know): nobody looks at it";
                return finding(true, words.to_owned());
            }
            Ok(answer) => answer.value,
            Err(DnsError::NoData | DnsError::NoSuchDomain) => {
                return finding(true, "there is none: no server holds us to our certificate by DANE".to_owned());
            }
            Err(DnsError::Temporary(why)) => return finding(false, format!("it cannot be read now: {why}")),
        };
        let has = |tlsa: &Option<Tlsa>| tlsa.as_ref().is_none_or(|tlsa| published.contains(&Record::Tlsa(tlsa.clone())));
        match (has(&self.shown), has(&self.next)) {
            (false, _) => finding(
                false,
                "none of the published records is that of the certificate that is shown: servers that obey DANE keep their letters for us. Publish the record, or \
                 show the old certificate until it is known everywhere"
                    .to_owned(),
            ),
            (true, false) => finding(
                false,
                "the record of the key to come is not published: publish it (with `tls.publish-tlsa` the server does), and change the certificate when it is known everywhere"
                    .to_owned(),
            ),
            (true, true) => finding(true, "published and signed".to_owned()),
        }
    }
}
