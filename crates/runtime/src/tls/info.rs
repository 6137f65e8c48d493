//! What a handshake agreed on.

use std::fmt;

use rustls::{CipherSuite, ConnectionCommon, ProtocolVersion};

use super::ClientCertificate;

/// What a handshake agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3` or `TLSv1.2`.
    pub protocol: &'static str,
    /// The cipher suite by its IANA name, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The key exchange group, such as `X25519MLKEM768`; `None` on a session that was resumed without one.
    pub group: Option<String>,
    /// The name the client asked for (SNI).
    pub server_name: Option<String>,
    /// Whether the other end's certificate was verified. On a server: never; see [`Self::client`].
    pub verified: bool,
    /// What convinced, or what is wrong with the certificate, where it was judged by a check of the caller's or only observed.
    pub verdict: Option<String>,
    /// The channel binding `tls-exporter` (RFC 9266 §2), on TLS 1.3 alone: under 1.2 it would need the extended master secret
    /// (§4.2), and the library does not say whether that was agreed.
    pub exporter: Option<[u8; 32]>,
    /// On a server, the channel binding `tls-server-end-point` (RFC 5929 §4.1), which is as good under TLS 1.2.
    pub end_point: Option<Vec<u8>>,
    /// On a server that asks for certificates: what the client has shown, if it is believed.
    pub client: Option<Box<ClientCertificate>>,
}

impl TlsInfo {
    pub(super) fn of<Side>(session: &ConnectionCommon<Side>, server_name: Option<String>, verified: bool) -> Self {
        let version = session.protocol_version();
        let is_13 = version == Some(ProtocolVersion::TLSv1_3);
        let cipher = session.negotiated_cipher_suite().map_or_else(String::new, |suite| cipher_name(suite.suite()));
        Self {
            protocol: if is_13 { "TLSv1.3" } else { "TLSv1.2" },
            cipher,
            group: session.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
            server_name,
            verified,
            verdict: None,
            exporter: is_13
                .then(|| session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).ok())
                .flatten(),
            end_point: None,
            client: None,
        }
    }
}

/// IANA's name. The library marks the 1.3 suites by `TLS13_`; IANA's names have no number.
pub(super) fn cipher_name(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}

/// Protocol, cipher and group, as a `Received` line and a log show them.
impl fmt::Display for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.protocol, self.cipher)?;
        if let Some(group) = &self.group {
            write!(f, " {group}")?;
        }
        Ok(())
    }
}
