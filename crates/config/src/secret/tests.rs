use std::fs::{Permissions, set_permissions, write};

use super::*;

fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    write(&path, text).unwrap();
    set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

#[test]
fn a_file_gives_its_line_without_the_line_end() {
    for text in [&b"correct horse"[..], b"correct horse\n", b"correct horse\r\n"] {
        let (_folder, path) = file(text, 0o600);
        assert_eq!(Secret::from_file(&path).unwrap().expose(), "correct horse");
    }
}

#[test]
fn a_file_that_everybody_may_read_is_refused() {
    for mode in [0o644, 0o604, 0o666] {
        let (_folder, path) = file(b"x", mode);
        let error = Secret::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    let (_folder, path) = file(b"x", 0o640);
    assert!(Secret::from_file(&path).is_ok(), "a group may be meant to read it");
}

#[test]
fn a_file_that_is_no_line_is_refused() {
    let long = vec![b'x'; 64 * 1024 + 1];
    for text in [&b"two\nlines\n"[..], b"\xff\xfe", &long] {
        let (_folder, path) = file(text, 0o600);
        assert!(matches!(Secret::from_file(&path), Err(SecretError::NotText { .. })));
    }
    let (_folder, path) = file(b"\n", 0o600);
    assert!(matches!(Secret::from_file(&path), Err(SecretError::Empty)));
}

#[test]
fn a_relative_file_is_beside_the_configuration() {
    #[derive(serde::Deserialize, JsonSchema)]
    struct Settings {
        password: Secret,
    }
    let (folder, _path) = file(b"beside\n", 0o600);
    let config = folder.path().join("posthouse.toml");
    write(&config, "password = { file = \"password\" }").unwrap();
    assert_eq!(crate::load::<Settings>(&config).unwrap().password.expose(), "beside");
}

#[test]
fn a_secret_is_never_printed() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret} {secret:?} {:#?}", Some(&secret)), "*** *** Some(\n    ***,\n)");
}
