//! Where addresses lead.

use crate::names::{ALIAS_DEPTH_MAX, EXPANSION_MAX};
use crate::{DirectoryError, Route};

use super::{World, at, domain, to};

#[test]
fn another_spelling_of_a_name_is_the_same_person() {
    let world = World::new();
    let (alice, jurgen) = (world.account("Alice@a.test"), world.account("j\u{fc}rgen@a.test"));
    assert_eq!(world.route("ALICE@A.TEST"), to(&alice));
    assert_eq!(world.route("\"alice\"@a.test"), to(&alice));
    assert_eq!(world.route("Ju\u{308}RGEN@a.test"), to(&jurgen));
    assert_eq!(world.route("alice@b.test"), Route::Unknown);
    assert_eq!(world.route("alice@c.test"), Route::Elsewhere);
    assert_eq!(world.route("alice@sub.a.test"), Route::Elsewhere);
    assert_eq!(world.route("alice@[127.0.0.1]"), Route::Elsewhere);
}

#[test]
fn a_detail_keeps_its_case_and_gives_way_to_a_whole_name() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    let list = world.account("alice+list@a.test");
    let with = |detail: &str| Route::Account { account: alice.id.clone(), detail: Some(detail.to_owned()) };
    assert_eq!(world.route("Alice+News@a.test"), with("News"));
    assert_eq!(world.route("alice+a+b@a.test"), with("a+b"));
    assert_eq!(world.route("alice+@a.test"), with(""));
    assert_eq!(world.route("ALICE+LIST@a.test"), to(&list));
    assert_eq!(world.route("+alice@a.test"), Route::Unknown);
    assert_eq!(world.expand("Alice+News@a.test"), ["alice+News@a.test"]);
}

#[test]
fn a_catch_all_takes_only_what_nobody_has() {
    let world = World::new();
    let alice = world.account("alice@a.test");
    world.alias("*@a.test", &["alice+all@a.test", "archive@elsewhere.test"]).unwrap();
    world.alias("sales@a.test", &["bob@elsewhere.test"]).unwrap();
    assert_eq!(world.route("alice@a.test"), to(&alice));
    assert_eq!(world.expand("sales@a.test"), ["bob@elsewhere.test"]);
    assert_eq!(world.expand("whoever@a.test"), ["alice+all@a.test", "archive@elsewhere.test"]);
    assert_eq!(world.route("whoever@b.test"), Route::Unknown);
}

#[test]
fn postmaster_is_received_before_anybody_thought_of_it() {
    let world = World::new();
    let postmaster = || world.run(world.directory.postmaster()).unwrap();
    assert_eq!(world.route("postmaster@a.test"), Route::Unknown);
    assert_eq!(postmaster(), None);

    let second = world.account("zoe@b.test");
    assert_eq!(world.route("Postmaster@b.test"), to(&second));
    assert_eq!(world.route("postmaster@a.test"), to(&second), "no account in a.test: the server's first");
    let first = world.account("alice@a.test");
    world.account("aaron@a.test");
    assert_eq!(world.route("postmaster@a.test"), to(&first), "the oldest of the domain, not the first in the alphabet");
    assert_eq!(world.route("postmaster+x@a.test"), to(&first));
    assert_eq!(world.expand("postmaster@a.test"), ["alice@a.test"]);
    assert_eq!(postmaster(), Some(at("postmaster@a.test")));

    world.alias("postmaster@a.test", &["zoe@b.test"]).unwrap();
    assert_eq!(world.expand("postmaster@a.test"), ["zoe@b.test"], "an entry of its own comes first");
    assert_eq!(world.route("postmaster@elsewhere.test"), Route::Elsewhere);
    assert_eq!(world.route("abuse@a.test"), Route::Unknown);
}

#[test]
fn an_alias_of_aliases_reaches_everybody_once() {
    let world = World::new();
    world.account("alice@a.test");
    world.account("bob@a.test");
    world.alias("staff@a.test", &["alice@a.test", "bob@a.test", "carol@elsewhere.test"]).unwrap();
    world.alias("board@a.test", &["Bob@a.test", "carol@elsewhere.test"]).unwrap();
    world.alias("all@b.test", &["board@a.test", "staff@a.test", "ALICE@a.test", "board@a.test"]).unwrap();
    assert_eq!(world.expand("all@b.test"), ["bob@a.test", "carol@elsewhere.test", "alice@a.test"]);
    assert_eq!(world.expand("ALL+x@b.test"), world.expand("all@b.test"));
    assert_eq!(world.expand("nobody@a.test"), Vec::<String>::new());
    assert_eq!(world.expand("Someone@Elsewhere.test"), ["Someone@elsewhere.test"]);
}

#[test]
fn a_target_that_went_away_does_not_take_the_others_with_it() {
    let world = World::new();
    world.account("alice@a.test");
    world.alias("staff@a.test", &["gone@a.test", "alice@a.test"]).unwrap();
    world.alias("dead@a.test", &["gone@a.test"]).unwrap();
    assert_eq!(world.expand("staff@a.test"), ["alice@a.test"]);
    assert_eq!(world.expand("dead@a.test"), Vec::<String>::new());
}

#[test]
fn a_circle_is_refused_and_leaves_nothing_behind() {
    let world = World::new();
    world.alias("one@a.test", &["two@a.test", "alice@elsewhere.test"]).unwrap();
    world.alias("two@a.test", &["three@b.test"]).unwrap();
    for (address, target) in [("three@b.test", "ONE@a.test"), ("self@a.test", "Self@a.test"), ("*@b.test", "one@a.test")] {
        let refused = world.alias(address, &[target]).unwrap_err();
        assert!(matches!(refused, DirectoryError::Loop { .. }), "{address}: {refused}");
    }
    assert_eq!(world.run(world.directory.aliases()).unwrap().len(), 2);
    assert_eq!(world.route("three@b.test"), Route::Unknown);
}

