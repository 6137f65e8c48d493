//! Log-ins from outside, on a real file.

use std::net::IpAddr;
use std::time::Duration;

use tempfile::TempDir;

use posthouse_mail::{Address, UnixMillis};
use posthouse_runtime::block_on;
use posthouse_sasl::{ChannelBinding, ClientExchange, ClientStep, Mechanism, Nonce, ServerExchange, ServerStep, TokenFault};

use crate::directory::now;
use crate::guard::LoginSettings;
use crate::{Directory, DirectoryError, LoggedIn, Protocol, SubjectKind};

const HOME: &str = "192.0.2.1";
const AWAY: &str = "198.51.100.1";

struct World {
    directory: Directory,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
        directory.add_domain(&"a.test".parse().unwrap()).await.unwrap();
        directory.add_account(&at("alice@a.test"), "secret").await.unwrap();
        Self { directory, folder }
    }

    fn restarted(self) -> Self {
        let Self { directory, folder } = self;
        drop(directory);
        let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
        Self { directory, folder }
    }

    async fn add(&self, name: &str, protocols: &[Protocol], expires: Option<UnixMillis>) -> String {
        let added = self.directory.add_app_password(&at("alice@a.test"), &name.parse().unwrap(), protocols, expires).await;
        added.unwrap().1.reveal().to_owned()
    }

    async fn plain(&self, login: &str, password: &str, protocol: Protocol, from: &str) -> LoggedIn {
        let mut attempt = self.directory.attempt(login, protocol, ip(from)).unwrap();
        let ok = attempt.password(password).await.unwrap();
        attempt.ended(ok).await
    }

    async fn scram(&self, login: &str, password: &str) -> LoggedIn {
        self.scram_by(Mechanism::ScramSha256, login, password).await
    }

    async fn scram_by(&self, mechanism: Mechanism, login: &str, password: &str) -> LoggedIn {
        let nonce = |octet| Nonce::from_random([octet; 18]);
        let mut client = ClientExchange::start(mechanism, login, password, ChannelBinding::None, nonce(1)).unwrap();
        let mut server = ServerExchange::start(mechanism, ChannelBinding::None, nonce(2));
        let mut attempt = None;
        let mut step = server.step(None);
        let ok = loop {
            step = match step {
                ServerStep::Challenge(challenge) => match client.step(&challenge) {
                    ClientStep::Send(answer) => server.step(Some(&answer)),
                    ClientStep::Failed(_) => break false,
                },
                ServerStep::NeedKeys { login, hash } => {
                    let begun = attempt.insert(self.directory.attempt(&login, Protocol::Smtp, ip(HOME)).unwrap());
                    let keys = begun.keys(hash).await.unwrap();
                    server.keys(keys, self.directory.fake_salt_seed())
                }
                ServerStep::Done { .. } => break true,
                ServerStep::Failed(_)
                | ServerStep::NeedPassword { .. }
                | ServerStep::NeedToken { .. }
                | ServerStep::NeedIdentity { .. } => break false,
            };
        };
        attempt.unwrap().ended(ok).await
    }
}

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_app_password_opens_what_it_is_for_and_nothing_else() {
    block_on(async {
        let world = World::new().await;
        let password = world.add("phone", &[Protocol::Pop3], None).await;
        let bare = password.replace('-', "");
        for (login, password) in [("alice@a.test", &password), ("ALICE@a.test", &bare), ("alice+phone@a.test", &password)] {
            let ended = world.plain(login, password, Protocol::Pop3, HOME).await;
            assert_eq!(ended.account.map(|account| account.address), Some(at("alice@a.test")), "{login}");
            assert_eq!(ended.app_password.as_deref(), Some("phone"), "{login}");
        }
        let refused = world.plain("alice@a.test", &password, Protocol::Smtp, HOME).await;
        assert_eq!(refused.account, None);
        assert_eq!(refused.why.as_deref(), Some("the app password `phone` is not for smtp"));
        for (login, password) in [
            ("alice+phone@a.test", "secret"),
            ("alice+laptop@a.test", password.as_str()),
            ("bob+phone@a.test", &password),
            ("alice@a.test", &password[1..]),
            ("alice+@a.test", "secret"),
        ] {
            assert_eq!(world.plain(login, password, Protocol::Pop3, AWAY).await.account, None, "{login}");
        }
    })
    .unwrap();
}

