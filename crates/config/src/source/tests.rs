use super::*;

fn masked(line: &str) -> String {
    mask(line, 0..0).0
}

#[test]
fn a_secret_does_not_reach_the_screen() {
    assert_eq!(masked("password = \"hunter2\""), "password = ***");
    assert_eq!(masked("api-Token=\"hunter2\" # comment"), "api-Token=***");
    assert_eq!(masked("relay = { user = \"a\", password = \"hunter2\" }"), "relay = { user = \"a\", password = ***");
    assert_eq!(masked("url = \"smtp://alice:hunter2@relay\""), "url = \"smtp://alice:***@relay\"");
    assert_eq!(masked("password = { file = \"/etc/secret\" }"), "password = { file = \"/etc/secret\" }");
    assert_eq!(masked("url = \"smtp://alice@relay:25\""), "url = \"smtp://alice@relay:25\"");
}

#[test]
fn the_caret_moves_with_the_mask() {
    let line = "password = \"hunter2\"";
    assert_eq!(mask(line, 0..8).1, 0..8);
    assert_eq!(mask(line, 11..20).1, 11..14);
    assert_eq!(mask(line, 15..16).1, 11..14);
    assert_eq!(mask("u = \"smtp://a:hunter2@r\" x", 25..26).1, 21..22);
}

#[test]
fn a_later_mistake_stands_at_its_value() {
    let source = Source::new("a = 1\n[[listener]]\naddress = \"0.0.0.0:25\"\n", "posthouse.toml");
    let error = source.mistake("listener.0.address", "port 25 is used twice", "choose another port");
    let ConfigError::Mistake(mistake) = &error else { panic!("{error}") };
    assert_eq!((mistake.line, mistake.column), (3, 11));
    let shown = error.to_string();
    assert!(
        shown.contains("posthouse.toml:3:11") && shown.contains("^^^^^^^^^^^^") && shown.contains("choose another"),
        "{shown}"
    );
}

#[test]
fn a_place_outside_the_text_is_no_panic() {
    let source = Source::new("ä = 1", "x");
    for place in 0..10 {
        let _ = source.mistake_at(&(place..place + 3), "m", "l", Vec::new()).to_string();
    }
}

#[test]
fn a_file_that_is_missing_long_or_no_text_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("posthouse.toml");
    assert!(Source::read(&path).unwrap_err().to_string().contains("posthouse.toml"));
    std::fs::write(&path, vec![b' '; 1024 * 1024 + 1]).unwrap();
    assert!(Source::read(&path).unwrap_err().to_string().contains("longer than 1 MiB"));
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(matches!(Source::read(&path), Err(ConfigError::Read { .. })));
}
