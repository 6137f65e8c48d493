use std::sync::Arc;

use posthouse_config::Period;
use posthouse_directory::Directory;
use posthouse_dns::{Updates, Zone};
use posthouse_runtime::block_on;

use super::keeper::Memory;
use super::*;
use crate::status::KeyStatus;

fn domain() -> Domain {
    "example.test".parse().unwrap()
}

fn with_admin<F: Future<Output = ()>>(test: impl FnOnce(Admin, Directory) -> F) {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let admin = Admin::open(folder.path()).unwrap();
        admin.add_domain(&domain()).await.unwrap();
        let directory = admin.directory.clone();
        test(admin, directory).await;
    })
    .unwrap();
}

fn zone(records: &[DnsRecord]) -> Resolver {
    let lines: Vec<String> = records.iter().map(DnsRecord::to_line).collect();
    Arc::new(Zone::master(&lines.join("\n")).unwrap())
}

async fn states(directory: &Directory) -> Vec<(String, &'static str)> {
    let keys = directory.all_keys(&domain()).await.unwrap();
    keys.into_iter().map(|one| (one.key.selector, one.state.name())).collect()
}

/// Lets a keeper look at this DNS some times; what it says of it at last.
async fn looked(directory: &Directory, records: &[DnsRecord], settings: Settings) -> Vec<KeyStatus> {
    let standing = Standing::default();
    let keeper = Keeper {
        directory: directory.clone(),
        resolver: zone(records),
        updates: Updates::default(),
        settings,
        standing: standing.clone(),
    };
    let mut memory = Memory::default();
    for _ in 0..3 {
        keeper.look_at_all(&mut memory).await.unwrap();
    }
    standing.todo()
}

fn in_state(todo: &[KeyStatus], state: &str) -> usize {
    todo.iter().filter(|one| one.state == state).count()
}

/// Nothing is waited for.
fn at_once() -> Settings {
    Settings { rotate_every: None, settle: Period::default(), overlap: Period::default() }
}

#[test]
fn new_keys_wait_for_the_dns_and_then_take_the_place_of_the_old_ones() {
    with_admin(|admin, directory| async move {
        let old = admin.dns_records(&domain(), &at_once()).await.unwrap();
        let new = admin.rotate_keys(&domain(), false).await.unwrap();
        assert_eq!(directory.keys(&domain()).await.unwrap().len(), 2, "the new ones do not sign yet");
        // Only the old ones are published: it is said what is missing, and nothing changes.
        assert_eq!(in_state(&looked(&directory, &old, at_once()).await, "waiting"), 2);
        assert!(states(&directory).await.iter().all(|(_, state)| *state != "retired"));
        // Both are: the new ones sign, and the records of the old ones are no more wanted after a while.
        let both = [old, new.clone()].concat();
        assert_eq!(in_state(&looked(&directory, &both, at_once()).await, "retired"), 2);
        let signing: Vec<_> = directory.keys(&domain()).await.unwrap();
        let names: Vec<_> = signing.iter().map(|key| record_name(&key.selector, &domain())).collect();
        assert!(new.iter().all(|record| names.contains(&record.name)) && names.len() == 2, "{names:?}");
        let wanted = admin.dns_records(&domain(), &at_once()).await.unwrap();
        assert_eq!(wanted.iter().filter(|record| record.value.contains("DKIM1")).count(), 2, "{wanted:?}");
        // Their records are taken away: they are forgotten.
        assert_eq!(looked(&directory, &new, at_once()).await, []);
        assert!(states(&directory).await.iter().all(|(_, state)| *state == "signing"));
    });
}

#[test]
fn keys_that_are_old_get_successors_by_themselves() {
    with_admin(|admin, directory| async move {
        let old = admin.dns_records(&domain(), &at_once()).await.unwrap();
        let settings = Settings { rotate_every: Some(Period::default()), ..at_once() };
        let todo = looked(&directory, &old, settings).await;
        assert!(todo.len() == 2 && todo.iter().all(|one| one.words.contains("publish 2")), "{todo:?}");
        let states = states(&directory).await;
        assert_eq!(
            states.iter().filter(|(_, state)| *state == "waiting").count(),
            2,
            "two, and not two more each time: {states:?}"
        );
        assert_eq!(states.len(), 4);
    });
}

#[test]
fn a_key_that_others_have_is_out_of_use_at_once() {
    with_admin(|admin, directory| async move {
        let before = directory.keys(&domain()).await.unwrap();
        admin.rotate_keys(&domain(), false).await.unwrap();
        admin.rotate_keys(&domain(), true).await.unwrap();
        let after = directory.keys(&domain()).await.unwrap();
        assert!(after.len() == 2 && after.iter().all(|key| !before.contains(key)));
        assert_eq!(states(&directory).await.iter().filter(|(_, state)| *state == "retired").count(), 4);
    });
}

#[test]
fn what_the_dns_has_of_a_key_is_told_apart() {
    with_admin(|admin, _| async move {
        let right = admin.dns_records(&domain(), &at_once()).await.unwrap();
        let seen = async |change: &dyn Fn(&mut DnsRecord)| {
            let mut records: Vec<_> = right.iter().filter(|record| record.value.contains("k=rsa")).cloned().collect();
            change(&mut records[0]);
            let found = admin.published_keys(&domain(), &at_once(), &zone(&records)).await.unwrap();
            found.into_iter().find(|one| one.name.contains('r')).map(|one| (one.right, one.words)).unwrap()
        };
        assert_eq!(seen(&|_| ()).await, (true, "published; the key signs".to_owned()));
        assert_eq!(seen(&|record| record.name = "x.test".to_owned()).await, (false, "not published; the key signs".to_owned()));
        let (right_now, words) = seen(&|record| record.value = "v=DKIM1; k=rsa; p=".to_owned()).await;
        assert!(!right_now && words.contains("revoked"), "{words}");
        let other = SigningKey::generate(Algorithm::Rsa).unwrap();
        let (right_now, words) = seen(&|record| record.value = key_record(&other).unwrap()).await;
        assert!(!right_now && words.contains("another key"), "{words}");
    });
}
