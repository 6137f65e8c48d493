use super::*;

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn where_the_library_panics_the_letter_is_unreadable_and_nothing_else_happens() {
    // libFuzzer found it, in mail-parser 0.11.9. Should a later version read it, another is to be found.
    let letter = b"Content-Type:multipart;boundary=b\n\n--bContent-Type:message/rfc822\n\nContent-Type:message/rfc822\n\n\n--b--";
    assert_eq!(parse(letter, &limits()), Err(ParseError::Fault));
}

#[test]
fn broken_letters_are_read_as_far_as_they_go() {
    let letter = b"From: <<<>>\r\nSubject: =?utf-8?B?!!!?=\r\nDate: yesterday\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhi\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!\r\n";
    let read = parse(letter, &limits()).unwrap();
    assert_eq!(read.text.as_deref(), Some("hi"));
    assert_eq!(parse(b"", &limits()), Err(ParseError::NoHeader));
}

#[test]
fn octets_of_any_kind_do_not_end_the_process() {
    let mut noise = 7u64;
    for _ in 0..300 {
        let letter: Vec<u8> = (0..400)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                b"\r\n-=?:;\"<>@()utf8BQ \0\xff.A"[usize::try_from(noise >> 33).unwrap() % 24]
            })
            .collect();
        assert_ne!(parse(&letter, &limits()), Err(ParseError::Fault), "{:?}", String::from_utf8_lossy(&letter));
    }
}

#[test]
fn too_much_of_anything_is_refused() {
    let small = Limits { bytes_max: 1000, header_bytes_max: 100, parts_max: 10, items_max: 2 };
    assert_eq!(parse(&[b'a'; 1001], &small), Err(ParseError::Limit("octets")));
    assert_eq!(parse(&[b'a'; 101], &small), Err(ParseError::Limit("octets in its header")));
    let parts = format!("A: b\r\n\r\n{}", "--x\r\n".repeat(12));
    assert_eq!(parse(parts.as_bytes(), &small), Err(ParseError::Limit("parts")));
    let many = parse(b"To: a@x, b@x, c@x\r\n\r\n", &small).unwrap();
    assert_eq!(many.to.len(), 2);
}

#[test]
fn letters_within_letters_within_letters_end() {
    let mut letter = String::new();
    for depth in 0..2000 {
        letter.push_str(&format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"));
    }
    assert!(parse(letter.as_bytes(), &limits()).is_ok());
    let letter = "Content-Type: message/rfc822\r\n\r\n".repeat(3000);
    assert!(parse(letter.as_bytes(), &limits()).is_ok());
}

#[test]
fn a_hundred_thousand_mailboxes_take_linear_time() {
    let letter = format!("To: {}\r\n\r\nx", "a@x.example, ".repeat(70_000));
    assert_eq!(parse(letter.as_bytes(), &limits()).unwrap().to.len(), limits().items_max);
}

#[test]
fn a_name_in_several_pieces_is_one_and_a_cut_character_is_none() {
    let named = |parameters: &str| {
        let letter =
            format!("Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n {parameters}\r\n\r\nx");
        parse(letter.as_bytes(), &limits()).unwrap().attachments.into_iter().next().and_then(|file| file.name)
    };
    assert_eq!(named("filename*0=\"safe.\";\r\n filename*1=\"txt.\";\r\n filename*2=\"exe\"").as_deref(), Some("safe.txt.exe"));
    assert_eq!(named("filename*0*=utf-8''%C3%A4;\r\n filename*1=\".exe\"").as_deref(), Some("ä.exe"));
    for cut in [
        "filename*=utf-8''a%C3",
        "filename*=utf-8''%E2%82",
        "filename*=utf-8''%",
        "filename*0*=utf-8''%F0;\r\n filename*1*=%9F",
        "filename=\"=?utf-8?Q?=C3?=\"",
    ] {
        let name = named(cut).unwrap_or_default();
        assert!(name.chars().count() < 20, "{cut}: {name:?}");
    }
    let many: String = (0..5_000).map(|n| format!("filename*{n}=\"x\";\r\n ")).collect();
    assert!(named(many.trim_end().trim_end_matches(';')).is_none_or(|name| name.len() <= 5_000));
}
