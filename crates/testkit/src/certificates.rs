//! Certificates of clients, right and wrong, and the authority that issues them.

use std::time::{Duration, UNIX_EPOCH};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

/// An authority for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a client's certificate says.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// The common name of its subject.
    pub common_name: &'a str,
    /// Its mail addresses; whatever ASCII.
    pub emails: &'a [&'a str],
    /// Its host names.
    pub hosts: &'a [&'a str],
    /// Whether it is for servers and not for clients.
    pub for_servers: bool,
    /// When its time is over.
    pub ends: Ends,
}

/// When the time of a certificate is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ends {
    /// In many years.
    #[default]
    Late,
    /// Tomorrow.
    Soon,
    /// It is.
    Past,
}

/// A certificate and its key, in PEM form.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// Never, unless the library does.
    #[must_use]
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "clients of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, in PEM form.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a client.
    ///
    /// # Panics
    /// When a name is not ASCII.
    #[must_use]
    pub fn issue(&self, wanted: &Wanted<'_>) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, wanted.common_name);
        let ascii = |text: &&str| Ia5String::try_from((*text).to_owned()).expect("ASCII");
        params.subject_alt_names.extend(wanted.emails.iter().map(|email| SanType::Rfc822Name(ascii(email))));
        params.subject_alt_names.extend(wanted.hosts.iter().map(|host| SanType::DnsName(ascii(host))));
        let server = wanted.for_servers;
        params.extended_key_usages =
            vec![if server { ExtendedKeyUsagePurpose::ServerAuth } else { ExtendedKeyUsagePurpose::ClientAuth }];
        params.not_before = date_time_ymd(2020, 1, 1);
        let tomorrow = UNIX_EPOCH.elapsed().expect("a time after 1970") + Duration::from_hours(24);
        params.not_after = match wanted.ends {
            Ends::Late => date_time_ymd(2090, 1, 1),
            Ends::Soon => date_time_ymd(1970, 1, 1) + tomorrow,
            Ends::Past => date_time_ymd(2021, 1, 1),
        };
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { cert: cert.pem(), key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
