use super::*;

fn noon(plus_hours: u64) -> UnixMillis {
    UnixMillis(1_798_113_600_000 + plus_hours * 3_600_000)
}

fn dinner() -> Event {
    Event::new("dinner-42@x.example", "Dinner; \"late\", in Köln", noon(6), noon(9))
        .place("Chez Bob\\back")
        .description(format!("First line\nsecond line {}", "überlang ".repeat(20)))
        .organizer("Alice \"A\" Example <alice@x.example>".parse().unwrap())
        .guest("bob+a/b@y.example".parse().unwrap())
        .guest("böb@y.example".parse().unwrap())
        .sequence(2)
}

#[test]
fn an_event_is_written_as_others_read_it() {
    let request = dinner().request(noon(0)).unwrap();
    assert_eq!((request.method(), request.component()), ("REQUEST", "VEVENT"));
    for line in request.as_str().split_inclusive("\r\n") {
        assert!(line.ends_with("\r\n") && line.len() <= 77, "{line:?}");
    }
    let lines = unfolded(request.as_str());
    for expected in [
        "DTSTAMP:20261224T120000Z",
        "DTSTART:20261224T180000Z",
        "DTEND:20261224T210000Z",
        "UID:dinner-42@x.example",
        "SUMMARY:Dinner\\; \"late\"\\, in Köln",
        "LOCATION:Chez Bob\\\\back",
        "ORGANIZER;CN=\"Alice ^'A^' Example\":mailto:alice@x.example",
        "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:bob+a%2Fb@y.example",
        "ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:b%C3%B6b@y.example",
        "SEQUENCE:2",
        "STATUS:CONFIRMED",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in\n{lines:#?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("DESCRIPTION:First line\\nsecond line über")));
    assert_eq!(request.summary().as_deref(), Some("Dinner; \"late\", in Köln"));
    let cancel = dinner().cancel(noon(0)).unwrap();
    assert_eq!(cancel.method(), "CANCEL");
    assert!(cancel.as_str().contains("STATUS:CANCELLED\r\n"));
}

#[test]
fn an_answer_names_the_event_and_one_guest() {
    let request = dinner().request(noon(0)).unwrap();
    let zone = "BEGIN:VTIMEZONE\r\nTZID:Here\r\nEND:VTIMEZONE\r\n";
    let alarm = "BEGIN:VALARM\r\nSUMMARY:Wake up\r\nEND:VALARM\r\n";
    let text = request
        .as_str()
        .replace("BEGIN:VEVENT", &format!("{zone}BEGIN:VEVENT"))
        .replace("END:VEVENT", &format!("{alarm}END:VEVENT"));
    let request = Calendar::parse(&text).unwrap();
    assert_eq!(request.organizer().unwrap().to_string(), "alice@x.example");
    let bob = "Bob <bob@y.example>".parse().unwrap();
    for (answer, state) in [(Answer::Accepted, "ACCEPTED"), (Answer::Tentative, "TENTATIVE"), (Answer::Declined, "DECLINED")] {
        let reply = request.answer(&bob, answer, noon(1)).unwrap();
        assert_eq!(reply.method(), "REPLY");
        let lines = unfolded(reply.as_str());
        let at = |line: &str| lines.iter().filter(|other| *other == line).count();
        assert_eq!(at(&format!("ATTENDEE;CN=\"Bob\";PARTSTAT={state}:mailto:bob@y.example")), 1, "{lines:#?}");
        assert_eq!((at("UID:dinner-42@x.example"), at("SEQUENCE:2"), at("DTSTAMP:20261224T130000Z")), (1, 1, 1));
        assert_eq!((at("TZID:Here"), at("SUMMARY:Wake up")), (1, 0));
        assert_eq!(reply.organizer(), request.organizer());
        assert_eq!(reply.answer(&bob, answer, noon(1)), Err(CalendarError::NotARequest("REPLY".to_owned())));
    }
}

#[test]
fn what_nobody_could_act_on_is_refused() {
    let good = "BEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:1\nDTSTAMP:20261224T120000Z\nORGANIZER:mailto:a@x.example\n\
                ATTENDEE:mailto:b@y.example\nEND:VEVENT\nEND:VCALENDAR\n";
    assert_eq!(Calendar::parse(good).unwrap().as_str(), good.replace('\n', "\r\n"));
    assert_eq!(
        Calendar::parse(&good.replace("\nUID", "\n UID").replace("BEGIN:VEVENT\n UID:1", "BEGIN:VEVENT\nUI\n D:1"))
            .unwrap()
            .component(),
        "VEVENT"
    );
    let missing = |what, property| CalendarError::Property { component: "VEVENT".to_owned(), what, property };
    let rows = [
        (String::new(), CalendarError::Form),
        ("hello".to_owned(), CalendarError::Form),
        (good.replace("END:VCALENDAR\n", ""), CalendarError::Form),
        (good.replace("END:VEVENT", "END:VTODO"), CalendarError::Form),
        (format!("{good}X:y\n"), CalendarError::Form),
        (format!("{good}{good}"), CalendarError::Form),
        (format!("BEGIN:VCALENDAR\nMETHOD:REQUEST\n{}", "BEGIN:X\n".repeat(100)), CalendarError::Form),
        ("BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n".to_owned(), CalendarError::Form),
        (good.replace("METHOD:REQUEST\n", ""), CalendarError::Method),
        (good.replace("METHOD:REQUEST\n", "METHOD:REQUEST\nMETHOD:REPLY\n"), CalendarError::Method),
        (good.replace("METHOD:REQUEST\n", "METHOD:RE QUEST;x\n"), CalendarError::Method),
        (good.replace("UID:1\n", ""), missing("no", "UID")),
        (good.replace("UID:1\n", "UID:1\nUID:2\n"), missing("more than one", "UID")),
        (good.replace("DTSTAMP", "DTSTART"), missing("no", "DTSTAMP")),
        (good.replace("ORGANIZER", "X-ORGANIZER"), missing("no", "ORGANIZER")),
        (good.replace("ATTENDEE", "X-ATTENDEE"), missing("no", "ATTENDEE")),
        (
            good.replace("REQUEST", "REPLY").replace("ATTENDEE", "ATTENDEE:mailto:c@z.example\nATTENDEE"),
            missing("more than one", "ATTENDEE"),
        ),
        (good.replace("UID:1", "UID:\u{0}"), CalendarError::Control),
        ("x".repeat(BYTES_MAX + 1), CalendarError::TooLong),
    ];
    for (text, error) in rows {
        assert_eq!(Calendar::parse(&text), Err(error), "{}", text.get(..text.len().min(300)).unwrap());
    }
    assert_eq!(Event::new("1", "x", noon(2), noon(1)).request(noon(0)), Err(CalendarError::Backwards));
    assert_eq!(Event::new("1", "x", noon(1), noon(2)).request(noon(0)), Err(missing("no", "ORGANIZER")));
}

#[test]
fn no_text_of_an_event_adds_a_line() {
    let alice: Mailbox = "alice@x.example".parse().unwrap();
    for bad in ["a\r\nATTENDEE:mailto:x@y.example", "a\nATTENDEE:mailto:x@y.example", "a\rATTENDEE:mailto:x@y.example"] {
        let event = Event::new(bad, bad, noon(1), noon(2)).place(bad).description(bad);
        let event = event.organizer(alice.clone()).guest("bob@y.example".parse().unwrap());
        let event = event.guest(Mailbox { name: Some(bad.to_owned()), address: "carol@y.example".parse().unwrap() });
        let lines = unfolded(event.request(noon(0)).unwrap().as_str());
        assert_eq!(lines.iter().filter(|line| is_named(line, "ATTENDEE")).count(), 2, "{lines:#?}");
    }
}
