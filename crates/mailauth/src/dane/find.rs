//! Which TLSA records are a host's (RFC 7672 §2.2.2, §2.2.3).

use std::sync::Arc;

use posthouse_dns::{DnsError, Kind, Name, Record, Resolve, Tlsa};
use posthouse_mail::Domain;

use super::{Dane, Nothing, Records};
use crate::lookup::{Looked, Lookups};

/// What was found, and every record that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What follows.
    pub dane: Dane,
    /// The questions and their answers, in order.
    pub records: Vec<Looked>,
}

/// Asks for the TLSA records of a mail host at a port.
pub async fn find(resolver: &dyn Resolve, host: &Domain, port: u16) -> Found {
    let mut lookups = Lookups::new(resolver);
    let dane = ask(&mut lookups, host, port).await;
    Found { dane, records: lookups.into_looked() }
}

async fn ask(lookups: &mut Lookups<'_>, host: &Domain, port: u16) -> Dane {
    let Ok(name) = Name::try_from(host) else { return Dane::Nothing(Nothing::Literal) };
    let bases = match bases(lookups, host, &name).await {
        Ok(bases) if bases.is_empty() => return Dane::Nothing(Nothing::Unsigned),
        Ok(bases) => bases,
        Err(trouble) => return trouble,
    };
    let mut nothing = Nothing::NoRecords;
    for base in bases {
        let Ok(owner) = base.below(&format!("_{port}._tcp")) else { continue };
        match lookups.ask_with_proof(&owner, Kind::Tlsa).await {
            Ok((records, true)) => return of(base, owner, records),
            Ok((_, false)) => nothing = Nothing::UnsignedRecords,
            // A denial that DNSSEC vouches for and one that it does not mean the same: there is nothing to hold the host to. One that is forged in a
            // zone that is signed is trouble.
            Err(DnsError::NoData | DnsError::NoSuchDomain) => {}
            Err(DnsError::Temporary(why)) => {
                return Dane::Trouble(format!("the TLSA records at {owner} cannot be read now: {why}"));
            }
        }
    }
    Dane::Nothing(nothing)
}

/// The names below which the records may stand, best first. None where DNSSEC does not vouch for the host.
async fn bases(lookups: &mut Lookups<'_>, host: &Domain, name: &Name) -> Result<Vec<Name>, Dane> {
    let trouble = |why| Dane::Trouble(format!("the address of {host} cannot be read now: {why}"));
    match lookups.addresses(host).await {
        Ok(answer) if answer.authenticated => Ok(answer.alias.into_iter().chain([name.clone()]).collect()),
        // RFC 7672 §2.2.2: the alias itself may be signed where what it leads to is not; then only its own name counts.
        Ok(answer) if answer.alias.is_some() => match lookups.ask_with_proof(name, Kind::Cname).await {
            Ok((_, true)) => Ok(vec![name.clone()]),
            Ok((_, false)) | Err(DnsError::NoData | DnsError::NoSuchDomain) => Ok(Vec::new()),
            Err(DnsError::Temporary(why)) => Err(trouble(why)),
        },
        // A host without an address is not connected to.
        Ok(_) | Err(DnsError::NoData | DnsError::NoSuchDomain) => Ok(Vec::new()),
        Err(DnsError::Temporary(why)) => Err(trouble(why)),
    }
}

fn of(base: Name, owner: Name, records: Vec<Record>) -> Dane {
    let tlsa = |record| if let Record::Tlsa(tlsa) = record { Some(tlsa) } else { None };
    let records: Vec<Tlsa> = records.into_iter().filter_map(tlsa).collect();
    Records::new(base, owner, &records).map_or(Dane::Unusable, |records| Dane::Records(Arc::new(records)))
}
