//! Lists of addresses in the DNS (RFC 5782): those that send what nobody wants, and those that are known as good.
//!
//! The questions are asked while the greeting goes out and awaited at the first recipient. A list that does not answer says nothing. Each list is
//! tested before it is believed, and again every hour, by the two addresses that RFC 5782 §5 has for that: one that must be listed and one that
//! must not be. So a list that was given up, and one that its owner let list the whole world, is noticed and left out, and the log says so.

mod settings;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use posthouse_dns::{DnsError, Kind, Name, Record, Resolver};
use posthouse_runtime::clock;
use posthouse_runtime::sync::oneshot;
use posthouse_runtime::task::{self, Task};

pub use settings::{ListKind, ListSettings, Lists};

/// How long a test of a list holds.
const TEST_EVERY: Duration = Duration::from_secs(3600);
/// How soon a list that failed its test is tested again.
const RETEST_EVERY: Duration = Duration::from_secs(300);

/// What is known of the lists' own health. A clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<HashMap<Name, Tested>>>);

#[derive(Debug, Clone)]
struct Tested {
    at: Instant,
    fault: Option<String>,
}

/// What the lists say of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The weights of the lists that have it: for it negative, against it positive.
    pub(crate) score: i64,
    /// Each list that has it.
    pub(crate) by: Vec<Listing>,
}

/// One list that has the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) zone: String,
    pub(crate) code: Ipv4Addr,
    pub(crate) kind: ListKind,
    /// What the list has to say about it.
    pub(crate) text: Option<String>,
}

/// Questions that are under way.
pub(crate) struct Asking {
    answer: oneshot::Receiver<Listed>,
    task: Task,
}

/// Nobody waits any more.
impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Asking {
    /// Begins to ask; `None` when there is nothing to ask.
    pub(crate) fn begin(resolver: &Resolver, health: &Health, lists: &Lists, peer: IpAddr) -> Option<Self> {
        if lists.list.is_empty() || lists.exempt.iter().any(|network| network.contains(peer)) {
            return None;
        }
        let (resolver, health, lists) = (Arc::clone(resolver), health.clone(), lists.clone());
        let (sender, answer) = oneshot::channel();
        let task = task::spawn("lists", async move {
            // The visit is over.
            let _ = sender.send(ask(&resolver, &health, &lists, peer).await);
        });
        Some(Self { answer, task })
    }

    /// What the lists said in time.
    pub(crate) async fn listed(mut self) -> Listed {
        (&mut self.answer).await.unwrap_or_default()
    }
}

/// Asks every list; what one says is kept although another is too slow.
async fn ask(resolver: &Resolver, health: &Health, lists: &Lists, peer: IpAddr) -> Listed {
    let deadline = clock::now() + lists.timeout.duration();
    let (send, mut answers) = posthouse_runtime::sync::mpsc::channel(lists.list.len().max(1));
    let mut tasks = Vec::new();
    for list in lists.list.clone() {
        let (resolver, health, send) = (Arc::clone(resolver), health.clone(), send.clone());
        tasks.push(task::spawn("list", async move {
            let listing = one(&resolver, &health, &list, peer).await;
            // Nobody waits any more.
            let _ = send.send(listing.map(|listing| (list.weight, listing))).await;
        }));
    }
    drop(send);
    let mut listed = Listed::default();
    while let Ok(Some(answer)) = clock::timeout_at(deadline, answers.recv()).await {
        let Some((weight, listing)) = answer else { continue };
        let weight = i64::from(weight);
        listed.score += match listing.kind {
            ListKind::Block => weight,
            ListKind::Allow => -weight,
        };
        listed.by.push(listing);
    }
    tasks.iter().for_each(Task::abort);
    listed.by.sort_by(|one, other| one.zone.cmp(&other.zone));
    listed
}

