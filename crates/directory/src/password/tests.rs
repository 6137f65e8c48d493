use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};

use posthouse_runtime::{block_on, clock};
use posthouse_sasl::{Password, prepare_password};

use super::{Check, NOBODY, Passwords, credentials, is_current, verify};
use crate::account::AccountId;

fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

const ALICE: &str = "01J0000000000000000000000A";
const BOB: &str = "01J0000000000000000000000B";

#[test]
fn an_unknown_login_costs_what_a_wrong_password_costs() {
    // The same function with the same parameters runs; only the stored text differs.
    assert!(is_current(&PasswordHash::new(NOBODY).unwrap()));
    for password in [None, Some(prepare_password("guess").unwrap())] {
        assert_eq!(verify(None, password.as_ref()).unwrap(), Check::Wrong);
    }
    // And it really runs. The quickest of several: other programs can only make one slower.
    let guess = prepare_password("guess").unwrap();
    let stored = credentials(&prepare_password("secret").unwrap(), None).unwrap().hash;
    let quickest = |stored: Option<&str>, password: Option<&Password>| {
        let time = |_| {
            let began = clock::now();
            verify(stored, password).unwrap();
            clock::now().duration_since(began)
        };
        (0..5).map(time).min().unwrap()
    };
    let wrong = quickest(Some(&stored), Some(&guess));
    for (stored, password) in [(None, Some(&guess)), (None, None), (Some(stored.as_str()), None)] {
        let other = quickest(stored, password);
        assert!(other > wrong / 2 && other < wrong * 2, "{other:?} and not {wrong:?}: {stored:?} {password:?}");
    }
}

#[test]
fn the_hash_nobody_has_lets_nobody_in() {
    assert_eq!(verify(Some(NOBODY), Some(&prepare_password("secret").unwrap())).unwrap(), Check::Wrong);
}

#[test]
fn a_password_that_cannot_be_one_is_wrong_and_not_an_error() {
    let stored = credentials(&prepare_password("secret").unwrap(), None).unwrap();
    assert_eq!(verify(Some(&stored.hash), None).unwrap(), Check::Wrong);
}

#[test]
fn a_hash_of_weaker_parameters_is_told() {
    let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8 * 1024, 1, 1, None).unwrap());
    let weak = weak.hash_password_with_salt(b"secret", &[7; 16]).unwrap().to_string();
    assert_eq!(verify(Some(&weak), Some(&prepare_password("secret").unwrap())).unwrap(), Check::RightAndOld);
    assert_eq!(verify(Some(&weak), Some(&prepare_password("Secret").unwrap())).unwrap(), Check::Wrong);
}

#[test]
fn a_remembered_password_opens_no_other_account_and_no_other_hash() {
    let passwords = Passwords::new();
    let password = prepare_password("secret").unwrap();
    let hash = credentials(&password, None).unwrap().hash;
    let alice = account(ALICE);
    let check = block_on(passwords.check(Some((&alice, hash.clone())), Some(password.clone()), false)).unwrap().unwrap();
    assert_eq!(check, Check::Right);
    assert!(passwords.remembers(&passwords.digest(&alice, &hash, &password)));

    let other_hash = credentials(&password, None).unwrap().hash;
    assert!(!passwords.remembers(&passwords.digest(&account(BOB), &hash, &password)));
    assert!(!passwords.remembers(&passwords.digest(&alice, &other_hash, &password)));
    assert!(!passwords.remembers(&passwords.digest(&alice, &hash, &prepare_password("secret ").unwrap())));
    assert!(!Passwords::new().remembers(&passwords.digest(&alice, &hash, &password)));
}

#[test]
fn a_wrong_password_is_never_remembered() {
    let passwords = Passwords::new();
    let hash = credentials(&prepare_password("secret").unwrap(), None).unwrap().hash;
    let (alice, wrong) = (account(ALICE), prepare_password("guess").unwrap());
    for _ in 0..2 {
        let check = block_on(passwords.check(Some((&alice, hash.clone())), Some(wrong.clone()), false)).unwrap().unwrap();
        assert_eq!(check, Check::Wrong);
    }
    assert!(!passwords.remembers(&passwords.digest(&alice, &hash, &wrong)));
}

#[test]
fn what_is_remembered_is_bounded() {
    let passwords = Passwords::new();
    for number in 0_u32..10_000 {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_be_bytes());
        passwords.remember(digest);
    }
    assert!(passwords.0.remembered.lock().unwrap().len() <= super::REMEMBERED_MAX);
}

#[test]
fn nothing_stored_shows_the_password_or_repeats_a_salt() {
    let password = prepare_password("correct horse battery").unwrap();
    let (one, two) = (credentials(&password, None).unwrap(), credentials(&password, None).unwrap());
    assert_ne!(one.hash, two.hash);
    assert_ne!(one.keys.sha256, two.keys.sha256);
    assert!(one.hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", one.hash);
    assert!(!one.hash.contains("horse") && !one.keys.sha256.contains("horse"));
}
