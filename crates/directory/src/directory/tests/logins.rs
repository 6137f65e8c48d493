//! Who can log in.

use posthouse_runtime::block_on;
use posthouse_sasl::{
    ChannelBinding, ClientExchange, ClientStep, Mechanism, Nonce, ScramHash, ScramKeys, ServerExchange, ServerStep,
    prepare_password,
};

use crate::{Directory, Protocol};

use super::{World, at};

fn can(directory: &Directory, login: &str, password: &str) -> bool {
    block_on(directory.verify_password(login, password)).unwrap().unwrap().is_some()
}

fn keys(directory: &Directory, login: &str, hash: ScramHash) -> Option<ScramKeys> {
    let mut attempt = directory.attempt(login, Protocol::Smtp, "192.0.2.1".parse().unwrap()).unwrap();
    block_on(attempt.keys(hash)).unwrap().unwrap()
}

/// Runs SCRAM between our two halves on what the directory says.
fn can_scram(directory: &Directory, login: &str, password: &str) -> bool {
    let nonce = |octet| Nonce::from_random([octet; 18]);
    let prepared = prepare_password(password).unwrap();
    let mut client =
        ClientExchange::start(Mechanism::ScramSha256, login, prepared.reveal(), ChannelBinding::None, nonce(1)).unwrap();
    let mut server = ServerExchange::start(Mechanism::ScramSha256, ChannelBinding::None, nonce(2));
    let mut step = server.step(None);
    loop {
        step = match step {
            ServerStep::Challenge(challenge) => match client.step(&challenge) {
                ClientStep::Send(answer) => server.step(Some(&answer)),
                ClientStep::Failed(_) => return false,
            },
            ServerStep::NeedKeys { login, hash } => {
                let keys = keys(directory, &login, hash);
                server.keys(keys, directory.fake_salt_seed())
            }
            ServerStep::Done { login: who } => return who == login,
            ServerStep::Failed(_) => return false,
            ServerStep::NeedPassword { .. } | ServerStep::NeedToken { .. } | ServerStep::NeedIdentity { .. } => {
                unreachable!("SCRAM never shows the password")
            }
        };
    }
}

#[test]
fn only_the_right_password_of_the_right_login_opens() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    world.run(world.directory.add_account(&at("bob@a.test"), "other")).unwrap();
    world.alias("sales@a.test", &["alice@a.test"]).unwrap();
    let found = world.run(world.directory.verify_password("ALICE@a.test", "secret")).unwrap();
    assert_eq!(found, Some(alice));
    for (login, password) in [
        ("alice@a.test", "Secret"),
        ("alice@a.test", ""),
        ("alice@a.test", "secret\0"),
        ("bob@a.test", "secret"),
        ("sales@a.test", "secret"),
        ("alice+x@a.test", "secret"),
        ("alice", "secret"),
        ("alice@b.test", "secret"),
        ("*@a.test", "secret"),
        ("postmaster@a.test", "secret"),
        ("", ""),
    ] {
        assert!(!can(&world.directory, login, password), "{login} {password}");
    }
    assert!(!can(&world.directory, "alice@a.test", &"x".repeat(1_000_000)));
}

#[test]
fn a_login_that_is_an_attack_is_only_unknown() {
    let world = World::new();
    world.account("alice@a.test");
    for login in [
        "' OR 1=1 --@a.test",
        "\"' OR '1'='1\"@a.test",
        "alice@a.test' --",
        "alice'; DROP TABLE account; --@a.test",
        "a*()\\|&@a.test",
        "alice\0@a.test",
        "alice@a.test\0",
        "../../etc/passwd@a.test",
        "%@a.test",
        "_lice@a.test",
        "alice@a.test\r\nQUIT",
    ] {
        assert!(!can(&world.directory, login, "secret"), "{login:?}");
        assert!(keys(&world.directory, login, ScramHash::Sha256).is_none(), "{login:?}");
        assert!(world.run(world.directory.account(login)).unwrap().is_none(), "{login:?}");
    }
    assert!(can(&world.directory, "alice@a.test", "secret"));
}

#[test]
fn scram_works_with_what_is_stored_and_with_nothing_else() {
    let world = World::new();
    world.account("alice@a.test");
    assert!(can_scram(&world.directory, "alice@a.test", "secret"));
    assert!(!can_scram(&world.directory, "alice@a.test", "Secret"));
    assert!(!can_scram(&world.directory, "nobody@a.test", "secret"));
}

#[test]
fn a_password_changed_elsewhere_shuts_the_old_one_out_at_once() {
    let world = World::new();
    world.account("alice@a.test");
    let server = world.other();
    assert!(can(&server, "alice@a.test", "secret"));
    assert!(can(&server, "alice@a.test", "secret"), "remembered");
    world.run(world.directory.set_password(&at("Alice@a.test"), "changed")).unwrap();
    assert!(!can(&server, "alice@a.test", "secret"));
    assert!(can(&server, "alice@a.test", "changed"));
    assert!(!can_scram(&server, "alice@a.test", "secret"));
    assert!(can_scram(&server, "alice@a.test", "changed"));
    world.run(world.directory.remove_account(&at("alice@a.test"))).unwrap();
    assert!(!can(&server, "alice@a.test", "changed"));
}

#[test]
fn a_password_typed_in_another_form_is_the_same() {
    let world = World::new();
    world.run(world.directory.add_account(&at("alice@a.test"), "p\u{e4}ss\u{a0}word")).unwrap();
    assert!(can(&world.directory, "alice@a.test", "pa\u{308}ss word"));
    assert!(can_scram(&world.directory, "alice@a.test", "pa\u{308}ss word"));
}

#[test]
fn a_hash_of_old_parameters_is_renewed_by_a_login() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    // m=8 MiB, t=1: `secret`
    let old = {
        use argon2::password_hash::PasswordHasher;
        let params = argon2::Params::new(8 * 1024, 1, 1, None).unwrap();
        let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        weak.hash_password_with_salt(b"secret", &[3; 16]).unwrap().to_string()
    };
    let file = rusqlite::Connection::open(world.path()).unwrap();
    file.execute("UPDATE account SET password_hash = ?1", [&old]).unwrap();
    let stored = || -> String { file.query_row("SELECT password_hash FROM account", [], |row| row.get(0)).unwrap() };
    assert!(!can(&world.directory, "alice@a.test", "guess"));
    assert_eq!(stored(), old, "a wrong password changes nothing");
    assert_eq!(world.run(world.directory.verify_password("alice@a.test", "secret")).unwrap(), Some(alice));
    assert!(stored().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", stored());
    assert!(can(&world.directory, "alice@a.test", "secret"));
}

#[test]
fn the_salts_of_unknown_logins_outlive_a_restart() {
    let world = World::new();
    assert_eq!(world.directory.fake_salt_seed(), world.other().fake_salt_seed());
    assert_ne!(world.directory.fake_salt_seed(), World::new().directory.fake_salt_seed());
}

#[test]
fn no_file_holds_a_password_in_clear() {
    let world = World::new();
    world.run(world.directory.add_account(&at("alice@a.test"), "correct horse battery")).unwrap();
    world.run(world.directory.set_password(&at("alice@a.test"), "staple horse battery")).unwrap();
    for file in std::fs::read_dir(world.folder.path()).unwrap() {
        let octets = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!octets.windows(13).any(|window| window == b"horse battery"));
    }
}
