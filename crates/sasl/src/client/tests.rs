use super::*;

fn start(mechanism: Mechanism) -> ClientExchange {
    let nonce = "client".parse().unwrap();
    ClientExchange::start(mechanism, "user", "pencil", ChannelBinding::None, nonce).unwrap()
}

fn failure(step: ClientStep) -> ClientError {
    match step {
        ClientStep::Failed(error) => error,
        ClientStep::Send(_) => panic!("the client went on"),
    }
}

#[test]
fn the_strongest_usable_mechanism_is_chosen() {
    use Mechanism::{Login, Plain, ScramSha256, ScramSha256Plus};
    let bound = ChannelBinding::Exporter([1; 32]);
    let all = [Login, Plain, ScramSha256, ScramSha256Plus];
    assert_eq!(choose(&all, bound), Some(ScramSha256Plus));
    assert_eq!(choose(&all, ChannelBinding::None), Some(ScramSha256));
    assert_eq!(choose(&[Login, Plain], bound), Some(Plain));
    assert_eq!(choose(&[Login], bound), Some(Login));
    assert_eq!(choose(&[ScramSha256Plus], ChannelBinding::None), None);
    assert_eq!(choose(&[], bound), None);
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
