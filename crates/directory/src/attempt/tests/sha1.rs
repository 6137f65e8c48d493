//! SCRAM-SHA-1 for passwords from before there was any.

use posthouse_sasl::Bindings;

use super::*;

impl World {
    /// As an older server has left it.
    async fn without_sha1(self) -> Self {
        let forget = |connection: &rusqlite::Transaction<'_>| {
            connection.execute("UPDATE account SET scram_sha1_keys = NULL", [])?;
            connection.execute("UPDATE app_password SET scram_sha1_keys = NULL", [])?;
            Ok(())
        };
        self.directory.store().write(forget).await.unwrap();
        self
    }

    /// The server's first words to a login: salt and iterations are in it.
    async fn challenge(&self, mechanism: Mechanism, login: &str) -> String {
        let mut server = ServerExchange::start(mechanism, Bindings::default(), Nonce::from_random([2; 18]));
        let first = format!("n,,n={login},r=x");
        let ServerStep::NeedKeys { login, hash } = server.step(Some(first.as_bytes())) else { panic!("{mechanism}") };
        let keys = self.directory.attempt(&login, Protocol::Smtp, ip(HOME)).unwrap().keys(hash).await.unwrap();
        let ServerStep::Challenge(challenge) = server.keys(keys, self.directory.fake_salt_seed()) else { panic!("{mechanism}") };
        String::from_utf8(challenge).unwrap()
    }
}

#[test]
fn a_password_from_before_is_good_for_sha1_once_it_was_seen() {
    block_on(async {
        let world = World::new().await;
        let app = world.add("phone", &Protocol::ALL, None).await;
        let world = world.without_sha1().await;
        for (login, password) in [("alice@a.test", "secret"), ("alice+phone@a.test", app.as_str())] {
            let before = world.challenge(Mechanism::ScramSha1, login).await;
            assert_eq!(world.scram_by(Mechanism::ScramSha1, login, password).await.account, None, "{login}");
            assert_eq!(world.plain("alice@a.test", "guess", Protocol::Smtp, HOME).await.account, None);
            assert_eq!(world.scram_by(Mechanism::ScramSha1, login, password).await.account, None, "{login}");
            assert!(world.plain("Alice@a.test", password, Protocol::Smtp, HOME).await.account.is_some());
            assert!(world.scram_by(Mechanism::ScramSha1, login, password).await.account.is_some(), "{login}");
            assert_eq!(world.scram_by(Mechanism::ScramSha1, login, "guess").await.account, None, "{login}");
            // Whoever asked all the while has seen nothing of it.
            assert_eq!(world.challenge(Mechanism::ScramSha1, login).await, before, "{login}");
        }
    })
    .unwrap();
}

#[test]
fn a_new_password_is_good_for_both_hashes_at_once() {
    block_on(async {
        let world = World::new().await;
        world.directory.set_password(&at("ALICE@a.test"), "changed").await.unwrap();
        let app = world.add("phone", &Protocol::ALL, None).await;
        for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
            for (login, password) in [("alice@a.test", "changed"), ("alice+phone@a.test", app.as_str())] {
                assert!(world.scram_by(mechanism, login, password).await.account.is_some(), "{mechanism} {login}");
                assert_eq!(world.scram_by(mechanism, login, "secret").await.account, None, "{mechanism} {login}");
            }
        }
        // Who has asked for it before there was an account sees the same.
        let before = world.challenge(Mechanism::ScramSha1, "bob@a.test").await;
        world.directory.add_account(&at("bob@a.test"), "secret").await.unwrap();
        assert_eq!(world.challenge(Mechanism::ScramSha1, "bob@a.test").await, before);
        assert!(world.scram_by(Mechanism::ScramSha1, "bob@a.test", "secret").await.account.is_some());
    })
    .unwrap();
}

#[test]
fn the_challenge_tells_nobody_from_somebody() {
    block_on(async {
        let world = World::new().await;
        world.add("phone", &Protocol::ALL, None).await;
        for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
            let mut lengths = Vec::new();
            for logins in [
                ["alice@a.test", "ALICE@a.test", "alice@A.TEST"],
                ["nobody@a.test", "NOBODY@a.test", "Nobody@A.test"],
                ["nobody+x@a.test", "NOBODY+x@a.test", "Nobody+X@A.test"],
                ["alice+phone@a.test", "Alice+Phone@a.test", "alice+phone@A.TEST"],
                ["alice+none@a.test", "Alice+None@a.test", "alice+none@A.TEST"],
            ] {
                let mut challenges = Vec::new();
                for login in logins {
                    challenges.push(world.challenge(mechanism, login).await);
                }
                assert!(challenges.iter().all(|challenge| *challenge == challenges[0]), "{logins:?} {challenges:?}");
                lengths.push((challenges[0].len(), challenges[0].rsplit_once(",i=").unwrap().1.to_owned()));
            }
            assert!(lengths.iter().all(|length| *length == lengths[0]), "{mechanism} {lengths:?}");
        }
    })
    .unwrap();
}

#[test]
fn keys_that_are_not_wanted_are_dropped_and_none_are_made() {
    block_on(async {
        let world = World::new().await;
        let app = world.add("phone", &Protocol::ALL, None).await;
        let kept = || {
            let count = "SELECT count(scram_sha1_keys) + (SELECT count(scram_sha1_keys) FROM app_password) FROM account";
            world.directory.store().read(|connection| Ok(connection.query_row(count, [], |row| row.get::<_, i64>(0))?)).unwrap()
        };
        assert_eq!(kept(), 2);
        world.directory.configure(LoginSettings { scram_sha1: false, ..LoginSettings::default() }).unwrap();
        assert_eq!((kept(), world.directory.takes_scram_sha1()), (0, false));
        for password in ["secret", &app] {
            assert!(world.plain("alice@a.test", password, Protocol::Smtp, HOME).await.account.is_some());
        }
        world.directory.set_password(&at("alice@a.test"), "changed").await.unwrap();
        world.add("laptop", &Protocol::ALL, None).await;
        assert_eq!(kept(), 0);
        world.directory.configure(LoginSettings::default()).unwrap();
        assert!(world.plain("alice@a.test", "changed", Protocol::Smtp, HOME).await.account.is_some());
        assert_eq!(kept(), 1);
        assert!(world.scram_by(Mechanism::ScramSha1, "alice@a.test", "changed").await.account.is_some());
    })
    .unwrap();
}
