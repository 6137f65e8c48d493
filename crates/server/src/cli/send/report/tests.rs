use posthouse_mail::Status;

use super::*;

fn report(results: &[RecipientResult]) -> Report {
    let mut report = Report {
        server: String::new(),
        peer: String::new(),
        tls: None,
        from: String::new(),
        message_id: None,
        size: 0,
        recipients: Vec::new(),
        exit: None,
    };
    for result in results {
        report.add(&"bob@example.test".parse().unwrap(), result, None, None);
    }
    report
}

fn refusal(subject: u16, detail: u16) -> RecipientResult {
    RecipientResult::Refused(Reply::new(550, Status::permanent(subject, detail), "no"))
}

#[test]
fn the_exit_code_says_what_kind_of_refusal_it_was() {
    let accepted = RecipientResult::Accepted(Reply::new(250, Status::success(6, 0), "queued"));
    let deferred = RecipientResult::Refused(Reply::new(450, Status::temporary(2, 0), "later"));
    let cases = [
        (vec![accepted.clone()], None),
        (vec![refusal(1, 1)], Some(Exit::NoUser)),
        (vec![refusal(1, 2)], Some(Exit::NoHost)),
        (vec![refusal(7, 1)], Some(Exit::NoPermission)),
        (vec![refusal(3, 4)], Some(Exit::Unavailable)),
        (vec![RecipientResult::Unsendable(Reply::new(554, Status::permanent(6, 0), "no"))], Some(Exit::Data)),
        (vec![RecipientResult::Unsendable(Reply::new(451, Status::temporary(4, 3), "no DNS"))], Some(Exit::TempFail)),
        (vec![RecipientResult::Unsendable(Reply::new(550, Status::permanent(1, 2), "no domain"))], Some(Exit::NoHost)),
        (vec![RecipientResult::Unknown("lost".to_owned())], Some(Exit::TempFail)),
        // The worst of several, wherever it stands.
        (vec![accepted.clone(), deferred.clone(), accepted.clone()], Some(Exit::TempFail)),
        (vec![deferred.clone(), refusal(1, 1), accepted.clone()], Some(Exit::NoUser)),
        (vec![refusal(1, 1), deferred, refusal(7, 1)], Some(Exit::NoUser)),
    ];
    for (results, exit) in cases {
        assert_eq!(report(&results).exit(), exit, "{results:?}");
    }
}

#[test]
fn a_reply_without_a_status_is_taken_by_its_code() {
    assert_eq!(report(&[RecipientResult::Refused(Reply::bare(550, "no"))]).exit(), Some(Exit::Unavailable));
}
