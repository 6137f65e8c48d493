//! Tokens, and the keys that issuers publish.

use std::sync::LazyLock;

use posthouse_oauth::{Settings, check_with};

/// 2026-11-24, when the tokens of the corpus are good.
const NOW: i64 = 1_795_500_000;

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let settings = r#"{"url": "https://id.test", "audience": "mail", "domains": ["a.test"]}"#;
    serde_json::from_str(settings).unwrap_or_else(|error| panic!("{error}"))
});

/// A set of keys, a line end, and a token. Whatever is taken is signed: with one octet of it changed it is taken no more.
pub fn token(data: &[u8]) {
    let Some(end) = data.iter().position(|&octet| octet == b'\n') else { return };
    let (keys, token) = (&data[..end], &data[end + 1..]);
    let Ok(token) = str::from_utf8(token) else { return };
    let Ok(login) = check_with(&SETTINGS, keys, token, NOW) else { return };
    assert!(login.to_ascii_lowercase().ends_with("@a.test"), "{login}");
    let signed = token.rfind('.').unwrap_or_else(|| panic!("it has no signature: {token}"));
    for at in 0..signed {
        let mut other = token.as_bytes().to_vec();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8_lossy(&other);
        assert!(check_with(&SETTINGS, keys, &other, NOW).is_err(), "{other} was not signed");
    }
    for unsigned in [&token[..signed], &token[..=signed]] {
        assert!(check_with(&SETTINGS, keys, unsigned, NOW).is_err(), "{unsigned}");
    }
}
