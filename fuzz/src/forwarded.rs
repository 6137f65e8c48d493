//! Senders of letters that are forwarded (SRS).

use posthouse_mail::{Address, Domain, UnixMillis};
use posthouse_mailauth::srs;

const KEY: &[u8] = b"a key of some length";
const NOW: UnixMillis = UnixMillis(1_795_500_000_000);

/// A sender. What is written for it fits, leads back to it and, forwarded again, to the first forwarder alone; and what we did not write leads nowhere.
pub fn srs_address(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let keys = [KEY.to_vec()];
    if let Ok(found) = srs::back(&keys, text, NOW) {
        panic!("a hash was guessed: {text} leads to {found}");
    }
    let Ok(sender) = text.parse::<Address>() else { return };
    let ours = domain("ours.test");
    let Some(written) = srs::forward(KEY, &sender, &ours, NOW) else { return };
    assert!(srs::is_srs(written.local().as_str()), "{written}");
    assert_eq!(written.to_string().parse(), Ok(written.clone()), "it is an address");
    let found = srs::back(&keys, written.local().as_str(), NOW);
    if written.local().as_str().starts_with("SRS1") {
        // It leads to a forwarder, in the form that the forwarder wrote.
        let back = found.unwrap_or_else(|error| panic!("{written}: {error}"));
        assert!(back.local().as_str().starts_with("SRS0"), "{back}");
        let again = srs::forward(KEY, &Address::new(written.local().clone(), domain("g.test")), &ours, NOW);
        assert_eq!(again, Some(written), "a chain does not grow");
    } else {
        assert_eq!(found, Ok(sender), "{written}");
    }
}

fn domain(name: &str) -> Domain {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}
