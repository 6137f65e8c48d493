use super::*;
use crate::client::{ClientExchange, ClientStep};
use crate::mechanism::{ChannelBinding, Mechanism};
use crate::method::Method;
use crate::nonce::Nonce;
use crate::server::{ServerExchange, ServerStep};

fn server(mechanism: Mechanism) -> ServerExchange {
    ServerExchange::start(mechanism, ChannelBinding::None, Nonce::from_random([1; 18]))
}

fn refusal() -> TokenRefusal {
    let configuration = Some("https://id.example/.well-known/openid-configuration".to_owned());
    TokenRefusal { fault: TokenFault::Invalid, scope: Some("mail".to_owned()), configuration }
}

#[test]
fn a_message_of_either_mechanism_is_read_as_its_document_says() {
    // RFC 7628 §4.1 and §4.3.
    let standard = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmT\x01\x01";
    let (login, token) = oauthbearer(standard).unwrap();
    assert_eq!((login.as_deref(), token.reveal()), (Some("user@example.com"), "vF9dft4qmT"));
    let (login, token) = oauthbearer(b"y,,\x01auth=bearer  a.b.c\x01\x01").unwrap();
    assert_eq!((login, token.reveal()), (None, "a.b.c"));
    assert_eq!(oauthbearer(b"n,a=a=2Cb=3Dc,\x01auth=Bearer t\x01\x01").unwrap().0.as_deref(), Some("a,b=c"));
    let (login, token) = xoauth2(b"user=someuser@example.com\x01auth=Bearer ya29.vF9\x01\x01").unwrap();
    assert_eq!((login.as_deref(), token.reveal()), (Some("someuser@example.com"), "ya29.vF9"));
}

#[test]
fn a_message_that_is_not_exactly_one_is_none() {
    let rows: [&[u8]; 14] = [
        b"",
        b"\x01",
        b"n,,\x01\x01",
        b"n,,\x01auth=Bearer t\x01",
        b"n,,\x01auth=Bearer t",
        b"n,,\x01auth=Bearer \x01\x01",
        b"n,,\x01auth=Basic dGVzdA==\x01\x01",
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer t\x01\x01",
        b"n,x=user,\x01auth=Bearer t\x01\x01",
        b"n,a=us=er,\x01auth=Bearer t\x01\x01",
        b"n,a=a\x00b,\x01auth=Bearer t\x01\x01",
        b"n,,\x01auth=Bearer \xff\x01\x01",
    ];
    for row in rows {
        let shown = String::from_utf8_lossy(row).into_owned();
        assert!(oauthbearer(row).is_err(), "{shown:?}");
        assert!(xoauth2(row).is_err(), "{shown:?}");
    }
    assert!(xoauth2(b"user=\x01auth=Bearer t\x01\x01").is_err(), "XOAUTH2 always has a user");
}

#[test]
fn our_own_client_comes_in_with_a_token_or_hears_why_not() {
    for (method, mechanism, words) in [
        (
            Method::OAuthBearer,
            Mechanism::OAuthBearer,
            "{\"status\":\"invalid_token\",\"scope\":\"mail\",\"openid-configuration\":\"https://id.example/.well-known/openid-configuration\"}",
        ),
        (Method::XOAuth2, Mechanism::XOAuth2, "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}"),
    ] {
        for right in [true, false] {
            let mut client =
                ClientExchange::start(method, "alice@example.org", "a.b.c", ChannelBinding::None, Nonce::from_random([2; 18]))
                    .unwrap();
            let mut server = server(mechanism);
            let initial = client.initial().unwrap();
            let ServerStep::NeedToken { login, token } = server.step(Some(&initial)) else { panic!("no token is asked for") };
            assert_eq!((login.as_deref(), token.reveal()), (Some("alice@example.org"), "a.b.c"));
            if right {
                let step = server.token_result(Ok("alice@example.org".to_owned()));
                assert!(matches!(step, ServerStep::Done { login } if login == "alice@example.org"));
                continue;
            }
            let ServerStep::Challenge(challenge) = server.token_result(Err(refusal())) else { panic!("no reason is given") };
            assert_eq!(String::from_utf8_lossy(&challenge), words);
            let ClientStep::Send(farewell) = client.step(&challenge) else { panic!("the client does not acknowledge") };
            assert!(matches!(server.step(Some(&farewell)), ServerStep::Failed(Refusal::Token)));
            assert!(matches!(server.step(Some(b"")), ServerStep::Failed(Refusal::Order)), "it is over");
        }
    }
}

#[test]
fn a_token_may_be_long_and_no_longer_than_that() {
    let message = |octets: usize| [b"n,,\x01auth=Bearer ".to_vec(), vec![b'a'; octets], b"\x01\x01".to_vec()].concat();
    assert!(matches!(server(Mechanism::OAuthBearer).step(Some(&message(TOKEN_BYTES_MAX))), ServerStep::NeedToken { .. }));
    assert!(matches!(
        server(Mechanism::OAuthBearer).step(Some(&message(TOKEN_BYTES_MAX + 1))),
        ServerStep::Failed(Refusal::Malformed)
    ));
    assert!(matches!(server(Mechanism::OAuthBearer).step(Some(&vec![b'a'; 20_000])), ServerStep::Failed(Refusal::Malformed)));
    assert!(matches!(server(Mechanism::OAuthBearer).step(None), ServerStep::Challenge(empty) if empty.is_empty()));
    // 334 lines may have 12,288 octets (RFC 4954 §4).
    assert!(TOKEN_MESSAGE_BYTES_MAX.div_ceil(3) * 4 + 2 < 12_288);
}

#[test]
fn nothing_in_a_scope_ends_the_text_of_an_error_early() {
    let refusal = TokenRefusal { fault: TokenFault::Scope, scope: Some("a\"\\\r\nb".to_owned()), configuration: None };
    assert_eq!(String::from_utf8_lossy(&refusal.oauthbearer()), "{\"status\":\"insufficient_scope\",\"scope\":\"a\\\"\\\\b\"}");
}
