use super::*;

fn at(address: &str) -> Address {
    address.parse().unwrap()
}

#[test]
fn whoever_asks_for_ever_new_names_fills_no_memory() {
    let mut memory = Memory::default();
    for number in 0..3 * REMEMBERED_MAX {
        let (here, there) = (at(&format!("nobody{number}@a.test")), at(&format!("x@domain{number}.test")));
        memory.keep_route(&here, &Route::Unknown);
        memory.keep_route(&there, &Route::Elsewhere);
        memory.keep_ends(&here, &[]);
        let kept = [memory.routes.len(), memory.elsewhere.len(), memory.ends.len()];
        assert!(kept.iter().all(|&len| len <= REMEMBERED_MAX), "{kept:?}");
        assert_eq!(memory.route(&here), Some(Route::Unknown));
        assert_eq!(memory.route(&there), Some(Route::Elsewhere));
    }
}

#[test]
fn a_large_list_is_not_kept() {
    let mut memory = Memory::default();
    let targets: Vec<Address> = (0..=TARGETS_REMEMBERED_MAX).map(|number| at(&format!("{number}@a.test"))).collect();
    memory.keep_route(&at("all@a.test"), &Route::Alias(targets.clone()));
    memory.keep_ends(&at("all@a.test"), &targets);
    assert_eq!((memory.route(&at("all@a.test")), memory.ends(&at("all@a.test"))), (None, None));
}

#[test]
fn a_change_of_this_process_is_seen_at_once_and_another_ones_a_millisecond_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.sqlite");
    let (mut other, reader) = (crate::schema::open_writer(&path).unwrap(), crate::schema::open_reader(&path).unwrap());
    let mut change = || {
        let transaction = other.transaction().unwrap();
        transaction.execute_batch("CREATE TABLE x (y); DROP TABLE x").unwrap();
        transaction.commit().unwrap();
    };
    let (mut memory, nobody) = (Memory::default(), at("nobody@a.test"));
    let remember = |memory: &mut Memory| {
        memory.refresh(&reader).unwrap();
        memory.keep_route(&nobody, &Route::Unknown);
    };
    remember(&mut memory);
    change();
    changed();
    memory.refresh(&reader).unwrap();
    assert_eq!(memory.route(&nobody), None);
    remember(&mut memory);
    change();
    memory.looked = memory.looked.map(|(at, changes)| (at.checked_sub(UNSEEN_MAX).unwrap(), changes));
    memory.refresh(&reader).unwrap();
    assert_eq!(memory.route(&nobody), None);
}
