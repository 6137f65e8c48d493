use super::*;

fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Result<Proxied, ProxyError> {
    let mut fixed = [0; FIXED_BYTES];
    fixed[..12].copy_from_slice(&SIGNATURE);
    fixed[12..14].copy_from_slice(&[version_and_command, family]);
    fixed[14..].copy_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
    read_binary(&fixed, rest)
}

fn from(client: &str, local: &str) -> Proxied {
    Proxied::For { client: client.parse().unwrap(), local: local.parse().unwrap() }
}

#[test]
fn the_client_is_whom_the_proxy_names() {
    let text = read_text(b"PROXY TCP4 192.0.2.1 203.0.113.9 56324 25\r\n");
    assert_eq!(text, Ok(from("192.0.2.1:56324", "203.0.113.9:25")));
    let text = read_text(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n");
    assert_eq!(text, Ok(from("[2001:db8::1]:1", "[2001:db8::2]:65535")));
    let v4 = [192, 0, 2, 1, 203, 0, 113, 9, 0xdc, 0x04, 0, 25];
    assert_eq!(binary(0x21, 0x11, &v4), Ok(from("192.0.2.1:56324", "203.0.113.9:25")));
    let with_more = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
    assert_eq!(binary(0x21, 0x11, &with_more), Ok(from("192.0.2.1:56324", "203.0.113.9:25")), "what follows is not ours");
    let mut v6 = [0; 36];
    (v6[0], v6[15], v6[16], v6[31], v6[33], v6[35]) = (0x20, 1, 0x20, 2, 1, 25);
    assert_eq!(binary(0x21, 0x21, &v6), Ok(from("[2000::1]:1", "[2000::2]:25")));
}

#[test]
fn a_proxy_that_speaks_for_itself_is_itself() {
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"] {
        assert_eq!(read_text(line.as_bytes()), Ok(Proxied::Itself), "{line}");
    }
    for (command, family) in [(0x20, 0x00), (0x20, 0x11), (0x21, 0x00), (0x21, 0x31)] {
        assert_eq!(binary(command, family, &[0; 216]), Ok(Proxied::Itself));
    }
}

#[test]
fn what_is_not_quite_a_header_is_none() {
    for line in [
        "PROXY TCP4 192.0.2.1 203.0.113.9 56324\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.9 56324 25 1\r\n",
        "PROXY TCP4  192.0.2.1 203.0.113.9 56324 25\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.9 56324 025\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.9 56324 +25\r\n",
        "PROXY TCP4 192.0.2.1 203.0.113.9 56324 65536\r\n",
        "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.1 1 1\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.1 1 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.1 1 1\n",
        "PROXY UDP4 192.0.2.1 192.0.2.1 1 1\r\n",
        "PROXY \r\n",
        "PROXY TCP4 192.0.2.1\0 192.0.2.1 1 1\r\n",
    ] {
        assert_eq!(read_text(line.as_bytes()), Err(ProxyError::Malformed), "{line:?}");
    }
    for line in ["EHLO client\r\n", "proxy UNKNOWN\r\n", "PROXYUNKNOWN\r\n"] {
        assert_eq!(read_text(line.as_bytes()), Err(ProxyError::Missing), "{line:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    assert_eq!(read_text(long.as_bytes()), Err(ProxyError::Malformed));
    assert_eq!(binary(0x11, 0x11, &[0; 12]), Err(ProxyError::Unsupported), "version 1 in the form of 2");
    assert_eq!(binary(0x22, 0x11, &[0; 12]), Err(ProxyError::Unsupported), "a command that there is not");
    assert_eq!(binary(0x21, 0x12, &[0; 12]), Err(ProxyError::Unsupported), "UDP");
    assert_eq!(binary(0x21, 0x11, &[0; 11]), Err(ProxyError::Malformed));
    assert_eq!(binary(0x21, 0x21, &[0; 35]), Err(ProxyError::Malformed));
    assert_eq!(binary(0x20, 0x00, &[0; 5000]), Err(ProxyError::TooLong));
}
