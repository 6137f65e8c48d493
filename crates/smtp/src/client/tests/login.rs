//! TLS and the login.

use super::*;

const HELLO: &str = "S: 220 x\nC: EHLO me.example\n";

fn with_login() -> Play {
    Play { credentials: Some(Credentials::new("user", "pencil").unwrap()), start_tls: StartTls::Required, ..play() }
}

#[test]
fn the_hello_is_said_again_under_tls_and_the_first_answer_forgotten() {
    let end = with_login().run(
        "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250-AUTH LOGIN
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 go
        C: EHLO me.example
        S: 250-x
        S: 250 AUTH LOGIN PLAIN
        C: AUTH PLAIN AHVzZXIAcGVuY2ls
        S: 235 in
        C: QUIT
        S: 221 bye",
    );
    assert_eq!(end.closed, None);
}

#[test]
fn a_method_that_was_asked_for_is_the_only_one() {
    let by = |names: &[&str]| {
        let methods: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        Play { credentials: Some(Credentials::new("user", "pencil").unwrap().only_by(&methods)), secured: Some(TLS), ..play() }
    };
    let offer = format!("{HELLO}S: 250-x\nS: 250 AUTH SCRAM-SHA-256 LOGIN PLAIN");
    let end = by(&["plain", "LOGIN"]).run(&format!("{offer}\nC: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 235 in\nC: QUIT\nS: 221 x"));
    assert_eq!(end.closed, None);
    let end = by(&["CRAM-MD5"]).run(&offer);
    assert_eq!(end.closed, Some(SessionError::NoMechanism { offered: "SCRAM-SHA-256 LOGIN PLAIN".to_owned() }));
}

#[test]
fn a_binding_that_is_not_wanted_is_not_said_to_be_impossible() {
    let secured = Secured { binding: ChannelBinding::Exporter([1; 32]), verified: true };
    let methods = ["SCRAM-SHA-256".parse().unwrap()];
    let credentials = Credentials::new("user", "pencil").unwrap();
    for (offer, first) in [
        // `n,,n=user` and `y,,n=user`.
        ("SCRAM-SHA-256 SCRAM-SHA-256-PLUS", "SCRAM-SHA-256 biwsbj11c2Vy"),
        ("SCRAM-SHA-256", "SCRAM-SHA-256 eSwsbj11c2Vy"),
    ] {
        let play = Play { credentials: Some(credentials.clone().only_by(&methods)), secured: Some(secured), ..play() };
        let end = play
            .run(&format!("{HELLO}S: 250-x\nS: 250 AUTH {offer}\nC: AUTH {first}LHI9ck9wck5HZndFYmVSV2diTkVrcU8=\nS: 535 no"));
        assert!(matches!(end.closed, Some(SessionError::Refused { stage: Stage::Login, .. })), "{offer}");
    }
}

#[test]
fn what_the_server_has_against_a_token_is_told() {
    let play = || Play { credentials: Some(Credentials::bearer("user", "tok").unwrap()), secured: Some(TLS), ..play() };
    let begun = format!("{HELLO}S: 250-x\nS: 250 AUTH XOAUTH2\nC: AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHRvawEB\n");
    // {"status":"401"}, and the same with a line break and an escape in it.
    for (challenge, told) in [("eyJzdGF0dXMiOiI0MDEifQ==", "{\"status\":\"401\"}"), ("eyJhIjoKGyI0MDEifQ==", "{\"a\":  \"401\"}")]
    {
        let end = play().run(&format!("{begun}S: 334 {challenge}\nC:\nS: 535 5.7.8 no"));
        let Some(SessionError::TokenRefused { reason, reply }) = end.closed else { panic!("{:?}", end.closed) };
        assert_eq!((reason.as_str(), reply.code()), (told, 535));
    }
    let end = play().run(&format!("{begun}S: 535 5.7.8 no"));
    assert!(matches!(end.closed, Some(SessionError::Refused { stage: Stage::Login, .. })));
}

