//! Reads what happened in a run and says which promises were broken.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use posthouse_runtime::sim::Event;

use crate::client::end_of;
use crate::ledger::{Answer, Arrival, Pages, Submission, name_in, name_of};
use crate::server::field;
use crate::wire::{self, Carriage};

/// How a recipient of a letter ended.
#[derive(Debug, Default, Clone, Copy)]
struct Ends {
    delivered: usize,
    bounced: usize,
    queued: usize,
}

type Who = (String, String);

/// The promises that were broken, in words; none if all were kept. Every letter that was accepted has one end for each recipient, one that
/// was refused has none; a letter comes twice only where a reply was lost, or a server crashed before it could store one.
#[must_use]
pub fn judge(pages: &Pages, events: &[(Duration, Event)]) -> Vec<String> {
    let mut broken = pages.broken.clone();
    let ends = ends(pages, &mut broken);
    let carriages = wire::carriages(events);
    let mut known = BTreeSet::new();
    for submission in &pages.submissions {
        for to in &submission.recipients {
            known.insert((submission.marker.clone(), to.clone()));
            let ends = ends.get(&(submission.marker.clone(), to.clone())).copied().unwrap_or_default();
            let excused = excuses(pages, &carriages, &submission.marker, to);
            if let Some(what) = wrong(submission, ends, excused) {
                let Submission { marker, answer, .. } = submission;
                broken.push(format!("{marker} to {to} ({answer:?}): {what}: {ends:?}, {excused} excuses"));
            }
        }
    }
    for (marker, to) in ends.keys().filter(|who| !known.contains(*who)) {
        broken.push(format!("{marker} came to {to}, who was never accepted as a recipient of it"));
    }
    broken
}

fn wrong(submission: &Submission, ends: Ends, excused: usize) -> Option<&'static str> {
    let Ends { delivered, bounced, queued } = ends;
    let all = delivered + bounced + queued;
    match submission.answer {
        Answer::Taken if all == 0 => Some("it was accepted and is lost"),
        Answer::Refused if all > 0 => Some("it was refused and is seen again"),
        Answer::Taken | Answer::Refused | Answer::Unknown if all > 1 + excused => Some("it has too many ends"),
        Answer::Taken | Answer::Refused | Answer::Unknown => None,
    }
}

/// How often a letter may come once more: as often as it was sent whole by somebody who did not hear what became of it, or who crashed
/// before that was stored. A report that came twice is excused in the same way.
fn excuses(pages: &Pages, carriages: &[Carriage], marker: &str, to: &str) -> usize {
    let ours = carriages.iter().filter(|carriage| pages.servers.contains(&carriage.client));
    let concerned = ours.filter(|carriage| carriage.name == marker);
    let concerned = concerned.filter(|carriage| carriage.to.iter().any(|other| other == to || name_in(other).is_some()));
    concerned.filter(|carriage| !carriage.is_settled || was_forgotten(pages, carriage, marker)).count()
}

fn was_forgotten(pages: &Pages, carriage: &Carriage, marker: &str) -> bool {
    pages.crashes.iter().any(|crash| {
        let pending = |to: &String| crash.pending.iter().any(|(name, other)| name == marker && other == to);
        crash.host == carriage.client && crash.at >= carriage.at && carriage.to.iter().any(pending)
    })
}

fn ends(pages: &Pages, broken: &mut Vec<String>) -> BTreeMap<Who, Ends> {
    let mut ends: BTreeMap<Who, Ends> = BTreeMap::new();
    for arrival in &pages.arrivals {
        let Some(name) = name_of(&arrival.data) else {
            broken.push(format!("a letter without a name came to {}", arrival.to));
            continue;
        };
        if field(&arrival.data, "Content-Type").is_some_and(|kind| kind.starts_with("multipart/report")) {
            for to in failed(&arrival.data) {
                ends.entry((name.to_owned(), to)).or_default().bounced += 1;
            }
            continue;
        }
        ends.entry((name.to_owned(), arrival.to.clone())).or_default().delivered += 1;
        if let Some(what) = spoiled(arrival, name, &pages.submissions) {
            broken.push(format!("{name} to {}: {what}", arrival.to));
        }
    }
    for (name, to) in &pages.queued {
        // A report that still waits speaks for recipients that are not known from here.
        if name_in(to).is_none() {
            ends.entry((name.clone(), to.clone())).or_default().queued += 1;
        }
    }
    ends
}

/// The recipients that a report calls failed.
fn failed(report: &str) -> Vec<String> {
    let mut failed = Vec::new();
    let mut recipient = None;
    for line in report.split("\r\n") {
        if let Some(address) = line.strip_prefix("Final-Recipient: rfc822;") {
            recipient = Some(address.trim().to_owned());
        } else if line.eq_ignore_ascii_case("Action: failed") {
            failed.extend(recipient.take());
        }
    }
    failed
}

fn spoiled(arrival: &Arrival, name: &str, submissions: &[Submission]) -> Option<&'static str> {
    let Some(submission) = submissions.iter().find(|submission| submission.marker == name) else {
        return Some("nobody sent it");
    };
    if !arrival.data.ends_with(&end_of(name)) {
        return Some("half of it came");
    }
    (!arrival.data.ends_with(&submission.body)).then_some("it was changed on the way")
}

#[cfg(test)]
mod tests;
