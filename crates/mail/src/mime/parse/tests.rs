use super::*;

fn limits() -> Limits {
    Limits::default()
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
