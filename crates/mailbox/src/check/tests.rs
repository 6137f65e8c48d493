use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_runtime::block_on;
use posthouse_runtime::stream::Buffered;

use super::*;
use crate::{Delivery, INLINE_BYTES_MAX, Mailboxes};

/// A mailbox with a small letter and one in a file.
fn filled() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mailboxes = Mailboxes::open(dir.path()).unwrap();
    for (n, size) in [(1, 10), (2, usize::try_from(INLINE_BYTES_MAX).unwrap() + 1)] {
        let delivery = Delivery {
            folder: crate::Folder::Inbox,
            letter: LetterId::new(UnixMillis(n), 0),
            recipient: "bob@example.test".parse().unwrap(),
            reverse_path: "a@example.test".parse::<ReversePath>().unwrap(),
            at: UnixMillis(n),
            prefix: Vec::new(),
        };
        block_on(mailboxes.deliver("bob", delivery, &mut Buffered::new(vec![b'x'; size]))).unwrap().unwrap();
    }
    let folder = mailboxes.folder("bob").unwrap();
    (dir, folder)
}

fn problems(folder: &Path) -> Vec<String> {
    check(folder).unwrap().unwrap().problems
}

#[test]
fn a_sound_mailbox_has_no_problems_and_none_is_none() {
    let (dir, folder) = filled();
    assert_eq!(check(&folder).unwrap(), Some(Checked { messages: 2, problems: Vec::new() }));
    assert_eq!(check(&dir.path().join("nobody")).unwrap(), None);
}

#[test]
fn a_file_that_is_gone_or_short_is_named() {
    let (_dir, folder) = filled();
    let file = std::fs::read_dir(body::folder(&folder)).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, b"short").unwrap();
    assert!(problems(&folder)[0].contains("has 5 octets instead of 262145"), "{:?}", problems(&folder));
    std::fs::remove_file(&file).unwrap();
    assert!(problems(&folder)[0].starts_with("message 2: its file "), "{:?}", problems(&folder));
}

#[test]
fn each_rule_finds_what_breaks_it() {
    for (sql, found) in [
        ("DELETE FROM body", "message 1: its octets are missing"),
        ("UPDATE body SET octets = x'00'", "message 1: it has not as many octets as it should"),
        ("UPDATE folder SET uidnext = 2", "message 2: its number is one that is still to be given"),
    ] {
        let (_dir, folder) = filled();
        Connection::open(folder.join(DATABASE)).unwrap().execute(sql, []).unwrap();
        assert_eq!(problems(&folder), [found], "{sql}");
    }
}
