use super::*;
use crate::binding::EndPoint;
use crate::client::{ClientError, ClientExchange, ClientStep};
use crate::mechanism::ChannelBinding;

const SEED: [u8; 32] = [9; 32];
const BOUND: ChannelBinding = ChannelBinding::Exporter([5; 32]);

fn nonce(text: &str) -> Nonce {
    text.parse().unwrap()
}

fn keys(password: &str) -> ScramKeys {
    keys_of(ScramHash::Sha256, password)
}

fn keys_of(hash: ScramHash, password: &str) -> ScramKeys {
    ScramKeys::derive(hash, &prepare_password(password).unwrap(), b"0123456789abcdef", 4096).unwrap()
}

fn server(mechanism: Mechanism, binding: impl Into<Bindings>) -> ServerExchange {
    ServerExchange::start(mechanism, binding, nonce("server"))
}

/// Runs both halves against each other with one account, `user`/`pencil`; gives the server's end and the client's word on it.
fn talk(mechanism: Mechanism, login: &str, password: &str, client: ChannelBinding, at: ChannelBinding) -> (ServerStep, bool) {
    let mut ours = server(mechanism, at);
    let mut theirs = ClientExchange::start(mechanism, login, password, client, nonce("client")).unwrap();
    let mut message = theirs.initial();
    loop {
        let mut step = ours.step(message.as_ref().map(|m| m.as_slice()));
        if let ServerStep::NeedPassword { login, password } = &step {
            let right = login == "user" && password.reveal() == "pencil";
            step = ours.password_result(right);
        }
        if let ServerStep::NeedKeys { login, hash } = &step {
            let found = (login == "user").then(|| keys_of(*hash, "pencil"));
            step = ours.keys(found, &SEED);
        }
        let ServerStep::Challenge(challenge) = step else { return (step, theirs.success().is_ok()) };
        match theirs.step(&challenge) {
            ClientStep::Send(answer) => message = Some(answer),
            ClientStep::Failed(error) => panic!("{error}"),
        }
    }
}

fn refusal(step: ServerStep) -> Refusal {
    let ServerStep::Failed(refusal) = step else { panic!("{step:?}") };
    refusal
}

#[test]
fn every_mechanism_lets_the_right_password_in_and_no_other() {
    for mechanism in Mechanism::WITH_PASSWORD {
        let binding = if mechanism.is_bound() { BOUND } else { ChannelBinding::None };
        let (end, believed) = talk(mechanism, "user", "pencil", binding, binding);
        assert!(matches!(&end, ServerStep::Done { login } if login == "user"), "{mechanism}: {end:?}");
        assert!(believed, "{mechanism}");
        for (login, password) in [("user", "Pencil"), ("nobody", "pencil")] {
            let (end, _) = talk(mechanism, login, password, binding, binding);
            assert_eq!(refusal(end), Refusal::Credentials, "{mechanism} {login} {password}");
        }
    }
}

