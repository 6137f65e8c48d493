use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn texts(zone: &str) -> Vec<String> {
    read(zone)
        .unwrap()
        .entries
        .into_iter()
        .map(|(name, entry)| match entry {
            Entry::Record(record) => format!("{name} {} {record}", record.kind()),
            Entry::Alias(target) => format!("{name} CNAME {target}"),
            Entry::Trouble(why) => format!("{name} ! {why}"),
            Entry::Other => format!("{name} ?"),
            Entry::Insecure => format!("{name} !"),
        })
        .collect()
}

#[test]
fn a_zone_as_operators_write_it_is_read() {
    let zone = "\
$ORIGIN example.org.
$TTL 1h
@       IN SOA ns hostmaster ( 1 ; serial
                2h 30m 1w 5m )
        3600 IN MX 10 mail
        IN 60 TXT \"v=spf1 \" \"ip4:192.0.2.0/24 -all\" ; the rule
mail    A 192.0.2.1
        AAAA 2001:db8::1
_25._tcp.mail TLSA 3 1 1 ( 00ff
   aa )
www     CNAME mail
sel._domainkey TXT ( \"v=DKIM1; k=rsa; \"
                     \"p=AAAA\" )
1.2.0.192.in-addr.arpa. PTR mail.example.org.
192.0.2.9 PTR mail
quote   TXT \"a\\\"b\\059c\"
plain   TXT v=spf1 -all
slow    TIMEOUT
broken.example.net. SERVFAIL
nomail  MX 0 .
";
    assert_eq!(
        texts(zone),
        [
            "example.org ?",
            "example.org MX 10 mail.example.org",
            "example.org TXT v=spf1 ip4:192.0.2.0/24 -all",
            "mail.example.org A 192.0.2.1",
            "mail.example.org AAAA 2001:db8::1",
            "_25._tcp.mail.example.org TLSA 3 1 1 00ffaa",
            "www.example.org CNAME mail.example.org",
            "sel._domainkey.example.org TXT v=DKIM1; k=rsa; p=AAAA",
            "1.2.0.192.in-addr.arpa PTR mail.example.org",
            "9.2.0.192.in-addr.arpa PTR mail.example.org",
            "quote.example.org TXT a\"b;c",
            "plain.example.org TXT v=spf1 -all",
            "slow.example.org ! no name server answered in time",
            "broken.example.net ! the name server answers Server Failure",
            "nomail.example.org MX 0 .",
        ]
    );
}

#[test]
fn without_an_origin_names_are_whole_already() {
    assert_eq!(
        read("a.test TXT x\nb.test. TXT y").unwrap().entries.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        [name("a.test"), name("b.test")]
    );
}

#[test]
fn a_mistake_is_named_with_its_line() {
    for (zone, said) in [
        ("\n  TXT x", "line 2: there is no name to which it belongs"),
        ("a.test A 192.0.2.300", "line 1: this is not a record of type A"),
        ("a.test A 2001:db8::1", "line 1: this is not a record of type A"),
        ("a.test WKS x", "line 1: this is not a record of type WKS"),
        ("a.test TXT \"x", "line 1: quotes or parentheses do not match"),
        ("a.test TXT ( x\n", "line 1: a parenthesis is not closed"),
        ("a.test TXT x )", "line 1: quotes or parentheses do not match"),
        ("$INCLUDE /etc/passwd", "line 1: `$INCLUDE` is not known here"),
        ("a..test TXT x", "line 1: `a..test` is not a name"),
        ("a.test", "line 1: there is no type"),
        ("a.test TLSA 3 1 1 0", "line 1: this is not a record of type TLSA"),
    ] {
        assert_eq!(read(zone).unwrap_err(), ZoneError(said.to_owned()), "{zone}");
    }
}
