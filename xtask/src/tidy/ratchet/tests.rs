use super::*;

fn rules() -> Rules {
    toml::from_str("file-lines-max = 12\nfunction-lines-max = 3\nforbidden-words = []\nban = []\n").unwrap()
}

#[test]
fn a_function_is_measured_without_comments_and_empty_lines() {
    let text = "fn small() {\n    // why\n\n    one();\n    two();\n    three();\n}\nimpl X {\n    fn large() {\n        1;\n        2;\n        3;\n        4;\n    }\n}\n";
    let found = measure(&rules(), &[Source { path: "a.rs".into(), text: text.into() }]).unwrap();
    assert_eq!(found.functions, BTreeMap::from([("a.rs::large".to_owned(), 4)]));
    assert_eq!(found.files, BTreeMap::from([("a.rs".to_owned(), 15)]));
}

#[test]
fn an_exception_may_shrink_and_not_grow() {
    let listed = BTreeMap::from([("a".to_owned(), 10)]);
    let rows = [(9, 0, 1), (10, 0, 0), (11, 1, 0)];
    for (size, grown, loose) in rows {
        let compared = compare("lines", &listed, &BTreeMap::from([("a".to_owned(), size)]), 5);
        assert_eq!((compared.grown.len(), compared.loose.len()), (grown, loose), "{size}");
    }
    let new = compare("lines", &listed, &BTreeMap::from([("a".to_owned(), 10), ("b".to_owned(), 6)]), 5);
    assert_eq!(new.grown, ["b: 6 lines, at most 5"]);
}