#[test]
fn plaintext_behind_the_reply_to_starttls_is_an_attack() {
    for start_tls in [StartTls::Required, StartTls::IfOffered] {
        let play = Play { start_tls, ..play() };
        for injected in ["S: 250 x", "S: 250-SIZE"] {
            let script = format!("{HELLO}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\n{injected}");
            // Octet by octet the injected ones come when the handshake has begun: TLS itself trips over them.
            let end = play.run_in_pieces(&script, usize::MAX);
            assert_eq!(end.closed, Some(SessionError::Injected), "{injected}");
        }
    }
    let now = clock();
    let mut session = Play { start_tls: StartTls::Required, ..play() }.session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250 STARTTLS\r\n");
    let _ = session.poll(now);
    session.receive(now, b"220 go\r\n2");
    assert_eq!(session.poll(now), Output::Closed(Some(SessionError::Injected)));
    session.tls_started(now, TLS);
    assert_eq!(session.poll(now), Output::Closed(Some(SessionError::Injected)));
}

#[test]
fn required_tls_that_is_not_offered_or_refused_ends_the_session() {
    let play = Play { start_tls: StartTls::Required, ..play() };
    assert_eq!(play.run(&format!("{HELLO}S: 250 x")).closed, Some(SessionError::NoStartTls));
    let end = play.run(&format!("{HELLO}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now"));
    assert!(matches!(end.closed, Some(SessionError::Refused { stage: Stage::StartTls, .. })));
    // No HELO: it has no STARTTLS.
    let end = play.run(&format!("{HELLO}S: 502 what"));
    assert!(matches!(end.closed, Some(SessionError::Refused { stage: Stage::Hello, .. })));
}

#[test]
fn wanted_tls_that_is_refused_goes_on_in_clear() {
    let play = Play { start_tls: StartTls::IfOffered, ..play() };
    let end = play.run(&format!("{HELLO}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now\nC: QUIT\nS: 221 bye"));
    assert_eq!(end.closed, None);
}

#[test]
fn the_password_stays_here_without_verified_tls() {
    let offer = format!("{HELLO}S: 250-x\nS: 250-STARTTLS\nS: 250 AUTH PLAIN");
    let clear = Play { start_tls: StartTls::Never, ..with_login() };
    assert_eq!(clear.run(&offer).closed, Some(SessionError::UnprotectedLogin));
    let unverified = Secured { verified: false, ..TLS };
    let play = Play { secured: Some(unverified), ..with_login() };
    assert_eq!(play.run(&offer).closed, Some(SessionError::UnprotectedLogin));
    let asked_for = Play { unprotected: true, ..clear };
    assert_eq!(asked_for.run(&format!("{offer}\nC: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 235 in\nC: QUIT\nS: 221 x")).closed, None);
}

#[test]
fn a_refused_login_is_the_last_word() {
    let play = Play { secured: Some(TLS), ..with_login() };
    let end = play.run(&format!("{HELLO}S: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHVzZXIAcGVuY2ls\nS: 535 5.7.8 wrong"));
    let Some(error @ SessionError::Refused { stage: Stage::Login, .. }) = end.closed else { panic!() };
    assert!(!error.is_temporary());
    assert_eq!(play.run(&format!("{HELLO}S: 250 x")).closed, Some(SessionError::NoMechanism { offered: String::new() }));
    let end = play.run(&format!("{HELLO}S: 250-x\nS: 250 AUTH GSSAPI NTLM"));
    assert_eq!(end.closed, Some(SessionError::NoMechanism { offered: "GSSAPI NTLM".to_owned() }));
}

#[test]
fn login_is_asked_question_by_question() {
    let play = Play { secured: Some(TLS), ..with_login() };
    let script = format!(
        "{HELLO}S: 250-x
        S: 250 AUTH=LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg==
        S: 334 who?
        C: cGVuY2ls
        S: 235 in
        C: QUIT
        S: 221 x"
    );
    assert_eq!(play.run(&script).closed, None);
}

