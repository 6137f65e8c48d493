//! What other servers report of us: kept when it is a report, the postmaster's when it is none.

use posthouse_journal::Event;
use posthouse_mail::UnixMillis;

use crate::world::{ARRIVED, World, run};

const REPORT: &str = "From: noreply@big.test\r\nSubject: Report Domain: ours.test Submitter: big.test\r\nContent-Type: text/xml\r\n\
Content-Disposition: attachment; filename=r.xml\r\n\r\n<feedback><report_metadata><org_name>Big</org_name><report_id>1</report_id>\
<date_range><begin>1790000000</begin><end>1790086399</end></date_range></report_metadata><policy_published><domain>ours.test</domain></policy_published></feedback>\r\n";

#[test]
fn a_report_is_kept_and_in_nobodys_mailbox() {
    run(async {
        let world = World::new(1, "").await;
        world.account("alice@ours.test").await;
        world
            .context
            .directory
            .add_alias(&"dmarc@ours.test".parse().unwrap(), &["reports@ours.test".parse().unwrap()])
            .await
            .unwrap();
        for to in ["reports@ours.test", "Reports+tls@ours.test", "dmarc@ours.test"] {
            let id = world.submit("noreply@big.test", &[to], REPORT).await;
            for _ in 0..3 {
                world.deliver_at(ARRIVED).await;
            }
            let told = world.timeline(id).await;
            let filed = |event: &Event| matches!(event, Event::Filed { kind, about, reporter, .. } if (kind.as_str(), about.as_str(), reporter.as_str()) == ("dmarc", "ours.test", "Big"));
            assert!(told.iter().any(filed) || to.starts_with("dmarc"), "{to}: {told:?}");
        }
        assert_eq!(world.context.queue.len(), 0);
        assert!(world.inbox("alice@ours.test").await.is_empty());
        assert_eq!(world.context.reports.list(UnixMillis(0), None).await.unwrap().len(), 1, "the same report");
    });
}

#[test]
fn what_is_no_report_goes_to_the_postmaster_who_sees_why() {
    run(async {
        let world = World::new(1, "").await;
        world.account("alice@ours.test").await;
        let id = world.submit("s@far.test", &["reports@ours.test"], "Subject: hello\r\n\r\nare you there?\r\n").await;
        for _ in 0..3 {
            world.deliver_at(ARRIVED).await;
        }
        let unread = |event: &Event| matches!(event, Event::Unread { why, .. } if why == "there is no report in it");
        assert!(world.timeline(id).await.iter().any(unread));
        let inbox = world.inbox("alice@ours.test").await;
        assert!(inbox.len() == 1 && inbox[0].contains("are you there?"), "{inbox:?}");
        assert!(world.context.reports.list(UnixMillis(0), None).await.unwrap().is_empty());
    });
}

#[test]
fn an_account_or_alias_of_that_name_gets_its_mail_as_ever() {
    run(async {
        let world = World::new(1, "").await;
        world.account("reports@ours.test").await;
        world.submit("noreply@big.test", &["reports@ours.test"], REPORT).await;
        world.deliver_at(ARRIVED).await;
        assert_eq!(world.inbox("reports@ours.test").await.len(), 1);
        assert!(world.context.reports.list(UnixMillis(0), None).await.unwrap().is_empty());
    });
}