#[test]
fn the_exchange_of_rfc_7677() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let stored = ScramKeys::derive(ScramHash::Sha256, &prepare_password("pencil").unwrap(), &salt, 4096).unwrap();
    let mut ours = ServerExchange::start(Mechanism::ScramSha256, ChannelBinding::None, nonce("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"));
    let client =
        ClientExchange::start(Mechanism::ScramSha256, "user", "pencil", ChannelBinding::None, nonce("rOprNGfwEbeRWgbNEkqO"));
    let mut theirs = client.unwrap();
    let first = theirs.initial().unwrap();
    assert_eq!(first.as_slice(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert!(matches!(ours.step(Some(&first)), ServerStep::NeedKeys { .. }));
    let ServerStep::Challenge(challenge) = ours.keys(Some(stored), &SEED) else { panic!() };
    assert_eq!(
        String::from_utf8_lossy(&challenge),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let ClientStep::Send(last) = theirs.step(&challenge) else { panic!() };
    assert_eq!(
        String::from_utf8_lossy(&last),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let ServerStep::Challenge(signature) = ours.step(Some(&last)) else { panic!() };
    assert_eq!(String::from_utf8_lossy(&signature), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert_eq!(theirs.success(), Err(ClientError::ServerUnproven));
    let ClientStep::Send(empty) = theirs.step(&signature) else { panic!() };
    assert!(empty.is_empty() && theirs.success().is_ok());
    assert!(matches!(ours.step(Some(&empty)), ServerStep::Done { login } if login == "user"));
}

#[test]
fn the_exchange_of_rfc_5802() {
    let salt = STANDARD.decode("QSXCR+Q6sek8bf92").unwrap();
    let stored = ScramKeys::derive(ScramHash::Sha1, &prepare_password("pencil").unwrap(), &salt, 4096).unwrap();
    let mut ours = ServerExchange::start(Mechanism::ScramSha1, Bindings::default(), nonce("3rfcNHYJY1ZVvWVs7j"));
    let asked = ours.step(Some(b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"));
    assert!(matches!(asked, ServerStep::NeedKeys { hash: ScramHash::Sha1, .. }), "{asked:?}");
    let ServerStep::Challenge(challenge) = ours.keys(Some(stored), &SEED) else { panic!() };
    assert_eq!(challenge, b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096");
    let last = b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    let ServerStep::Challenge(signature) = ours.step(Some(last)) else { panic!() };
    assert_eq!(signature, b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    assert!(matches!(ours.step(Some(b"")), ServerStep::Done { login } if login == "user"));
}

#[test]
fn keys_of_the_other_hash_let_nobody_in() {
    for (mechanism, hash) in [(Mechanism::ScramSha1, ScramHash::Sha256), (Mechanism::ScramSha256, ScramHash::Sha1)] {
        let mut ours = server(mechanism, ChannelBinding::None);
        assert!(matches!(ours.step(Some(b"n,,n=user,r=x")), ServerStep::NeedKeys { .. }));
        assert_eq!(refusal(ours.keys(Some(keys_of(hash, "pencil")), &SEED)), Refusal::Order);
    }
}

#[test]
fn a_proof_of_the_other_hash_is_malformed() {
    for (mechanism, hash, octets) in
        [(Mechanism::ScramSha1, ScramHash::Sha1, 32), (Mechanism::ScramSha256, ScramHash::Sha256, 20)]
    {
        let mut ours = server(mechanism, ChannelBinding::None);
        let _ = ours.step(Some(b"n,,n=user,r=x"));
        let _ = ours.keys(Some(keys_of(hash, "pencil")), &SEED);
        let last = format!("c=biws,r=xserver,p={}", STANDARD.encode(vec![0; octets]));
        assert_eq!(refusal(ours.step(Some(last.as_bytes()))), Refusal::Malformed);
    }
}

/// `client-final-message` of `user`/`pencil` that is bound to `octets`.
fn bound_proof(stored: &ScramKeys, header: &str, octets: &[u8], server_first: &str) -> String {
    let without_proof = format!("c={},r=xserver", STANDARD.encode([header.as_bytes(), octets].concat()));
    let signed = scram::auth_message("n=user,r=x", server_first, &without_proof);
    let salted = stored.hash.salted_password(&prepare_password("pencil").unwrap(), &stored.salt, stored.iterations).unwrap();
    let proof = scram::client_key(stored, &stored.hash.hmac(&salted, b"Client Key"), &signed);
    format!("{without_proof},p={}", STANDARD.encode(&*proof))
}

#[test]
fn a_client_may_bind_to_the_certificate_it_was_shown_and_to_no_other() {
    let shown = EndPoint::from_digest(&[3; 48]).unwrap();
    for (mechanism, hash) in [(Mechanism::ScramSha256Plus, ScramHash::Sha256), (Mechanism::ScramSha1Plus, ScramHash::Sha1)] {
        // Of TLS 1.3 and of TLS 1.2.
        for exporter in [Some([5; 32]), None] {
            for (digest, right) in [(vec![3; 48], true), (vec![4; 48], false), (vec![3; 32], false), (vec![], false)] {
                let mut ours = server(mechanism, Bindings { exporter, end_point: Some(shown) });
                let header = "p=tls-server-end-point,,";
                let _ = ours.step(Some(format!("{header}n=user,r=x").as_bytes()));
                let ServerStep::Challenge(first) = ours.keys(Some(keys_of(hash, "pencil")), &SEED) else { panic!() };
                let last = bound_proof(&keys_of(hash, "pencil"), header, &digest, str::from_utf8(&first).unwrap());
                let step = ours.step(Some(last.as_bytes()));
                match right {
                    true => assert!(matches!(step, ServerStep::Challenge(_)), "{mechanism} {step:?}"),
                    false => assert_eq!(refusal(step), Refusal::Binding, "{mechanism} {digest:?}"),
                }
            }
        }
    }
}

#[test]
fn a_binding_that_the_connection_does_not_have_is_refused() {
    let end_point = EndPoint::from_digest(&[3; 32]);
    let (of_12, of_13) = (Bindings { exporter: None, end_point }, Bindings { exporter: Some([5; 32]), end_point: None });
    for (bindings, first) in [
        (of_12, "p=tls-exporter,,n=user,r=x"),
        (of_12, "p=tls-unique,,n=user,r=x"),
        (of_13, "p=tls-server-end-point,,n=user,r=x"),
        (of_13, "p=TLS-EXPORTER,,n=user,r=x"),
        (Bindings::default(), "p=tls-server-end-point,,n=user,r=x"),
    ] {
        let step = server(Mechanism::ScramSha256Plus, bindings).step(Some(first.as_bytes()));
        assert_eq!(refusal(step), Refusal::BindingKind, "{bindings:?} {first}");
    }
    assert_eq!(refusal(server(Mechanism::ScramSha1, of_12).step(Some(b"y,,n=user,r=x"))), Refusal::Downgrade);
    assert!(EndPoint::from_digest(&[]).is_none() && EndPoint::from_digest(&[0; 65]).is_none());
}

#[test]
fn a_client_that_was_told_we_cannot_bind_is_turned_away() {
    // The client has a binding and was offered SCRAM-SHA-256 only, so it says `y`; we did offer -PLUS.
    let (end, believed) = talk(Mechanism::ScramSha256, "user", "pencil", BOUND, BOUND);
    assert_eq!(refusal(end), Refusal::Downgrade);
    assert!(!believed);
    // The same words are honest when we offered none.
    assert!(matches!(talk(Mechanism::ScramSha256, "user", "pencil", BOUND, ChannelBinding::None).0, ServerStep::Done { .. }));
}

#[test]
fn a_client_bound_to_another_connection_is_turned_away() {
    let elsewhere = ChannelBinding::Exporter([6; 32]);
    assert_eq!(refusal(talk(Mechanism::ScramSha256Plus, "user", "pencil", elsewhere, BOUND).0), Refusal::Binding);
}

#[test]
fn mechanism_and_binding_flag_must_match() {
    let rows = [
        (Mechanism::ScramSha256Plus, "n,,n=user,r=x", Refusal::BindingKind),
        (Mechanism::ScramSha256Plus, "y,,n=user,r=x", Refusal::Downgrade),
        (Mechanism::ScramSha256Plus, "p=tls-unique,,n=user,r=x", Refusal::BindingKind),
        (Mechanism::ScramSha256, "p=tls-exporter,,n=user,r=x", Refusal::BindingKind),
        (Mechanism::ScramSha256, "y,,n=user,r=x", Refusal::Downgrade),
    ];
    for (mechanism, message, expected) in rows {
        assert_eq!(refusal(server(mechanism, BOUND).step(Some(message.as_bytes()))), expected, "{mechanism} {message}");
    }
    let unavailable = server(Mechanism::ScramSha256Plus, ChannelBinding::None).step(Some(b"p=tls-exporter,,n=user,r=x"));
    assert_eq!(refusal(unavailable), Refusal::BindingKind);
}

#[test]
fn a_changed_gs2_header_is_noticed() {
    let mut ours = server(Mechanism::ScramSha256, ChannelBinding::None);
    assert!(matches!(ours.step(Some(b"n,,n=user,r=x")), ServerStep::NeedKeys { .. }));
    let _ = ours.keys(Some(keys("pencil")), &SEED);
    // `eSws` is `y,,`.
    let last = format!("c=eSws,r=xserver,p={}", STANDARD.encode([0; 32]));
    assert_eq!(refusal(ours.step(Some(last.as_bytes()))), Refusal::Binding);
}

#[test]
fn nobody_acts_as_somebody_else() {
    let rows: [(Mechanism, &[u8]); 2] =
        [(Mechanism::Plain, b"root\0user\0pencil"), (Mechanism::ScramSha256, b"n,a=root,n=user,r=x")];
    for (mechanism, message) in rows {
        assert_eq!(refusal(server(mechanism, ChannelBinding::None).step(Some(message))), Refusal::OtherIdentity);
    }
    let same = server(Mechanism::Plain, ChannelBinding::None).step(Some(b"user\0user\0pencil"));
    assert!(matches!(same, ServerStep::NeedPassword { .. }));
    let same = server(Mechanism::ScramSha256, ChannelBinding::None).step(Some(b"n,a=user,n=user,r=x"));
    assert!(matches!(same, ServerStep::NeedKeys { .. }));
}

#[test]
fn broken_messages_of_plain_and_login_are_malformed() {
    for bad in
        [&b""[..], b"\0", b"\0\0", b"\0user", b"\0user\0", b"\0\0pencil", b"\0user\0pencil\0", b"\0us\xffer\0x", b"user\0pencil"]
    {
        assert_eq!(refusal(server(Mechanism::Plain, ChannelBinding::None).step(Some(bad))), Refusal::Malformed, "{bad:?}");
    }
    for bad in [&b""[..], b"us\0er", b"\xff"] {
        assert_eq!(refusal(server(Mechanism::Login, ChannelBinding::None).step(Some(bad))), Refusal::Malformed, "{bad:?}");
    }
}

#[test]
fn a_message_without_end_is_refused_by_every_mechanism() {
    let long = vec![b'a'; MESSAGE_BYTES_MAX + 1];
    for mechanism in Mechanism::ALL {
        assert_eq!(refusal(server(mechanism, BOUND).step(Some(&long))), Refusal::Malformed);
    }
}

#[test]
fn a_repeated_or_foreign_nonce_is_refused() {
    for bad in ["x", "server", "xserve", "xserver2", "yserver"] {
        let mut ours = server(Mechanism::ScramSha256, ChannelBinding::None);
        let _ = ours.step(Some(b"n,,n=user,r=x"));
        let _ = ours.keys(Some(keys("pencil")), &SEED);
        let last = format!("c=biws,r={bad},p={}", STANDARD.encode([0; 32]));
        assert_eq!(refusal(ours.step(Some(last.as_bytes()))), Refusal::Malformed, "{bad}");
    }
}

#[test]
fn the_challenge_to_an_unknown_user_stays_the_same() {
    let challenge = |seed: &[u8; 32]| {
        let mut ours = server(Mechanism::ScramSha256, ChannelBinding::None);
        let _ = ours.step(Some(b"n,,n=nobody,r=x"));
        let ServerStep::Challenge(challenge) = ours.keys(None, seed) else { panic!() };
        challenge
    };
    assert_eq!(challenge(&SEED), challenge(&SEED));
    assert_ne!(challenge(&SEED), challenge(&[8; 32]));
}

#[test]
fn answers_that_were_not_asked_for_let_nobody_in() {
    for mechanism in Mechanism::ALL {
        assert_eq!(refusal(server(mechanism, BOUND).password_result(true)), Refusal::Order);
        assert_eq!(refusal(server(mechanism, BOUND).keys(None, &SEED)), Refusal::Order);
    }
    let mut ours = server(Mechanism::Plain, ChannelBinding::None);
    assert!(matches!(ours.step(Some(b"\0user\0pencil")), ServerStep::NeedPassword { .. }));
    assert_eq!(refusal(ours.step(Some(b"\0user\0pencil"))), Refusal::Order);
    assert_eq!(refusal(ours.password_result(true)), Refusal::Order);
}

#[test]
fn an_ended_exchange_stays_ended() {
    let mut ours = server(Mechanism::Plain, ChannelBinding::None);
    let _ = ours.step(Some(b"\0user\0pencil"));
    assert!(matches!(ours.password_result(true), ServerStep::Done { .. }));
    assert_eq!(refusal(ours.password_result(true)), Refusal::Order);
    assert_eq!(refusal(ours.step(Some(b"\0user\0pencil"))), Refusal::Order);
    assert_eq!(refusal(ours.step(None)), Refusal::Order);
}

#[test]
fn the_signature_is_acknowledged_with_nothing_else() {
    let mut ours = server(Mechanism::ScramSha256, ChannelBinding::None);
    let mut theirs =
        ClientExchange::start(Mechanism::ScramSha256, "user", "pencil", ChannelBinding::None, nonce("client")).unwrap();
    let _ = ours.step(theirs.initial().as_ref().map(|m| m.as_slice()));
    let ServerStep::Challenge(challenge) = ours.keys(Some(keys("pencil")), &SEED) else { panic!() };
    let ClientStep::Send(last) = theirs.step(&challenge) else { panic!() };
    let _ = ours.step(Some(&last));
    assert_eq!(refusal(ours.step(Some(b"x"))), Refusal::Malformed);
}
