use super::*;

fn rules() -> Rules {
    let text = "file-lines-max = 9\nfunction-lines-max = 9\nforbidden-words = ['BADWORD']\n[[ban]]\ntext = 'tokio::'\nallowed = ['crates/runtime/']\nwhy = 'the seam'\n[[ban]]\ntext = 'std::fs'\nallowed = []\ntests = false\nwhy = 'files'\n";
    toml::from_str(text).unwrap()
}

#[test]
fn what_must_not_be_said_is_found_where_it_counts() {
    let rows = [
        ("crates/queue/src/a.rs", "//! A.\nuse tokio::net;\n", 1),
        ("crates/runtime/src/a.rs", "//! A.\nuse tokio::net;\n", 0),
        ("crates/queue/src/a.rs", "//! A.\n// tokio::net would block here\n", 0),
        ("crates/queue/src/a.rs", "//! A.\nuse not_tokio::net;\n", 0),
        ("crates/queue/src/a/tests.rs", "use tokio::net;\n", 1),
        ("crates/queue/src/a/tests.rs", "use std::fs;\n", 0),
        ("crates/queue/src/a.rs", "//! A.\nuse std::fs;\n", 1),
        ("crates/queue/src/a.rs", "use x;\n", 1),
        ("README.md", "# A\nBADWORD\n", 1),
        ("README.md", "see /somewhere/else/x\n", 1),
    ];
    for (path, text, count) in rows {
        let source = Source { path: path.into(), text: text.into() };
        let wrong = check(&rules(), &[source], &Some("/somewhere/else/".to_owned()));
        assert_eq!(wrong.len(), count, "{path} {text:?}: {wrong:?}");
    }
}
