use hickory_resolver::proto::op::OpCode;
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, SOA, TXT};

use super::*;

fn name(text: &str) -> Name {
    Name::from_labels(text.split('.').filter(|label| !label.is_empty()).map(str::as_bytes)).unwrap()
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name(owner), ttl, data)
}

fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    record(owner, ttl, RData::CNAME(CNAME(name(target))))
}

fn mx(preference: u16, host: &str) -> Record {
    record("a.test.", 60, RData::MX(MX::new(preference, name(host))))
}

fn address(owner: &str, ttl: u32) -> Record {
    record(owner, ttl, RData::A(A::new(192, 0, 2, 1)))
}

fn said(kind: RecordType, code: ResponseCode, answers: Vec<Record>, negative_ttl: Option<u32>) -> Result<Said, DnsError> {
    let mut message = Message::response(1, OpCode::Query);
    message.metadata.response_code = code;
    message.answers = answers;
    response(&name("a.test."), kind, &message, negative_ttl)
}

fn ok(kind: RecordType, answers: Vec<Record>) -> Said {
    said(kind, ResponseCode::NoError, answers, None).unwrap()
}

#[test]
fn only_a_clear_denial_is_a_denial() {
    for (code, negative_ttl, expected) in [
        (ResponseCode::NXDomain, Some(60), Some(Said::Nothing(Negative::NoSuchDomain, 60))),
        (ResponseCode::NXDomain, None, Some(Said::Nothing(Negative::NoSuchDomain, 0))),
        (ResponseCode::NoError, Some(60), Some(Said::Nothing(Negative::NoData, 60))),
        (ResponseCode::NoError, Some(86_400), Some(Said::Nothing(Negative::NoData, NEGATIVE_SECONDS_MAX))),
        (ResponseCode::ServFail, Some(60), None),
        (ResponseCode::Refused, Some(60), None),
        (ResponseCode::FormErr, None, None),
        (ResponseCode::NotImp, None, None),
        (ResponseCode::NotAuth, None, None),
        (ResponseCode::Unknown(11), None, None),
    ] {
        let said = said(RecordType::MX, code, Vec::new(), negative_ttl);
        match expected {
            Some(expected) => assert_eq!(said, Ok(expected), "{code}"),
            None => assert!(matches!(said, Err(DnsError::Temporary(_))), "{code}: {said:?}"),
        }
    }
}

#[test]
fn a_failure_of_the_transport_is_never_a_denial() {
    let io = NetError::from(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
    for error in [NetError::Timeout, NetError::NoConnections, NetError::Truncated, NetError::Busy, io] {
        assert!(matches!(failure(error), Err(DnsError::Temporary(_))));
    }
    let servfail = NetError::Dns(HickoryDnsError::ResponseCode(ResponseCode::ServFail));
    assert!(matches!(failure(servfail), Err(DnsError::Temporary(why)) if why.contains("Server Failure")));
}

#[test]
fn a_referral_is_not_a_denial() {
    let query = hickory_resolver::proto::op::Query::query(name("a.test."), RecordType::MX);
    let mut nothing = NoRecords::new(query, ResponseCode::NoError);
    assert_eq!(failure(nothing.clone().into()), Ok(Said::Nothing(Negative::NoData, 0)));
    nothing.ns = Some(std::sync::Arc::new([]));
    assert!(matches!(failure(nothing.clone().into()), Err(DnsError::Temporary(_))), "name servers, no SOA");
    nothing.soa = Some(Box::new(Record::from_rdata(name("test."), 5, SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, 5))));
    assert_eq!(failure(nothing.into()), Ok(Said::Nothing(Negative::NoData, 0)), "name servers beside an SOA");
}

#[test]
fn an_answer_that_was_cut_short_is_not_used() {
    let mut message = Message::response(1, OpCode::Query);
    message.answers = vec![mx(10, "b.test.")];
    message.metadata.truncation = true;
    assert!(matches!(response(&name("a.test."), RecordType::MX, &message, None), Err(DnsError::Temporary(_))));
}

#[test]
fn a_null_mx_is_told_from_hosts() {
    let host = |preference, host: &str| Mx { preference, host: host.parse().unwrap() };
    for (records, expected) in [
        (vec![mx(0, ".")], MxAnswer::Null),
        (vec![mx(10, ".")], MxAnswer::Null),
        (vec![mx(0, "."), mx(10, "b.test.")], MxAnswer::Hosts(vec![host(10, "b.test")])),
        (vec![mx(5, "B.Test.")], MxAnswer::Hosts(vec![host(5, "b.test")])),
        (vec![mx(5, "-bad-.test.")], MxAnswer::Hosts(Vec::new())),
    ] {
        assert_eq!(ok(RecordType::MX, records.clone()), Said::Data(Data::Mx(expected), 60, name("a.test.")), "{records:?}");
    }
}

#[test]
fn aliases_are_followed_within_the_response_with_the_shortest_life() {
    let answers = vec![cname("a.test.", 30, "b.test."), cname("b.test.", 90, "c.test."), address("c.test.", 60)];
    let expected = Said::Data(Data::Addresses(vec!["192.0.2.1".parse().unwrap()]), 30, name("c.test."));
    assert_eq!(ok(RecordType::A, answers.clone()), expected);
    let reversed = answers.into_iter().rev().collect();
    assert_eq!(ok(RecordType::A, reversed), expected, "in whatever order they come");
}

#[test]
fn an_alias_without_its_target_is_asked_for() {
    assert_eq!(ok(RecordType::A, vec![cname("a.test.", 30, "b.test.")]), Said::Alias(name("b.test.")));
    let denied = said(RecordType::A, ResponseCode::NoError, vec![cname("a.test.", 30, "b.test.")], Some(60));
    assert_eq!(denied, Ok(Said::Nothing(Negative::NoData, 30)));
    let gone = said(RecordType::A, ResponseCode::NXDomain, vec![cname("a.test.", 30, "b.test.")], Some(60));
    assert_eq!(gone, Ok(Said::Nothing(Negative::NoSuchDomain, 30)));
}

#[test]
fn aliases_that_go_round_are_trouble() {
    let answers = vec![cname("a.test.", 30, "b.test."), cname("b.test.", 30, "a.test.")];
    assert!(matches!(said(RecordType::A, ResponseCode::NoError, answers, None), Err(DnsError::Temporary(_))));
}

#[test]
fn what_was_not_asked_for_is_not_believed() {
    assert_eq!(ok(RecordType::A, vec![address("other.test.", 60)]), Said::Nothing(Negative::NoData, 0));
    let mut message = Message::response(1, OpCode::Query);
    message.additionals = vec![address("a.test.", 60)];
    assert_eq!(response(&name("a.test."), RecordType::A, &message, None), Ok(Said::Nothing(Negative::NoData, 0)));
}

#[test]
fn a_flood_of_records_is_cut() {
    let Said::Data(Data::Addresses(kept), ..) = ok(RecordType::A, vec![address("a.test.", 60); 1000]) else { panic!() };
    assert_eq!(kept.len(), RECORDS_MAX);
}

#[test]
fn the_strings_of_a_text_are_put_together_without_a_gap() {
    let text = record("a.test.", 60, RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()])));
    assert_eq!(ok(RecordType::TXT, vec![text]), Said::Data(Data::Texts(vec![b"v=spf1 -all".to_vec()]), 60, name("a.test.")));
}
