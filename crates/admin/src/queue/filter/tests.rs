use posthouse_mail::{Envelope, Recipient, Reply, ReversePath, Status};
use posthouse_queue::{DeliveryState, Letter, Origin};

use super::*;

const NOW: UnixMillis = UnixMillis(1_795_489_929_120);

/// From alice an hour ago to bob, who is greylisted, and carol, who has it.
fn queued() -> (Queued, QueuedInfo) {
    let arrived = UnixMillis(NOW.0 - 3_600_000);
    let recipient = |address: &str, state, last| RecipientState {
        recipient: Recipient::from(address.parse::<posthouse_mail::Address>().unwrap()),
        attempts: 1,
        state,
        last,
        warned: false,
    };
    let greylisted = Reply::new(451, Status::temporary(7, 1), "Greylisted, come again");
    let queued = Queued {
        id: LetterId::new(arrived, 7),
        letter: Letter {
            envelope: Envelope::new(ReversePath(Some("Alice@Example.test".parse().unwrap())), Vec::new()),
            arrived,
            origin: Origin::default(),
        },
        recipients: vec![
            recipient("bob@example.net", DeliveryState::Pending { next: NOW }, Some(greylisted)),
            recipient("carol@example.org", DeliveryState::Delivered, None),
        ],
        size: 1,
        held: false,
        priority: None,
        via: None,
        leased: Some(false),
    };
    let info = QueuedInfo::of(&queued, NOW);
    (queued, info)
}

fn passes(filter: Filter) -> bool {
    let (queued, info) = queued();
    let sieve = filter.sieve().unwrap();
    sieve.may_pass(queued.id, NOW) && sieve.passes(&queued, &info)
}

#[test]
fn a_letter_passes_when_every_field_that_is_set_holds() {
    let text = |text: &str| Some(text.to_owned());
    let none = Filter::default;
    let rows: [(&str, Filter, bool); 18] = [
        ("nothing asked", none(), true),
        ("sender, case", Filter { sender: text("<alice@example.TEST>"), ..none() }, true),
        ("sender's domain", Filter { sender: text("@example.test"), ..none() }, true),
        ("part of a domain", Filter { sender: text("@ample.test"), ..none() }, false),
        ("no sender", Filter { sender: text("<>"), ..none() }, false),
        ("another sender", Filter { sender: text("bob@example.net"), ..none() }, false),
        ("who waits", Filter { recipient: text("bob@example.net"), ..none() }, true),
        ("who has it already", Filter { recipient: text("carol@example.org"), ..none() }, false),
        ("domain that waits", Filter { domain: text("Example.NET"), ..none() }, true),
        ("domain that has it already", Filter { domain: text("example.org"), ..none() }, false),
        ("older", Filter { older: Some(3_600), ..none() }, true),
        ("not that old", Filter { older: Some(3_601), ..none() }, false),
        ("younger", Filter { younger: Some(3_601), ..none() }, true),
        ("not that young", Filter { younger: Some(3_600), ..none() }, false),
        ("reason", Filter { reason: text("greyLISTED"), ..none() }, true),
        ("another reason", Filter { reason: text("mailbox full"), ..none() }, false),
        ("held", Filter { held: true, ..none() }, false),
        ("one of two does not hold", Filter { sender: text("@example.test"), reason: text("full"), ..none() }, false),
    ];
    for (name, filter, expected) in rows {
        assert_eq!(passes(filter), expected, "{name}");
    }
}

#[test]
fn an_id_that_is_none_is_refused_and_too_many_are() {
    let filter = |ids: Vec<String>| Filter { ids, ..Filter::default() };
    assert!(matches!(filter(vec!["bob@example.net".to_owned()]).sieve(), Err(AdminError::Invalid(_))));
    let id = queued().0.id.to_string();
    assert_eq!(filter(vec![id.clone()]).sieve().unwrap().ids().unwrap().len(), 1);
    assert!(matches!(filter(vec![id; IDS_MAX + 1]).sieve(), Err(AdminError::Invalid(_))));
}

#[test]
fn a_filter_with_nothing_set_is_known_for_what_it_is() {
    assert!(Filter::default().is_everything());
    assert!(!Filter { held: true, ..Filter::default() }.is_everything());
    let ids = Filter { ids: vec!["x".to_owned()], ..Filter::default() };
    assert!(ids.is_ids_alone() && !ids.is_everything());
    assert!(!Filter { held: true, ..ids }.is_ids_alone());
    assert!(!Filter::default().is_ids_alone());
}