#[test]
fn scram_is_preferred_and_the_server_has_to_prove_itself() {
    let play = Play { secured: Some(TLS), ..with_login() };
    let begun = format!(
        "{HELLO}S: 250-x
        S: 250 AUTH PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS
        C: AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="
    );
    let first = "S: 334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=
        C: Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFwV0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ==";
    let right = format!(
        "{begun}
        {first}
        S: 334 dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ==
        C:
        S: 235 in
        C: QUIT
        S: 221 x"
    );
    assert_eq!(play.run(&right).closed, None);
    for early in [format!("{begun}\nS: 235 in"), format!("{begun}\n{first}\nS: 235 in")] {
        assert_eq!(play.run(&early).closed, Some(SessionError::Login(ClientError::ServerUnproven)));
    }
    let end = play.run(&format!("{begun}\nS: 334 ???"));
    assert!(matches!(end.closed, Some(SessionError::Protocol { stage: Stage::Login, .. })));
}

#[test]
fn an_initial_response_that_fits_no_line_is_sent_when_asked_for() {
    let password = "p".repeat(400);
    let play = Play { secured: Some(TLS), credentials: Some(Credentials::new("user", &password).unwrap()), ..with_login() };
    let session = |play: &Play| {
        let now = clock();
        let mut session = play.session();
        session.receive(now, b"220 x\r\n");
        let _ = session.poll(now);
        session.receive(now, b"250-x\r\n250 AUTH PLAIN\r\n");
        let Output::Send(line) = session.poll(now) else { panic!() };
        assert_eq!(&line[..], b"AUTH PLAIN\r\n");
        session.receive(now, b"334 \r\n");
        let Output::Send(line) = session.poll(now) else { panic!() };
        assert!(line.len() > 500 && line.ends_with(b"\r\n"));
        session
    };
    let mut session = session(&play);
    session.receive(clock(), b"235 in\r\n");
    assert_eq!(session.poll(clock()), Output::Ready);
}

#[test]
fn a_transcript_has_no_secrets() {
    let play = Play { secured: Some(TLS), ..with_login() };
    let now = clock();
    let mut session = play.session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250 AUTH LOGIN\r\n");
    for challenge in [&b"334 VXNlcm5hbWU6\r\n"[..], b"334 UGFzc3dvcmQ6\r\n", b"235 in\r\n"] {
        let _ = session.poll(now);
        session.receive(now, challenge);
    }
    let text = session.take_transcript().iter().map(Line::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(
        text,
        "S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250 AUTH LOGIN\nC: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: ***\nS: 334 UGFzc3dvcmQ6\nC: ***\nS: 235 in"
    );
    assert!(!format!("{:?}", Credentials::new("user", "pencil")).contains("pencil"));
}

#[test]
fn a_transcript_has_no_part_of_an_exchange_that_passwords_could_be_tried_against() {
    let play = Play { secured: Some(TLS), ..with_login() };
    let now = clock();
    let mut session = play.session();
    session.receive(now, b"220 x\r\n");
    let _ = session.poll(now);
    session.receive(now, b"250-x\r\n250 AUTH SCRAM-SHA-256\r\n");
    let _ = session.poll(now);
    session.receive(
        now,
        b"334 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\r\n",
    );
    let text = session.take_transcript().iter().map(Line::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.ends_with("C: AUTH SCRAM-SHA-256 ***\nS: 334 ***\nC: ***"), "{text}");
}

#[test]
fn a_token_that_is_refused_is_told_as_the_server_tells_it() {
    let play = Play { credentials: Some(Credentials::bearer("user", "tok").unwrap()), secured: Some(TLS), ..play() };
    let end = play.run(
        "S: 220 x
        C: EHLO me.example
        S: 250-x
        S: 250 AUTH PLAIN XOAUTH2
        C: AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHRvawEB
        S: 334 eyJzdGF0dXMiOiI0MDAifQ==
        C:
        S: 535 5.7.8 expired",
    );
    let Some(SessionError::TokenRefused { reason, reply }) = end.closed else { panic!("{:?}", end.closed) };
    assert_eq!((reason.as_str(), reply.code()), ("{\"status\":\"400\"}", 535));
}

#[test]
fn a_certificate_that_says_all_is_sent_an_equals_sign() {
    let play = Play { credentials: Some(Credentials::certificate("").unwrap()), secured: Some(TLS), ..play() };
    let end = play
        .run("S: 220 x\nC: EHLO me.example\nS: 250-x\nS: 250 AUTH EXTERNAL\nC: AUTH EXTERNAL =\nS: 235 in\nC: QUIT\nS: 221 bye");
    assert_eq!(end.closed, None);
}
