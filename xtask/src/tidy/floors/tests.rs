use super::check;

#[test]
fn a_library_with_a_known_hole_is_noticed() {
    let floors = "[[floor]]\ncrate = 'a'\nmin = '0.10.2'\nwhy = 'it leaks'\n";
    let package = |version: &str| format!("[[package]]\nname = 'a'\nversion = '{version}'\n");
    for (version, count) in
        [("0.9.9", 1), ("0.10.1", 1), ("0.10.2-rc.1", 1), ("0.10.2", 0), ("0.10.10+more", 0), ("1.0.0-rc.1", 0)]
    {
        assert_eq!(check(floors, &package(version)).unwrap().len(), count, "{version}");
    }
    // Two at a time: the old one counts.
    let both = format!("{}{}", package("0.9.0"), package("0.10.2"));
    assert_eq!(check(floors, &both).unwrap(), ["Cargo.lock: a 0.9.0 is below 0.10.2: it leaks"]);
    assert!(check(floors, &package("new")).is_err());
}

#[test]
fn what_this_workspace_is_built_of_is_above_the_floors() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap();
    assert_eq!(check(&read("xtask/floors.toml"), &read("Cargo.lock")).unwrap(), [""; 0]);
}
