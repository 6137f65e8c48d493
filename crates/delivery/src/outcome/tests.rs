use super::*;

fn reply(code: u16) -> Reply {
    Reply::bare(code, "x")
}

#[test]
fn a_reply_decides_by_its_first_digit() {
    assert_eq!(of(RecipientResult::Accepted(reply(250))), Verdict::Over(AttemptResult::Delivered(reply(250))));
    assert_eq!(of(RecipientResult::Refused(reply(450))), Verdict::Over(AttemptResult::Deferred(reply(450))));
    assert_eq!(of(RecipientResult::Refused(reply(550))), Verdict::Over(AttemptResult::Failed(reply(550))));
}

#[test]
fn a_lost_last_reply_is_tried_again_and_says_that_a_copy_may_exist() {
    let Verdict::Over(AttemptResult::Deferred(said)) = of(RecipientResult::Unknown("reset".into())) else { panic!() };
    assert!(said.is_temporary() && said.text().contains("may have arrived"));
}

#[test]
fn a_recipient_that_was_not_reached_is_asked_for_again() {
    assert_eq!(of(RecipientResult::NotTried("limit".into())), Verdict::Again);
}

#[test]
fn what_a_host_cannot_carry_is_over_at_once() {
    let Verdict::Over(AttemptResult::Failed(said)) = of(RecipientResult::Unsendable(reply(554))) else { panic!() };
    assert_eq!(said, reply(554));
}