#[test]
fn scram_finds_an_app_password_by_its_name() {
    block_on(async {
        let world = World::new().await;
        let password = world.add("phone", &Protocol::ALL, None).await;
        assert!(world.scram("alice+phone@a.test", &password).await.account.is_some());
        assert!(world.scram("alice@a.test", "secret").await.account.is_some());
        for (login, password) in
            [("alice@a.test", password.as_str()), ("alice+phone@a.test", "secret"), ("alice+x@a.test", "secret")]
        {
            assert_eq!(world.scram(login, password).await.account, None, "{login}");
        }
    })
    .unwrap();
}

#[test]
fn an_expired_or_removed_app_password_opens_nothing() {
    block_on(async {
        let world = World::new().await;
        let expired = world.add("old", &Protocol::ALL, Some(now())).await;
        let ended = world.plain("alice@a.test", &expired, Protocol::Smtp, HOME).await;
        assert_eq!((ended.account, ended.why.as_deref()), (None, Some("the app password `old` has expired")));
        assert_eq!(world.scram("alice+old@a.test", &expired).await.account, None);
        let live = world.add("new", &Protocol::ALL, Some(now().plus(Duration::from_secs(3600)))).await;
        assert!(world.plain("alice@a.test", &live, Protocol::Smtp, HOME).await.account.is_some());
        let name = "new".parse().unwrap();
        world.directory.remove_app_password(&at("alice@a.test"), &name).await.unwrap();
        assert_eq!(world.plain("alice@a.test", &live, Protocol::Smtp, HOME).await.account, None);
        let again = world.directory.remove_app_password(&at("alice@a.test"), &name).await.unwrap_err();
        assert!(matches!(again, DirectoryError::NoSuchAppPassword(..)), "{again}");
    })
    .unwrap();
}

#[test]
fn the_last_use_is_shown_and_a_name_is_not_taken_twice() {
    block_on(async {
        let world = World::new().await;
        let password = world.add("phone", &[Protocol::Pop3, Protocol::Smtp, Protocol::Pop3], None).await;
        let list = || async { world.directory.app_passwords(&at("alice@a.test")).await.unwrap() };
        assert_eq!(list().await[0].last_used, None);
        assert_eq!(list().await[0].protocols, Protocol::ALL);
        world.plain("alice@a.test", &password, Protocol::Smtp, AWAY).await;
        let used = list().await[0].last_used.clone().unwrap();
        assert_eq!((used.peer.as_str(), used.protocol.as_str()), (AWAY, "smtp"));
        world.plain("alice@a.test", &password, Protocol::Pop3, HOME).await;
        assert_eq!(list().await[0].last_used.clone().unwrap().peer, HOME);
        let again = world.directory.add_app_password(&at("alice@a.test"), &"phone".parse().unwrap(), &Protocol::ALL, None).await;
        assert!(matches!(again.unwrap_err(), DirectoryError::AppPasswordExists(..)));
        world.directory.remove_account(&at("alice@a.test")).await.unwrap();
        world.directory.add_account(&at("alice@a.test"), "other").await.unwrap();
        assert!(list().await.is_empty(), "the passwords of a removed account go with it");
    })
    .unwrap();
}

#[test]
fn no_file_holds_an_app_password() {
    block_on(async {
        let world = World::new().await;
        let password = world.add("phone", &Protocol::ALL, None).await;
        world.plain("alice@a.test", &password, Protocol::Smtp, HOME).await;
        for file in std::fs::read_dir(world.folder.path()).unwrap() {
            let octets = std::fs::read(file.unwrap().path()).unwrap();
            for text in [password.clone(), password.replace('-', "")] {
                assert!(!octets.windows(text.len()).any(|window| window == text.as_bytes()));
            }
        }
    })
    .unwrap();
}

