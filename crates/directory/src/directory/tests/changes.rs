//! What may be added and removed.

use std::sync::Barrier;

use posthouse_runtime::block_on;

use crate::{Directory, DirectoryError, Route};

use super::{World, at, domain, to};

#[test]
fn a_name_cannot_be_two_things() {
    let world = World::new();
    world.account("alice@a.test");
    world.alias("sales@a.test", &["alice@a.test"]).unwrap();
    let add = |address| world.run(world.directory.add_account(&at(address), "secret")).unwrap_err();
    assert!(matches!(add("ALICE@a.test"), DirectoryError::AccountExists(_)));
    assert!(matches!(add("Sales@a.test"), DirectoryError::AliasExists(_)));
    assert!(matches!(add("alice@c.test"), DirectoryError::NoSuchDomain(_)));
    assert!(matches!(add("*@a.test"), DirectoryError::CatchAllAccount(_)));
    let add = |address, target: &str| world.alias(address, &[target]).unwrap_err();
    assert!(matches!(add("alice@a.test", "bob@a.test"), DirectoryError::AccountExists(_)));
    assert!(matches!(add("sales@A.test", "bob@a.test"), DirectoryError::AliasExists(_)));
    assert!(matches!(add("x@c.test", "bob@a.test"), DirectoryError::NoSuchDomain(_)));
    assert!(matches!(add("x@a.test", "*@b.test"), DirectoryError::CatchAllTarget(_)));
    assert!(matches!(world.alias("x@a.test", &[]), Err(DirectoryError::NoTargets(_))));
    let many: Vec<_> = (0..=crate::TARGETS_MAX).map(|number| format!("u{number}@b.test")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(matches!(world.alias("x@a.test", &many), Err(DirectoryError::TooManyTargets(_))));
    assert_eq!(world.route("x@a.test"), Route::Unknown);
}

#[test]
fn a_password_nobody_could_type_is_refused() {
    let world = World::new();
    for password in ["", "\u{ad}", "new\nline", &"x".repeat(2000)] {
        let refused = world.run(world.directory.add_account(&at("alice@a.test"), password)).unwrap_err();
        assert!(matches!(refused, DirectoryError::Password(_)), "{password:?}: {refused}");
        assert!(!refused.to_string().contains('\n'));
    }
    assert!(world.run(world.directory.accounts()).unwrap().is_empty());
}

#[test]
fn a_domain_with_accounts_stays() {
    let world = World::new();
    world.account("alice@a.test");
    world.alias("sales@a.test", &["alice@a.test"]).unwrap();
    world.alias("sales@b.test", &["alice@a.test"]).unwrap();
    let refused = world.run(world.directory.remove_domain(&domain("a.test"))).unwrap_err();
    assert!(matches!(refused, DirectoryError::DomainInUse { accounts: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("alice@a.test"), "{refused}");

    world.run(world.directory.remove_account(&at("alice@a.test"))).unwrap();
    world.run(world.directory.remove_domain(&domain("A.test"))).unwrap();
    assert_eq!(world.route("sales@a.test"), Route::Elsewhere, "its aliases went with it");
    assert_eq!(world.run(world.directory.domains()).unwrap(), [domain("b.test")]);
    assert_eq!(world.run(world.directory.aliases()).unwrap().len(), 1);
    let again = world.run(world.directory.remove_domain(&domain("a.test"))).unwrap_err();
    assert!(matches!(again, DirectoryError::NoSuchDomain(_)), "{again}");
}

#[test]
fn a_domain_is_added_once_and_is_a_name() {
    let world = World::new();
    let add = |name| world.run(world.directory.add_domain(&domain(name)));
    assert!(matches!(add("A.TEST"), Err(DirectoryError::DomainExists(_))));
    assert!(matches!(add("[127.0.0.1]"), Err(DirectoryError::DomainLiteral(_))));
    add("b\u{fc}cher.test").unwrap();
    assert!(world.run(world.directory.is_local(&domain("xn--bcher-kva.test"))).unwrap());
}

#[test]
fn a_removed_account_says_what_it_leaves() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    world.alias("sales@a.test", &["ALICE@a.test", "x@elsewhere.test"]).unwrap();
    world.alias("other@a.test", &["x@elsewhere.test"]).unwrap();
    let removed = world.run(world.directory.remove_account(&at("Alice@a.test"))).unwrap();
    assert_eq!((removed.account.id.clone(), removed.aliases), (alice.id.clone(), vec![at("sales@a.test")]));
    assert!(matches!(world.run(world.directory.remove_account(&at("alice@a.test"))), Err(DirectoryError::NoSuchAccount(_))));
    assert!(matches!(world.run(world.directory.set_password(&at("alice@a.test"), "x")), Err(DirectoryError::NoSuchAccount(_))));
    assert_ne!(world.account("alice@a.test").id, alice.id, "the next Alice does not get the old one's mail");
}

#[test]
fn an_account_is_not_removed_as_an_alias_nor_an_alias_as_an_account() {
    let world = World::new();
    world.account("alice@a.test");
    world.alias("sales@a.test", &["alice@a.test"]).unwrap();
    assert!(matches!(world.run(world.directory.remove_alias(&at("alice@a.test"))), Err(DirectoryError::NoSuchAlias(_))));
    assert!(matches!(world.run(world.directory.remove_account(&at("sales@a.test"))), Err(DirectoryError::NoSuchAccount(_))));
    world.run(world.directory.remove_alias(&at("SALES@a.test"))).unwrap();
    assert_eq!(world.route("sales@a.test"), Route::Unknown);
}

#[test]
fn what_was_listed_is_what_was_added() {
    let world = World::new();
    let accounts = [world.account("Zoe.Q@b.test"), world.account("\"a b\"@a.test")];
    assert_eq!(world.run(world.directory.accounts()).unwrap(), accounts);
    let alias = world.alias("Sales@a.test", &["b@elsewhere.test", "a@elsewhere.test", "b@elsewhere.test"]).unwrap();
    assert_eq!(alias.targets, [at("b@elsewhere.test"), at("a@elsewhere.test")]);
    assert_eq!(world.run(world.directory.aliases()).unwrap(), [alias]);
    assert_eq!(world.run(world.directory.account("zoe.q@B.test")).unwrap().as_ref(), Some(&accounts[0]));
}

#[test]
fn two_writers_at_once_lose_nothing() {
    let world = World::new();
    let start = Barrier::new(2);
    let path = world.path();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (start, path) = (&start, &path);
            scope.spawn(move || {
                let directory = Directory::open(path).unwrap();
                start.wait();
                for number in 0..40 {
                    let address = at(&format!("w{writer}n{number}@a.test"));
                    block_on(directory.add_alias(&address, &[at("x@elsewhere.test")])).unwrap().unwrap();
                }
            });
        }
    });
    assert_eq!(world.run(world.directory.aliases()).unwrap().len(), 80);
}

