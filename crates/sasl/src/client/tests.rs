use super::*;
use crate::mechanism::Mechanism;

fn start(mechanism: Mechanism) -> ClientExchange {
    begin(mechanism.into(), "user", "pencil").unwrap()
}

fn begin(method: Method, login: &str, secret: &str) -> Result<ClientExchange, ClientError> {
    ClientExchange::start(method, login, secret, ChannelBinding::None, "client".parse().unwrap())
}

fn failure(step: ClientStep) -> ClientError {
    match step {
        ClientStep::Failed(error) => error,
        ClientStep::Send(_) => panic!("the client went on"),
    }
}

#[test]
fn the_strongest_usable_method_is_chosen() {
    let bound = ChannelBinding::Exporter([1; 32]);
    let methods = |names: &str| names.split_whitespace().map(|name| name.parse().unwrap()).collect::<Vec<Method>>();
    let everything = "LOGIN PLAIN CRAM-MD5 XOAUTH2 OAUTHBEARER EXTERNAL SCRAM-SHA-256 SCRAM-SHA-256-PLUS";
    let rows = [
        (everything, Possession::Password, bound, Some("SCRAM-SHA-256-PLUS")),
        (everything, Possession::Password, ChannelBinding::None, Some("SCRAM-SHA-256")),
        ("SCRAM-SHA-1-PLUS SCRAM-SHA-1 SCRAM-SHA-512", Possession::Password, bound, Some("SCRAM-SHA-1-PLUS")),
        ("SCRAM-SHA-1-PLUS SCRAM-SHA-1 SCRAM-SHA-512", Possession::Password, ChannelBinding::None, Some("SCRAM-SHA-512")),
        ("SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS", Possession::Password, bound, Some("SCRAM-SHA-512-PLUS")),
        ("PLAIN SCRAM-SHA-1", Possession::Password, bound, Some("SCRAM-SHA-1")),
        ("CRAM-MD5 LOGIN PLAIN", Possession::Password, bound, Some("PLAIN")),
        ("LOGIN CRAM-MD5", Possession::Password, bound, Some("CRAM-MD5")),
        ("LOGIN", Possession::Password, bound, Some("LOGIN")),
        ("SCRAM-SHA-256-PLUS", Possession::Password, ChannelBinding::None, None),
        ("XOAUTH2 OAUTHBEARER EXTERNAL", Possession::Password, bound, None),
        (everything, Possession::Token, bound, Some("OAUTHBEARER")),
        ("XOAUTH2 PLAIN", Possession::Token, bound, Some("XOAUTH2")),
        ("PLAIN", Possession::Token, bound, None),
        (everything, Possession::Certificate, bound, Some("EXTERNAL")),
        ("", Possession::Password, bound, None),
    ];
    for (offered, possession, binding, chosen) in rows {
        assert_eq!(choose(&methods(offered), possession, binding).map(Method::name), chosen, "{offered} {possession:?}");
    }
}

fn sent(step: ClientStep) -> String {
    match step {
        ClientStep::Send(octets) => String::from_utf8(octets.to_vec()).unwrap(),
        ClientStep::Failed(error) => panic!("{error}"),
    }
}

