use super::*;

const ENVELOPE: &[u8] = b"{\"version\":1,\"from\":\"a@x.test\",\"to\":[\"b@y.test\"]}\n";

fn file(folder: &Path, name: &str, octets: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, octets).unwrap();
    path
}

fn why(path: &Path) -> String {
    open(path, "x.letter".to_owned()).err().unwrap_or_else(|| panic!("{} was taken", path.display()))
}

#[test]
fn what_is_no_letter_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let whole = [ENVELOPE, b"Subject: s\r\n\r\nhi\r\n"].concat();
    let good = file(at, "good.letter", &whole);
    let found = open(&good, "good.letter".to_owned()).unwrap().unwrap();
    assert_eq!((found.body_at, found.body_len, found.uid), (ENVELOPE.len() as u64, 18, users::own()));
    std::os::unix::fs::symlink(&good, at.join("link.letter")).unwrap();
    assert!(why(&at.join("link.letter")).starts_with("it cannot be opened"));
    rustix::fs::mknodat(rustix::fs::CWD, at.join("pipe.letter"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(why(&at.join("pipe.letter")), "it is not a file");
    fs::create_dir(at.join("folder.letter")).unwrap();
    assert_eq!(why(&at.join("folder.letter")), "it is not a file");
    let linked = file(at, "linked.letter", &whole);
    fs::hard_link(&linked, at.join("other")).unwrap();
    assert_eq!(why(&linked), "the file has other names too");
    assert_eq!(why(&file(at, "empty.letter", b"")), "it has no envelope");
    assert_eq!(why(&file(at, "endless.letter", &vec![b'x'; 8 << 20])), "it has no envelope");
    assert!(why(&file(at, "other.letter", b"Subject: s\n\nhi\n")).starts_with("its envelope cannot be read"));
    assert_eq!(why(&file(at, "nobody.letter", b"{\"version\":1,\"from\":\"\",\"to\":[]}\n")), "it is for nobody");
    assert!(why(&file(at, "later.letter", b"{\"version\":2,\"from\":\"\",\"to\":[]}\n")).contains("version 2"));
}

#[test]
fn a_letter_that_is_being_sent_by_its_owner_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.letter", ENVELOPE);
    let held = File::open(&path).unwrap();
    held.lock().unwrap();
    assert!(open(&path, "a.letter".to_owned()).unwrap().is_none());
    drop(held);
    assert!(open(&path, "a.letter".to_owned()).unwrap().is_some());
}

#[test]
fn one_file_makes_one_letter_however_often_it_is_read_and_another_file_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "a.letter", ENVELOPE);
    let read = || open(&path, "a.letter".to_owned()).unwrap().unwrap();
    let first = id(&read(), 0);
    assert_eq!(id(&read(), 0), first);
    assert_ne!(id(&read(), 1), first, "the recipients beyond the first hundred are a letter of their own");
    fs::remove_file(&path).unwrap();
    let _keeps_the_inode = file(folder.path(), "b.letter", ENVELOPE);
    file(folder.path(), "a.letter", ENVELOPE);
    assert_ne!(id(&read(), 0), first);
}

#[test]
fn only_what_was_begun_long_ago_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let (old, young) = (file(folder.path(), ".1.part", b"x"), file(folder.path(), ".2.part", b"x"));
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options().write(true).open(&old).unwrap().set_modified(long_ago).unwrap();
    assert!(names(folder.path()).unwrap().is_empty());
    assert!(!old.exists() && young.exists());
}
