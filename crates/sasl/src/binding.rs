//! What a server's connection can be bound to (channel binding, RFC 5056).

use std::fmt;

use crate::mechanism::ChannelBinding;
use crate::scram;

/// The octets of the longest digest of a certificate (SHA-512).
const END_POINT_BYTES_MAX: usize = 64;

/// What the connection gives a -PLUS mechanism of a server to bind to; several when the client may choose.
///
/// Not empty exactly when the -PLUS mechanisms are offered to this client, since a client that says it saw none is then the victim of a downgrade (RFC 5802
/// §6).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bindings {
    /// `tls-exporter`: 32 octets of `EXPORTER-Channel-Binding` (RFC 9266 §2). This very connection.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point`: the certificate that the client was shown. Whoever has its key could stand between us all the same; nobody else could.
    pub end_point: Option<EndPoint>,
}

/// The digest of the server's certificate (RFC 5929 §4.1): SHA-256, or the hash function of the signature on the certificate where that is a better one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EndPoint {
    octets: [u8; END_POINT_BYTES_MAX],
    length: usize,
}

impl Bindings {
    /// Whether a -PLUS mechanism is possible.
    #[must_use]
    pub const fn is_available(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// The octets of the binding with this registered name, if there is one.
    pub(crate) fn named(&self, name: &str) -> Option<&[u8]> {
        match name {
            scram::BINDING_NAME => self.exporter.as_ref().map(<[u8; 32]>::as_slice),
            scram::END_POINT_NAME => self.end_point.as_ref().map(EndPoint::as_slice),
            _ => None,
        }
    }
}

impl EndPoint {
    /// A digest; `None` if it is empty or longer than 64 octets.
    #[must_use]
    pub fn from_digest(digest: &[u8]) -> Option<Self> {
        let mut octets = [0; END_POINT_BYTES_MAX];
        octets.get_mut(..digest.len()).filter(|octets| !octets.is_empty())?.copy_from_slice(digest);
        Some(Self { octets, length: digest.len() })
    }

    fn as_slice(&self) -> &[u8] {
        self.octets.get(..self.length).unwrap_or_default()
    }
}

impl From<ChannelBinding> for Bindings {
    fn from(binding: ChannelBinding) -> Self {
        match binding {
            ChannelBinding::None => Self::default(),
            ChannelBinding::Exporter(octets) => Self { exporter: Some(octets), end_point: None },
        }
    }
}

/// Without the octets: they identify a session.
impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exporter, end_point } = self;
        let (exporter, end_point) = (exporter.is_some(), end_point.is_some());
        f.debug_struct("Bindings").field("exporter", &exporter).field("end_point", &end_point).finish()
    }
}

impl fmt::Debug for EndPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndPoint(..)")
    }
}
