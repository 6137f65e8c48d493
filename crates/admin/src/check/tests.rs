use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use posthouse_mail::{Address, Envelope, Recipient, ReversePath, UnixMillis};
use posthouse_queue::{Letter, Origin, Settings};
use posthouse_runtime::block_on;

use super::*;

/// A data directory whose queue holds three letters.
fn filled() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let (queue, _) = Queue::open(&Settings::default(), &data.path().join("queue")).unwrap();
    block_on(async {
        for n in 0..3u64 {
            let from: ReversePath = "a@example.net".parse().unwrap();
            let to = Recipient::from("b@example.org".parse::<Address>().unwrap());
            let mut draft = queue.begin().unwrap();
            draft.write(Bytes::from(format!("the text of letter {n}"))).await.unwrap();
            let origin = Origin { listener: "mx".to_owned(), ..Origin::default() };
            draft.commit(Letter { envelope: Envelope::new(from, vec![to]), arrived: UnixMillis(n), origin }).await.unwrap();
        }
    })
    .unwrap();
    data
}

/// Flips a bit of the text of letter 1.
fn rot(data: &Path) {
    for entry in fs::read_dir(data.join("queue")).unwrap() {
        let path = entry.unwrap().path();
        let octets = fs::read(&path).unwrap();
        if let Some(at) = octets.windows(8).position(|window| window == b"letter 1") {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(b"L", at.try_into().unwrap()).unwrap();
            return;
        }
    }
    panic!("the letter is not there");
}

#[test]
fn a_sound_directory_has_no_problems() {
    let data = filled();
    let report = check(data.path(), None).unwrap();
    assert_eq!((report.letters, report.problems.as_slice()), (3, &[][..]));
    assert!(matches!(check(&data.path().join("none"), None), Err(AdminError::NoData(_))));
}

#[test]
fn a_damaged_letter_is_named_and_written_out() {
    let data = filled();
    rot(data.path());
    let to = data.path().join("saved");
    let report = check(data.path(), Some(&to)).unwrap();
    assert_eq!(report.letters, 2);
    assert!(report.problems.len() == 1 && report.problems[0].what.contains("does not match its checksum"), "{report:?}");
    let [salvaged] = report.salvaged.as_slice() else { panic!("{report:?}") };
    assert_eq!(fs::read(&salvaged.file).unwrap(), b"the text of Letter 1");
    assert_eq!(
        fs::read_to_string(to.join(format!("{}.envelope", salvaged.letter))).unwrap(),
        "from a@example.net\nto b@example.org\n"
    );
    assert_eq!(salvaged.notes, ["the envelope or the last part of the text is damaged"]);
}

#[test]
fn a_database_that_is_none_is_a_problem_and_not_a_failure() {
    let data = filled();
    fs::write(data.path().join("directory.sqlite"), [7; 5000]).unwrap();
    fs::write(data.path().join("journal.sqlite"), [7; 5000]).unwrap();
    let report = check(data.path(), None).unwrap();
    let parts: Vec<&str> = report.problems.iter().map(|problem| problem.part.as_str()).collect();
    assert_eq!(parts, ["directory", "journal"], "{report:?}");
}