#[test]
fn a_guesser_is_slowed_down_over_every_protocol_and_over_a_restart() {
    block_on(async {
        let mut world = World::new().await;
        world.directory.configure(LoginSettings { wrong_per_address: 4, ..LoginSettings::default() }).unwrap();
        for (round, protocol) in [Protocol::Smtp, Protocol::Pop3, Protocol::Smtp, Protocol::Pop3].into_iter().enumerate() {
            world.plain("alice@a.test", &format!("guess {round}"), protocol, AWAY).await;
        }
        world = world.restarted();
        world.directory.configure(LoginSettings { wrong_per_address: 4, ..LoginSettings::default() }).unwrap();
        for login in ["alice@a.test", "nobody@a.test", "not even an address"] {
            let slowed = world.directory.attempt(login, Protocol::Smtp, ip(AWAY)).unwrap_err();
            assert_eq!(slowed.subject.kind, SubjectKind::Address, "{login}");
            assert_eq!(slowed.to_string(), "too many wrong passwords, try again in 6 h", "{login}");
        }
        assert!(world.plain("alice@a.test", "secret", Protocol::Smtp, HOME).await.account.is_some());
        let slowed = world.directory.guard().slowed().await.unwrap();
        assert_eq!(slowed.iter().map(|one| one.subject.to_string()).collect::<Vec<_>>(), [AWAY]);
        assert_eq!(world.directory.guard().clear(Some(AWAY.to_owned())).await.unwrap(), 1);
        assert!(world.plain("alice@a.test", "secret", Protocol::Pop3, AWAY).await.account.is_some());
    })
    .unwrap();
}

/// Takes `for NAME` as a token of NAME's, and nothing else.
struct Clerk;

impl crate::Tokens for Clerk {
    fn check<'a>(&'a self, token: &'a str) -> crate::TokenChecking<'a> {
        use crate::TokenError::{Refused, Scope, Unavailable};
        let answer = match token {
            "down" => Err(Unavailable("it is down".to_owned())),
            "narrow" => Err(Scope("it lacks a scope".to_owned())),
            token => token.strip_prefix("for ").map(str::to_owned).ok_or_else(|| Refused("it is forged".to_owned())),
        };
        Box::pin(std::future::ready(answer))
    }

    fn hint(&self) -> crate::TokenHint {
        crate::TokenHint { scope: Some("mail".to_owned()), configuration: None }
    }
}

#[test]
fn a_token_lets_in_its_owner_and_nobody_who_only_says_so() {
    block_on(async {
        let world = World::new().await;
        world.directory.trust_tokens(Some(std::sync::Arc::new(Clerk)));
        world.directory.add_account(&at("bob@a.test"), "secret").await.unwrap();
        let rows = [
            (Some("alice@a.test"), "for alice@a.test", Ok("alice@a.test")),
            (Some("ALICE@A.test"), "for Alice@a.test", Ok("alice@a.test")),
            (None, "for alice@a.test", Ok("alice@a.test")),
            (Some("bob@a.test"), "for alice@a.test", Err("the token is that of alice@a.test")),
            (Some("nobody@a.test"), "for alice@a.test", Err("the token is that of alice@a.test")),
            (Some("alice+phone@a.test"), "for alice@a.test", Err("the token is that of alice@a.test")),
            (Some("alice"), "for alice@a.test", Err("the token is that of alice@a.test")),
            (None, "for nobody@a.test", Err("the token is that of `nobody@a.test`, who has no account here")),
            (Some("alice@a.test"), "forged", Err("it is forged")),
            (Some("nobody@a.test"), "forged", Err("it is forged")),
        ];
        for (login, token, expected) in rows {
            let mut attempt = world.directory.attempt_with_token(login, Protocol::Smtp, ip(HOME)).unwrap();
            let result = attempt.token(token).await.unwrap();
            if let Err(refusal) = &result {
                // The client hears the same, whatever it is.
                assert_eq!(format!("{refusal:?}"), "TokenRefusal { fault: Invalid, scope: Some(\"mail\"), configuration: None }");
            }
            let ended = attempt.ended(result.is_ok()).await;
            assert_eq!(result.as_deref().ok(), expected.ok(), "{login:?} {token}");
            assert_eq!(ended.why.as_deref(), expected.err(), "{login:?} {token}");
            assert_eq!(ended.account.is_some(), expected.is_ok());
        }
        let mut attempt = world.directory.attempt_with_token(None, Protocol::Pop3, ip(HOME)).unwrap();
        assert!(matches!(attempt.token("narrow").await.unwrap().unwrap_err().fault, TokenFault::Scope));
        let mut attempt = world.directory.attempt_with_token(None, Protocol::Pop3, ip(HOME)).unwrap();
        let error = attempt.token("down").await.unwrap_err();
        assert!(error.is_temporary(), "{error}");
        world.directory.trust_tokens(None);
        let mut attempt = world.directory.attempt_with_token(None, Protocol::Pop3, ip(HOME)).unwrap();
        assert!(attempt.token("for alice@a.test").await.unwrap().is_err());
    })
    .unwrap();
}