#[test]
fn two_that_make_the_file_at_once_make_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let start = Barrier::new(4);
    let seeds: Vec<_> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    *Directory::open(&path).unwrap().fake_salt_seed()
                })
            })
            .collect();
        openers.into_iter().map(|opener| opener.join().unwrap()).collect()
    });
    assert!(seeds.iter().all(|seed| seed == &seeds[0]));
}

#[test]
fn a_lookup_does_not_wait_for_a_writer() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    let mut other = rusqlite::Connection::open(world.path()).unwrap();
    let writing = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    writing.execute("DELETE FROM account", []).unwrap();
    assert_eq!(world.route("alice@a.test"), super::to(&alice));
}

#[test]
fn what_another_process_changed_is_never_answered_from_memory() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    let other = world.other();
    let sales = at("sales@a.test");
    for round in 0..50 {
        assert_eq!(world.route("sales@a.test"), Route::Unknown, "{round}");
        assert_eq!(world.expand("sales@a.test"), Vec::<String>::new());
        assert_eq!(world.route("x@c.test"), Route::Elsewhere);
        world.run(other.add_alias(&sales, &[at("alice@a.test")])).unwrap();
        assert_eq!(world.route("sales@a.test"), Route::Alias(vec![at("alice@a.test")]), "{round}");
        assert_eq!(world.expand("sales@a.test"), ["alice@a.test"]);
        world.run(other.remove_alias(&sales)).unwrap();
        world.run(other.add_domain(&domain("c.test"))).unwrap();
        assert_eq!(world.route("x@c.test"), Route::Unknown, "{round}");
        // And by this process itself, over its writing connection.
        world.run(world.directory.remove_domain(&domain("c.test"))).unwrap();
    }
    assert_eq!(world.route("alice@a.test"), to(&alice));
    world.run(other.remove_account(&at("alice@a.test"))).unwrap();
    assert_eq!(world.route("alice@a.test"), Route::Unknown);
}
