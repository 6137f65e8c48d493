//! What an operator asks of the connection to a mail host; what follows for it is decided in [`posthouse_client::mx`].

use posthouse_client::mx::{Means, Promises};
use posthouse_client::{Roots, Security};
use posthouse_dns::Resolver;
use posthouse_mail::{Domain, Reply};
use posthouse_mailauth::dane::Found;
use posthouse_mailauth::mta_sts::Pattern;
use posthouse_mailauth::transport::{Decision, Demand, Pin};

use crate::settings::{DestinationSettings, Settings, TlsDemand, TlsFloor};
use crate::way::WayError;

/// What the operator asks, and the means to do it. Made once from the settings.
pub(crate) struct Transport {
    floor: Option<Demand>,
    /// By destination, in the order of the settings.
    demands: Vec<(DestinationSettings, Demand)>,
    means: Means,
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Result<Self, WayError> {
        let floor = match settings.tls {
            TlsFloor::Opportunistic => None,
            TlsFloor::Require => Some(Demand::Require),
            TlsFloor::Verify => Some(Demand::Verify(Vec::new())),
        };
        settings.check().map_err(WayError::Mistake)?;
        let of = |own: &DestinationSettings| Some((own.clone(), demand(own).ok()??));
        let demands = settings.destination.iter().filter_map(of).collect();
        let means = Means::new(settings.tls_ca.clone().map_or(Roots::Platform, Roots::PemFile))?;
        // A file that was named is looked at now and not with the first letter that needs it.
        if settings.tls_ca.is_some() {
            means.check().map_err(WayError::TlsCa)?;
        }
        Ok(Self { floor, demands, means })
    }

    /// Decides for one host.
    pub(crate) async fn decide(&self, promises: &Promises, host: &Domain, port: u16, resolver: &Resolver) -> Decision {
        self.examine(promises, host, port, resolver).await.0
    }

    /// Decides for one host; with what the DNS said of it.
    pub(crate) async fn examine(&self, promises: &Promises, host: &Domain, port: u16, resolver: &Resolver) -> (Decision, Found) {
        let of = |name: &Domain| self.demands.iter().find(|(own, _)| own.is_for(name.as_str())).map(|(_, demand)| demand);
        let demand = of(&promises.destination).or_else(|| of(host)).or(self.floor.as_ref());
        promises.decide(host, port, demand, resolver).await
    }

    /// How to connect for it.
    ///
    /// # Errors
    /// The reply that says why not.
    pub(crate) fn security(&self, decision: &Decision, promises: &Promises, host: &Domain) -> Result<Security, Reply> {
        self.means.security(decision, promises, host)
    }
}

/// What the settings of a destination ask; else the key that is wrong, and how.
pub(crate) fn demand(own: &DestinationSettings) -> Result<Option<Demand>, (&'static str, String)> {
    if own.tls != Some(TlsDemand::Verify) && !own.tls_hosts.is_empty() {
        return Err(("tls-hosts", "hosts are named only with `tls = \"verify\"`".to_owned()));
    }
    if own.tls != Some(TlsDemand::Pin) && !own.tls_pins.is_empty() {
        return Err(("tls-pins", "keys are named only with `tls = \"pin\"`".to_owned()));
    }
    Ok(match own.tls {
        None => None,
        Some(TlsDemand::None) => Some(Demand::Clear),
        Some(TlsDemand::Opportunistic) => Some(Demand::Opportunistic),
        Some(TlsDemand::Require) => Some(Demand::Require),
        Some(TlsDemand::Verify) => {
            let host = |text: &String| text.parse().map_err(|error| ("tls-hosts", format!("`{text}`: {error}")));
            let hosts: Vec<Pattern> = own.tls_hosts.iter().map(host).collect::<Result<_, _>>()?;
            Some(Demand::Verify(hosts))
        }
        Some(TlsDemand::Pin) if own.tls_pins.is_empty() => {
            return Err(("tls", "`pin` needs the keys in `tls-pins`".to_owned()));
        }
        Some(TlsDemand::Pin) => {
            let pin = |text: &String| text.parse().map_err(|error| ("tls-pins", format!("`{text}`: {error}")));
            let pins: Vec<Pin> = own.tls_pins.iter().map(pin).collect::<Result<_, _>>()?;
            Some(Demand::Pin(pins.into()))
        }
    })
}