#[test]
fn forged_tokens_are_slowed_down_like_wrong_passwords() {
    block_on(async {
        let world = World::new().await;
        world.directory.trust_tokens(Some(std::sync::Arc::new(Clerk)));
        let mut looked_at = 0;
        while let Ok(mut attempt) = world.directory.attempt_with_token(None, Protocol::Smtp, ip(AWAY)) {
            let right = attempt.token("forged").await.unwrap().is_ok();
            attempt.ended(right).await;
            looked_at += 1;
        }
        assert_eq!(looked_at, 20);
        // Over every mechanism, and for nobody else.
        assert!(world.directory.attempt("alice@a.test", Protocol::Pop3, ip(AWAY)).is_err());
        assert!(world.directory.attempt_with_token(None, Protocol::Smtp, ip(HOME)).is_ok());
    })
    .unwrap();
}

#[test]
fn a_certificate_is_that_of_its_addresses_or_of_its_fingerprint_and_of_nobody_else() {
    block_on(async {
        let world = World::new().await;
        world.directory.add_account(&at("bob@a.test"), "secret").await.unwrap();
        let pinned = "ab".repeat(32);
        let certificate =
            vec![crate::CertificateLogin { fingerprint: "AB:".repeat(31) + "AB", account: "bob@a.test".to_owned() }];
        world.directory.configure(LoginSettings { certificate, ..LoginSettings::default() }).unwrap();
        let other = "cd".repeat(32);
        type Case<'a> = (Option<&'a str>, &'a [&'a str], &'a str, Option<&'a str>);
        let rows: [Case<'_>; 14] = [
            (None, &["alice@a.test"], &other, Some("alice@a.test")),
            (None, &["ALICE@A.TEST"], &other, Some("alice@a.test")),
            (Some("Alice@a.test"), &["alice@a.test"], &other, Some("alice@a.test")),
            (Some("bob@a.test"), &["alice@a.test"], &other, None),
            (Some("nobody@a.test"), &["alice@a.test"], &other, None),
            (Some("alice+phone@a.test"), &["alice@a.test"], &other, None),
            (None, &["nobody@a.test"], &other, None),
            (None, &[], &other, None),
            (None, &["alice@a.test\0.evil.test"], &other, None),
            (None, &["alice@a.test", "bob@a.test"], &other, None),
            (Some("bob@a.test"), &["alice@a.test", "bob@a.test"], &other, Some("bob@a.test")),
            (None, &["alice@a.test", "Alice@a.test", "nobody@a.test"], &other, Some("alice@a.test")),
            // What was configured for a certificate counts, whatever else it says.
            (None, &["alice@a.test"], &pinned, Some("bob@a.test")),
            (Some("alice@a.test"), &["alice@a.test"], &pinned, None),
        ];
        for (login, emails, fingerprint, expected) in rows {
            let emails: Vec<String> = emails.iter().map(|&email| email.to_owned()).collect();
            let mut attempt = world.directory.attempt_with_certificate(login, Protocol::Smtp, ip(HOME)).unwrap();
            let whose = attempt.certificate(&emails, fingerprint).await.unwrap();
            assert_eq!(whose.as_deref(), expected, "{login:?} {emails:?}");
            let ended = attempt.ended(whose.is_some()).await;
            assert_eq!((ended.account.is_some(), ended.why.is_none()), (expected.is_some(), expected.is_some()));
        }
        for digest in ["", "ab", &"ab".repeat(33), &"zz".repeat(32)] {
            let one = crate::CertificateLogin { fingerprint: digest.to_owned(), account: String::new() };
            assert_eq!(one.digest(), None, "{digest}");
        }
    })
    .unwrap();
}

mod outside;
mod sha1;