#[test]
fn a_token_is_sent_as_each_method_wants_it_and_a_refusal_is_answered() {
    let first = |client: &mut ClientExchange| String::from_utf8(client.initial().unwrap().to_vec()).unwrap();
    let mut standard = begin(Method::OAuthBearer, "a,b=c@x.example", "vF9dft4qmT").unwrap();
    assert_eq!(first(&mut standard), "n,a=a=2Cb=3Dc@x.example,\u{1}auth=Bearer vF9dft4qmT\u{1}\u{1}");
    assert_eq!(standard.success(), Ok(()));
    assert_eq!(sent(standard.step(b"{\"status\":\"invalid_token\"}")), "\u{1}");
    assert_eq!(standard.success(), Err(ClientError::ServerUnproven));
    let mut old = begin(Method::XOAuth2, "user@x.example", "tok").unwrap();
    assert_eq!(first(&mut old), "user=user@x.example\u{1}auth=Bearer tok\u{1}\u{1}");
    assert_eq!(sent(old.step(b"{}")), "");
    for bad in ["", "a b", "a\u{1}b", "ü"] {
        assert!(begin(Method::OAuthBearer, "user", bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_certificate_acts_as_itself_or_as_another() {
    let mut client = begin(Method::External, "", "").unwrap();
    assert_eq!(client.initial().unwrap().as_slice(), b"");
    assert_eq!(client.success(), Ok(()));
    assert_eq!(sent(begin(Method::External, "al@x.example", "").unwrap().step(b"")), "al@x.example");
}

#[test]
fn cram_md5_answers_as_its_standard_says() {
    // The example of RFC 2195 §2.
    let mut client = begin(Method::CramMd5, "tim", "tanstaaftanstaaf").unwrap();
    assert!(client.initial().is_none());
    assert_eq!(sent(client.step(b"<1896.697170952@postoffice.reston.mci.net>")), "tim b913a602c7eda7a495b4e6e7334d3890");
    assert_eq!(client.success(), Ok(()));
}

#[test]
fn a_server_that_proves_nothing_is_not_believed() {
    let mut client = start(Mechanism::ScramSha256);
    assert_eq!(client.success(), Err(ClientError::ServerUnproven));
    let _ = client.initial();
    assert_eq!(client.success(), Err(ClientError::ServerUnproven));
    let step = client.step(b"r=clientserver,s=AAAAAAAA,i=4096");
    assert!(matches!(step, ClientStep::Send(_)));
    assert_eq!(client.success(), Err(ClientError::ServerUnproven));
    let wrong = format!("v={}", STANDARD.encode([0; 32]));
    assert_eq!(failure(client.step(wrong.as_bytes())), ClientError::ServerUnproven);
    assert_eq!(client.success(), Err(ClientError::ServerUnproven));
}

#[test]
fn a_hostile_first_message_is_refused() {
    let long = vec![b'a'; MESSAGE_BYTES_MAX + 1];
    let rows: [(&[u8], ClientError); 9] = [
        (b"r=otherserver,s=AAAA,i=4096", ClientError::Nonce),
        (b"r=client,s=AAAA,i=4096", ClientError::Nonce),
        (b"r=clientserver,s=AAAA,i=4095", ClientError::Cost(KeysError::Iterations)),
        (b"r=clientserver,s=AAAA,i=1000001", ClientError::Cost(KeysError::Iterations)),
        (b"r=clientserver,s=,i=4096", ClientError::Cost(KeysError::Salt)),
        (b"m=x,r=clientserver,s=AAAA,i=4096", ClientError::Malformed),
        (b"", ClientError::Malformed),
        (b"\xff\xfe", ClientError::Malformed),
        (&long, ClientError::Malformed),
    ];
    for (message, expected) in rows {
        let mut client = start(Mechanism::ScramSha256);
        let _ = client.initial();
        assert_eq!(failure(client.step(message)), expected, "{:?}", String::from_utf8_lossy(message));
        assert!(client.success().is_err());
    }
}

#[test]
fn an_error_inside_the_mechanism_is_a_refusal() {
    let mut client = start(Mechanism::ScramSha256);
    let _ = client.initial();
    let _ = client.step(b"r=clientserver,s=AAAA,i=4096");
    assert_eq!(failure(client.step(b"e=invalid-proof")), ClientError::Refused);
}

#[test]
fn the_password_is_sent_once_only() {
    let mut client = start(Mechanism::Plain);
    assert_eq!(client.initial().unwrap().as_slice(), b"\0user\0pencil");
    assert!(client.initial().is_none());
    assert_eq!(failure(client.step(b"")), ClientError::Malformed);

    let mut client = start(Mechanism::Login);
    assert!(client.initial().is_none());
    assert!(matches!(client.step(b"Username:"), ClientStep::Send(m) if m.as_slice() == b"user"));
    assert!(matches!(client.step(b"Password:"), ClientStep::Send(m) if m.as_slice() == b"pencil"));
    assert_eq!(failure(client.step(b"Password:")), ClientError::Malformed);
}

#[test]
fn an_empty_challenge_asks_for_the_initial_response() {
    let mut client = start(Mechanism::Plain);
    assert!(matches!(client.step(b""), ClientStep::Send(m) if m.as_slice() == b"\0user\0pencil"));
    assert!(client.success().is_ok());
    assert_eq!(failure(start(Mechanism::Plain).step(b"go on")), ClientError::Malformed);
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_sent() {
    let nonce = || "client".parse().unwrap();
    let start =
        |login, password, mechanism| ClientExchange::start(mechanism, login, password, ChannelBinding::None, nonce()).map(|_| ());
    assert_eq!(start("", "x", Mechanism::Plain), Err(ClientError::Login(PrepareError::Empty)));
    assert_eq!(start("a\0b", "x", Mechanism::Plain), Err(ClientError::Login(PrepareError::Prohibited)));
    assert_eq!(start("a", "x\0y", Mechanism::Plain), Err(ClientError::Password(PrepareError::Prohibited)));
    assert_eq!(start("a", "x", Mechanism::ScramSha256Plus), Err(ClientError::NoBinding));
}

#[test]
fn a_comma_in_the_login_cannot_add_an_attribute() {
    let mut client =
        ClientExchange::start(Mechanism::ScramSha256, "a,r=b", "x", ChannelBinding::None, "client".parse().unwrap()).unwrap();
    assert_eq!(client.initial().unwrap().as_slice(), b"n,,n=a=2Cr=3Db,r=client");
}

#[test]
fn every_hash_of_scram_proves_both_sides() {
    // RFC 5802 §5, RFC 7677 §3; the last from Python's hashlib on the messages of RFC 7677.
    let rows = [
        (
            "SCRAM-SHA-1",
            "fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (
            "SCRAM-SHA-256",
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
        (
            "SCRAM-SHA-512",
            "rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
            "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==",
        ),
    ];
    for (name, nonce, challenge, answer, proof) in rows {
        let begin = || {
            let method: Method = name.parse().unwrap();
            let mut client =
                ClientExchange::start(method, "user", "pencil", ChannelBinding::None, nonce.parse().unwrap()).unwrap();
            assert_eq!(client.initial().unwrap().as_slice(), format!("n,,n=user,r={nonce}").as_bytes());
            assert_eq!(sent(client.step(challenge.as_bytes())), answer, "{name}");
            client
        };
        let mut right = begin();
        assert_eq!(sent(right.step(proof.as_bytes())), "");
        assert_eq!(right.success(), Ok(()));
        // The signature of another hash has another length.
        for wrong in ["v=", "v=AAAA", &proof.replace('v', "v=A").replacen("=A=", "=A", 1)] {
            let mut client = begin();
            assert!(matches!(client.step(wrong.as_bytes()), ClientStep::Failed(_)), "{name} {wrong}");
            assert_eq!(client.success(), Err(ClientError::ServerUnproven));
        }
    }
}
