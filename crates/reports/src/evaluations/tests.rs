use std::path::Path;
use std::time::Duration;

use posthouse_mailauth::dmarc::Policy;

use super::*;

const TOMORROW: Duration = Duration::from_hours(24);

fn evaluation(domain: &str, source: &str, policy: Policy) -> Evaluation {
    Evaluation {
        published: Published { domain: domain.to_owned(), policy, wants_aggregate: true, ..Published::default() },
        row: Row {
            source: source.parse().unwrap(),
            disposition: Policy::None,
            dkim_aligned: true,
            spf_aligned: false,
            reasons: Vec::new(),
            header_from: domain.to_owned(),
            envelope_from: Some(domain.to_owned()),
            signatures: Vec::new(),
            spf: None,
        },
    }
}

fn open(dir: &Path) -> Evaluations {
    Evaluations::start(&Store::open(&dir.join("reports.sqlite")).unwrap()).unwrap()
}

fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

#[test]
fn letters_are_counted_by_day_domain_and_source_over_a_restart() {
    posthouse_runtime::block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let evaluations = open(dir.path());
        for source in ["192.0.2.1", "192.0.2.1", "2001:db8::1"] {
            evaluations.note(evaluation("a.test", source, Policy::None));
        }
        evaluations.note(evaluation("b.test", "192.0.2.1", Policy::None));
        evaluations.flush().await;
        drop(evaluations);
        let evaluations = open(dir.path());
        evaluations.note(evaluation("a.test", "192.0.2.1", Policy::Reject));
        evaluations.flush().await;
        assert!(evaluations.over(now()).await.unwrap().is_empty(), "the day is not over");
        let over = evaluations.over(now().plus(TOMORROW)).await.unwrap();
        assert_eq!(over.iter().map(|(_, domain)| domain.as_str()).collect::<Vec<_>>(), ["a.test", "b.test"]);
        let (day, domain) = &over[0];
        let (published, rows) = evaluations.found(*day, domain).await.unwrap().unwrap();
        assert_eq!(published.policy, Policy::Reject, "what was published last");
        assert_eq!(
            rows.iter().map(|(row, count)| (row.source.to_string(), *count)).collect::<Vec<_>>(),
            [("192.0.2.1".to_owned(), 3), ("2001:db8::1".to_owned(), 1)]
        );
        evaluations.let_go(*day, domain).await.unwrap();
        assert_eq!(evaluations.over(now().plus(TOMORROW)).await.unwrap().len(), 1);
        assert_eq!(evaluations.found(*day, domain).await.unwrap(), None);
    })
    .unwrap();
}

#[test]
fn ever_new_sources_do_not_fill_the_disk() {
    posthouse_runtime::block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let evaluations = open(dir.path());
        for number in 0..6_000 {
            evaluations.note(evaluation("a.test", &format!("10.0.{}.{}", number / 250, number % 250), Policy::None));
            if number % 1_000 == 999 {
                evaluations.flush().await;
            }
        }
        evaluations.note(evaluation("a.test", "10.0.0.0", Policy::None));
        evaluations.flush().await;
        let (day, domain) = evaluations.over(now().plus(TOMORROW)).await.unwrap().remove(0);
        let (_, rows) = evaluations.found(day, &domain).await.unwrap().unwrap();
        assert_eq!(rows.len(), 5_000);
        assert_eq!(rows[0].1, 2, "those that are known are counted on");
    })
    .unwrap();
}
