use std::path::Path;
use std::time::Duration;

use posthouse_mailauth::tls_rpt::Failure;

use super::*;

const TOMORROW: Duration = Duration::from_hours(24);

fn domain(name: &str) -> Domain {
    name.parse().expect("a domain")
}

fn session(name: &str, failure: Option<&str>) -> Session {
    let failure = failure.map(|kind| Failure {
        result_type: kind.to_owned(),
        sending_mta_ip: None,
        receiving_mx_hostname: Some("mx.a.test".to_owned()),
        receiving_ip: None,
        failure_reason_code: None,
    });
    Session { policy: AppliedPolicy::none(&domain(name)), failure }
}

fn open(dir: &Path) -> Sessions {
    Sessions::start(&Store::open(&dir.join("transit.sqlite")).expect("a file")).expect("a thread")
}

fn within<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    posthouse_runtime::block_on(async { test().await }).expect("a runtime");
}

fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

#[test]
fn sessions_are_counted_by_day_domain_and_failure_over_a_restart() {
    within(|| async {
        let dir = tempfile::tempdir().expect("a directory");
        let sessions = open(dir.path());
        for failure in [None, None, Some("validation-failure"), Some("starttls-not-supported"), Some("validation-failure")] {
            sessions.note(session("a.test", failure));
        }
        sessions.note(session("b.test", None));
        sessions.flush().await;
        drop(sessions);
        let sessions = open(dir.path());
        sessions.note(session("a.test", None));
        sessions.flush().await;
        assert!(sessions.over(now()).await.expect("the file").is_empty(), "the day is not over");
        let over = sessions.over(now().plus(TOMORROW)).await.expect("the file");
        let names: Vec<_> = over.iter().map(|(_, domain)| domain.to_string()).collect();
        assert_eq!(names, ["a.test", "b.test"]);
        let (day, name) = &over[0];
        let results = sessions.results(*day, name).await.expect("the file");
        assert_eq!(results.len(), 1);
        let PolicyResult { summary, failure_details, .. } = &results[0];
        assert_eq!((summary.total_successful_session_count, summary.total_failure_session_count), (3, 3));
        let counts: Vec<_> =
            failure_details.iter().map(|one| (one.failure.result_type.as_str(), one.failed_session_count)).collect();
        assert_eq!(counts, [("starttls-not-supported", 1), ("validation-failure", 2)]);
        sessions.let_go(*day, name).await.expect("the file");
        assert_eq!(sessions.over(now().plus(TOMORROW)).await.expect("the file").len(), 1);
    });
}

#[test]
fn ever_new_failures_do_not_fill_the_disk() {
    within(|| async {
        let dir = tempfile::tempdir().expect("a directory");
        let sessions = open(dir.path());
        for number in 0..1000 {
            sessions.note(session("a.test", Some(&format!("kind-{number}"))));
        }
        sessions.note(session("a.test", Some("kind-0")));
        sessions.flush().await;
        let (day, name) = sessions.over(now().plus(TOMORROW)).await.expect("the file").remove(0);
        let results = sessions.results(day, &name).await.expect("the file");
        assert_eq!(results[0].failure_details.len(), 200);
        assert_eq!(results[0].failure_details[0].failed_session_count, 2);
    });
}
