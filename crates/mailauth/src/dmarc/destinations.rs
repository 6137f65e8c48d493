//! Where the reports on a domain go (RFC 9990 §3.5): what its record says, as far as those who would get them agree (§4).

use posthouse_dns::{DnsError, Name, Resolve};

use super::record::{DmarcRecord, ReportAddress};
use super::walk::Tree;
use crate::lookup::Lookups;

/// The addresses to which aggregate reports on `domain`, whose record stands at its own name, are sent. None when it asks for none, and none that would
/// make a stranger get them: a domain could otherwise have the world's reports rain on whom it likes.
///
/// # Errors
/// DNS trouble.
pub async fn destinations(resolver: &dyn Resolve, domain: &Name) -> Result<Vec<ReportAddress>, DnsError> {
    agreed(resolver, domain, |record| record.aggregate).await
}

/// The addresses to which reports on single letters are sent, by the same rules (RFC 9991 §5).
///
/// # Errors
/// DNS trouble.
pub async fn failure_destinations(resolver: &dyn Resolve, domain: &Name) -> Result<Vec<ReportAddress>, DnsError> {
    agreed(resolver, domain, |record| if record.wants_failures() { record.failures } else { Vec::new() }).await
}

type Addresses = fn(DmarcRecord) -> Vec<ReportAddress>;

async fn agreed(resolver: &dyn Resolve, domain: &Name, addresses: Addresses) -> Result<Vec<ReportAddress>, DnsError> {
    let mut tree = Tree::new(Lookups::new(resolver));
    let Some(record) = tree.record(domain).await? else { return Ok(Vec::new()) };
    let mut agreed: Vec<ReportAddress> = Vec::new();
    for named in addresses(record) {
        for address in confirmed(&mut tree, domain, named, addresses).await? {
            if agreed.iter().all(|known| known.address != address.address) {
                agreed.push(address);
            }
        }
    }
    Ok(agreed)
}

/// The address, if it is of the same organization or its host agrees; or what the host wants in its place.
async fn confirmed(
    tree: &mut Tree<'_>,
    domain: &Name,
    named: ReportAddress,
    addresses: Addresses,
) -> Result<Vec<ReportAddress>, DnsError> {
    let Ok(host) = Name::try_from(named.address.domain()) else { return Ok(Vec::new()) };
    if host == *domain || tree.walk(&host).await?.organization() == tree.walk(domain).await?.organization() {
        return Ok(vec![named]);
    }
    // §4, steps 2 to 4.
    let Ok(place) = format!("{domain}._report._dmarc.{host}").parse::<Name>() else { return Ok(Vec::new()) };
    let texts = tree.lookups().texts(&place).await?;
    let records: Vec<_> = texts.iter().filter_map(|text| DmarcRecord::parse(text)).collect();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let instead: Vec<_> = records.into_iter().flat_map(addresses).collect();
    // Step 9: another place at the same host, and nowhere else.
    if instead.iter().any(|other| Name::try_from(other.address.domain()).ok().as_ref() != Some(&host)) {
        return Ok(Vec::new());
    }
    Ok(if instead.is_empty() { vec![named] } else { instead })
}

#[cfg(test)]
mod tests;