#[test]
fn a_circle_left_by_a_removal_is_stepped_over() {
    let world = World::new();
    world.account("bob@a.test");
    world.alias("info@a.test", &["bob@a.test", "carol@elsewhere.test"]).unwrap();
    world.alias("*@a.test", &["info@a.test"]).unwrap();
    world.run(world.directory.remove_account(&at("bob@a.test"))).unwrap();
    assert_eq!(world.expand("info@a.test"), ["carol@elsewhere.test"]);
    assert_eq!(world.expand("bob@a.test"), ["carol@elsewhere.test"]);
}

#[test]
fn a_chain_that_is_too_long_is_refused() {
    let world = World::new();
    world.account("end@a.test");
    world.alias("n0@a.test", &["end@a.test"]).unwrap();
    for number in 1..ALIAS_DEPTH_MAX {
        world.alias(&format!("n{number}@a.test"), &[&format!("n{}@a.test", number - 1)]).unwrap();
    }
    let last = format!("n{}@a.test", ALIAS_DEPTH_MAX - 1);
    assert_eq!(world.expand(&last), ["end@a.test"]);
    let refused = world.alias("more@a.test", &[&last]).unwrap_err();
    assert!(matches!(refused, DirectoryError::TooMuch(_)), "{refused}");
}

#[test]
fn an_expansion_that_is_too_wide_is_an_error_and_not_a_shorter_list() {
    let world = World::new();
    let many: Vec<_> = (0..900).map(|number| format!("u{number}@elsewhere.test")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    for alias in ["one@a.test", "two@a.test", "three@a.test"] {
        world.alias(alias, &many).unwrap();
    }
    assert_eq!(world.expand("one@a.test").len(), 900);
    let refused = world.alias("all@a.test", &["one@a.test", "two@a.test", "three@a.test"]).unwrap_err();
    assert!(matches!(refused, DirectoryError::TooMuch(_)), "{refused}");
    assert!(refused.is_temporary());

    // Made of parts that were each within the bounds when they came.
    world.alias("some@a.test", &["one@a.test", "later@a.test"]).unwrap();
    let more: Vec<_> = (0..1000).map(|number| format!("v{number}@elsewhere.test")).collect();
    world.alias("later@a.test", &more.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    const { assert!(900 + 1000 < EXPANSION_MAX) };
    assert_eq!(world.expand("some@a.test").len(), 1900);
}

#[test]
fn nobody_writes_in_a_name_that_is_not_theirs_alone() {
    let world = World::new();
    let (alice, bob) = (world.account("alice@a.test"), world.account("bob@a.test"));
    world.alias("sales@a.test", &["alice@a.test"]).unwrap();
    world.alias("deals@b.test", &["sales@a.test"]).unwrap();
    world.alias("team@a.test", &["alice@a.test", "bob@a.test"]).unwrap();
    world.alias("fwd@a.test", &["alice@a.test", "alice@elsewhere.test"]).unwrap();
    world.alias("half@a.test", &["alice@a.test", "gone@a.test"]).unwrap();
    let may =
        |account: &crate::Account, address: &str| world.run(world.directory.may_send_as(&account.id, &at(address))).unwrap();
    for own in ["alice@a.test", "ALICE+x@a.test", "sales@a.test", "deals@b.test", "postmaster@a.test"] {
        assert!(may(&alice, own), "{own}");
        assert!(!may(&bob, own), "{own}");
    }
    for other in
        ["bob@a.test", "team@a.test", "fwd@a.test", "half@a.test", "nobody@a.test", "alice@elsewhere.test", "alice@b.test"]
    {
        assert!(!may(&alice, other), "{other}");
    }
    for granted in ["Team@a.test", "news.test"] {
        world.run(world.directory.grant(&alice.address, &granted.parse().unwrap())).unwrap();
    }
    for name in ["team@a.test", "TEAM+x@a.test", "anybody@news.test", "anybody@below.news.test"] {
        assert!(may(&alice, name) && !may(&bob, name), "{name}");
    }
    for other in ["bob@a.test", "teams@a.test", "team@b.test", "x@oldnews.test"] {
        assert!(!may(&alice, other), "{other}");
    }
    assert_eq!(world.run(world.directory.grants(&alice.address)).unwrap(), ["news.test", "team@a.test"]);
    world.run(world.directory.revoke(&alice.address, &"team@a.test".parse().unwrap())).unwrap();
    assert!(!may(&alice, "team@a.test") && may(&alice, "alice@a.test"));
    let again = world.run(world.directory.revoke(&alice.address, &"team@a.test".parse().unwrap()));
    assert!(matches!(again, Err(crate::DirectoryError::NoSuchGrant(..))), "{again:?}");
}

#[test]
fn a_change_by_another_process_is_seen_by_the_next_question() {
    let world = World::new();
    let server = world.other();
    let command = &world.directory;
    for number in 0..5 {
        let address = at(&format!("user{number}@a.test"));
        assert_eq!(world.run(server.route(&address)).unwrap(), Route::Unknown);
        world.run(command.add_alias(&address, &[at("x@elsewhere.test")])).unwrap();
        assert_eq!(world.run(server.route(&address)).unwrap(), Route::Alias(vec![at("x@elsewhere.test")]));
        world.run(command.remove_alias(&address)).unwrap();
        assert_eq!(world.run(server.route(&address)).unwrap(), Route::Unknown);
    }
    assert!(!world.run(server.is_local(&domain("c.test"))).unwrap());
    world.run(command.add_domain(&domain("c.test"))).unwrap();
    assert!(world.run(server.is_local(&domain("C.Test"))).unwrap());
}
