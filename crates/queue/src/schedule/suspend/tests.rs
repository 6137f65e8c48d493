use super::*;
use crate::storage::fault::{Loss, World};

fn suspension(until: Option<u64>) -> Suspension {
    Suspension { since: 5, until, by: "root".to_owned(), reason: Some("they asked".to_owned()) }
}

fn name(name: &str) -> Scope {
    Scope::Name(name.to_owned())
}

#[test]
fn what_was_suspended_is_so_after_a_restart() {
    let world = World::default();
    let mut suspended = Suspended::default();
    for (n, scope) in [Scope::Everything, name("A.test"), name("b.test")].into_iter().enumerate() {
        suspended.set(scope, suspension(None));
        suspended.store(&world).unwrap();
        let back = Suspended::load(&world.after_cut(world.steps(), Loss::Everything)).unwrap();
        assert_eq!(back.list(), suspended.list(), "after {n}");
    }
    assert!(suspended.clear(&name("a.TEST")) && !suspended.clear(&name("a.test")));
    suspended.store(&world).unwrap();
    assert_eq!(Suspended::load(&world).unwrap().list().len(), 2);
    assert_eq!(world.list().unwrap().len(), 1, "older files are left behind");
}

#[test]
fn a_power_cut_leaves_the_old_list_or_the_new_one() {
    let world = World::default();
    let mut suspended = Suspended::default();
    suspended.set(name("a.test"), suspension(None));
    suspended.store(&world).unwrap();
    let before = (world.steps(), suspended.list());
    suspended.set(name("b.test"), suspension(None));
    suspended.store(&world).unwrap();
    for cut in before.0..=world.steps() {
        for loss in [Loss::Everything, Loss::Nothing, Loss::Tail, Loss::Head, Loss::Shreds(3)] {
            let found = Suspended::load(&world.after_cut(cut, loss)).unwrap().list();
            assert!(found == before.1 || found == suspended.list(), "cut at {cut}, {loss:?}: {found:?}");
        }
    }
    assert_eq!(Suspended::load(&world.after_cut(world.steps(), Loss::Everything)).unwrap().list(), suspended.list());
}

#[test]
fn a_suspension_ends_by_itself() {
    let mut suspended = Suspended::default();
    suspended.set(Scope::Everything, suspension(Some(10)));
    suspended.set(name("a.test"), suspension(Some(20)));
    suspended.set(name("b.test"), suspension(None));
    assert_eq!(suspended.next_end(), Some(UnixMillis(10)));
    assert!(!suspended.expire(UnixMillis(9)) && suspended.expire(UnixMillis(10)));
    assert!(suspended.everything().is_none() && suspended.name("a.test").is_some());
    assert!(suspended.expire(UnixMillis(20)) && suspended.name("b.test").is_some());
}