async fn one(resolver: &Resolver, health: &Health, list: &ListSettings, peer: IpAddr) -> Option<Listing> {
    if !health.is_sound(resolver, list).await {
        return None;
    }
    let name = under(peer, &list.zone)?;
    let code = codes(resolver, &name).await.ok()?.into_iter().find(|code| list.counts(*code))?;
    // RFC 5782 §2.1 has a text beside the code.
    let text = resolver.records(&name, Kind::Txt).await.ok();
    let texts = text.into_iter().flat_map(|answer| answer.value);
    let text = texts.into_iter().find_map(|record| if let Record::Text(text) = record { Some(shown(&text)) } else { None });
    Some(Listing { zone: list.zone.to_string(), code, kind: list.kind, text })
}

/// For a reply: short, and without what could break a line.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The name of an address in a list (RFC 5782 §2.1, §2.4).
fn under(address: IpAddr, zone: &Name) -> Option<Name> {
    let reverse = Name::reverse(address);
    let labels = reverse.as_str().strip_suffix(".in-addr.arpa").or_else(|| reverse.as_str().strip_suffix(".ip6.arpa"))?;
    format!("{labels}.{zone}").parse().ok()
}

/// What a list has at a name; none: it is not listed.
async fn codes(resolver: &Resolver, name: &Name) -> Result<Vec<Ipv4Addr>, DnsError> {
    match resolver.records(name, Kind::A).await {
        Ok(answer) => {
            let code = |record| if let Record::Address(IpAddr::V4(address)) = record { Some(address) } else { None };
            Ok(answer.value.into_iter().filter_map(code).collect())
        }
        Err(DnsError::NoSuchDomain | DnsError::NoData) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Health {
    /// The lists that are left out now, and why.
    pub(crate) fn faults(&self) -> Vec<(String, String)> {
        let tested = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let faults = tested.iter().filter_map(|(zone, tested)| Some((zone.to_string(), tested.fault.clone()?)));
        let mut faults: Vec<_> = faults.collect();
        faults.sort();
        faults
    }

    /// Whether a list is to be believed.
    async fn is_sound(&self, resolver: &Resolver, list: &ListSettings) -> bool {
        let before = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&list.zone).cloned();
        if let Some(tested) = &before {
            let holds = if tested.fault.is_some() { RETEST_EVERY } else { TEST_EVERY };
            if clock::now().duration_since(tested.at) < holds {
                return tested.fault.is_none();
            }
        }
        let fault = test(resolver, list).await;
        let was = before.and_then(|tested| tested.fault);
        match (&was, &fault) {
            (None, Some(fault)) => tracing::warn!(list = %list.zone, fault, "a list in the DNS fails its test and is left out"),
            (Some(_), None) => tracing::info!(list = %list.zone, "a list in the DNS passes its test again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        let is_sound = fault.is_none();
        let tested = Tested { at: clock::now(), fault };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(list.zone.clone(), tested);
        is_sound
    }
}

/// RFC 5782 §5: 127.0.0.2 is always listed and 127.0.0.1 never; for a list of IPv6 alone ::FFFF:7F00:2 and ::FFFF:7F00:1. The fault, if there is one.
async fn test(resolver: &Resolver, list: &ListSettings) -> Option<String> {
    let v6 = |last: u8| {
        // Mapped addresses are meant as they are written, not as the IPv4 addresses they stand for.
        let octets = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, u16::from(last)).octets();
        let nibbles = octets.into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
        let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
        format!("{}.{}", labels.join("."), list.zone).parse::<Name>().ok()
    };
    let v4 = |last: u8| under(Ipv4Addr::new(127, 0, 0, last).into(), &list.zone);
    let has = async |name: Option<Name>| match name {
        Some(name) => codes(resolver, &name).await.map(|codes| codes.iter().any(|code| list.counts(*code))),
        None => Ok(false),
    };
    let answers = async {
        let wrongly = has(v4(1)).await? || has(v6(1)).await?;
        let rightly = has(v4(2)).await? || has(v6(2)).await?;
        Ok::<_, DnsError>((rightly, wrongly))
    };
    match answers.await {
        Ok((true, false)) => None,
        Ok((_, true)) => Some("it lists 127.0.0.1, and so perhaps everybody".to_owned()),
        Ok((false, false)) => Some("it does not list 127.0.0.2: it is given up, or refuses our questions".to_owned()),
        Err(error) => Some(format!("it does not answer: {error}")),
    }
}

#[cfg(test)]
mod tests;
