//! Passwords that somebody else knows.

use std::sync::{Arc, Mutex};

use posthouse_mail::Domain;

use crate::{OutsideChecking, OutsidePasswords, Unavailable};

use super::*;

/// Knows alice by another password, and dora, who has no account; remembers what it was shown.
struct Outside {
    creates: bool,
    down: bool,
    shown: Mutex<Vec<(String, String)>>,
}

impl OutsidePasswords for Outside {
    fn speaks_for(&self, domain: &Domain) -> bool {
        domain.as_str() == "a.test"
    }

    fn creates(&self) -> bool {
        self.creates
    }

    fn check<'a>(&'a self, login: &'a str, password: &'a str) -> OutsideChecking<'a> {
        self.shown.lock().unwrap().push((login.to_owned(), password.to_owned()));
        let known = ["alice@a.test", "dora@a.test"].contains(&login) && password == "outside";
        let answer = if self.down { Err(Unavailable("it is down".to_owned())) } else { Ok(known) };
        Box::pin(async move { answer })
    }
}

fn asking(world: &World, creates: bool, down: bool) -> Arc<Outside> {
    let outside = Arc::new(Outside { creates, down, shown: Mutex::default() });
    world.directory.trust_passwords(Some(Arc::clone(&outside) as Arc<dyn OutsidePasswords>));
    outside
}

#[test]
fn for_its_domains_nobody_else_says_what_is_right() {
    block_on(async {
        let world = World::new().await;
        world.directory.add_domain(&"b.test".parse().unwrap()).await.unwrap();
        world.directory.add_account(&at("bob@b.test"), "secret").await.unwrap();
        let app = world.add("phone", &Protocol::ALL, None).await;
        asking(&world, false, false);
        for (login, password, right) in [
            ("alice@a.test", "outside", true),
            ("alice@a.test", "secret", false),
            ("alice@a.test", &app, true),
            ("alice+phone@a.test", &app, true),
            ("alice+phone@a.test", "outside", false),
            ("dora@a.test", "outside", false),
            ("bob@b.test", "secret", true),
            ("bob@b.test", "outside", false),
        ] {
            assert_eq!(world.plain(login, password, Protocol::Smtp, HOME).await.account.is_some(), right, "{login} {password}");
        }
        assert_eq!(world.scram("alice@a.test", "secret").await.account, None);
        assert!(world.scram("alice+phone@a.test", &app).await.account.is_some());
        assert!(!world.directory.takes_scram());
        world.directory.trust_passwords(None);
        assert!(world.plain("alice@a.test", "secret", Protocol::Smtp, HOME).await.account.is_some());
    })
    .unwrap();
}

#[test]
fn what_it_has_no_part_in_it_is_not_shown() {
    block_on(async {
        let world = World::new().await;
        let app = world.add("phone", &Protocol::ALL, None).await;
        let outside = asking(&world, true, false);
        for (login, password) in [
            ("alice@a.test", ""),
            ("alice@a.test", "\u{7}"),
            ("alice@a.test", &app),
            ("alice+phone@a.test", "guess"),
            ("alice@elsewhere.test", "guess"),
            ("alice", "guess"),
        ] {
            let _ = world.plain(login, password, Protocol::Smtp, HOME).await;
        }
        assert_eq!(*outside.shown.lock().unwrap(), []);
    })
    .unwrap();
}

#[test]
fn an_account_is_made_once_the_password_was_right() {
    block_on(async {
        let world = World::new().await;
        asking(&world, true, false);
        assert_eq!(world.plain("dora@a.test", "guess", Protocol::Smtp, HOME).await.account, None);
        assert_eq!(world.directory.account("dora@a.test").await.unwrap(), None);
        let made = world.plain("dora@a.test", "outside", Protocol::Smtp, HOME).await.account.unwrap();
        let again = world.plain("dora@a.test", "outside", Protocol::Pop3, HOME).await.account.unwrap();
        assert_eq!((made.address.to_string().as_str(), &made.id), ("dora@a.test", &again.id));
    })
    .unwrap();
}

#[test]
fn one_that_is_down_counts_against_nobody() {
    block_on(async {
        let world = World::new().await;
        asking(&world, false, true);
        for _ in 0..200 {
            let mut attempt = world.directory.attempt("alice@a.test", Protocol::Smtp, ip(AWAY)).unwrap();
            let failed = attempt.password("outside").await.unwrap_err();
            assert!(matches!(failed, DirectoryError::Outside(_)) && failed.is_temporary(), "{failed}");
        }
    })
    .unwrap();
}
