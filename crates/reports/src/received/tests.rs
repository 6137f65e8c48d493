use super::*;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);

fn letter(id: &str, domain: &str, rows: &str) -> Vec<u8> {
    let xml = format!(
        "<feedback><report_metadata><org_name>Big</org_name><report_id>{id}</report_id><date_range><begin>1790000000</begin><end>1790086399</end></date_range></report_metadata><policy_published><domain>{domain}</domain><p>none</p></policy_published>{rows}</feedback>"
    );
    format!("From: a@big.test\r\nContent-Type: text/xml\r\nContent-Disposition: attachment; filename=r.xml\r\n\r\n{xml}\r\n")
        .into_bytes()
}

async fn file(received: &Received, letter: Vec<u8>, number: u128, now: UnixMillis) -> Filed {
    let id = LetterId::new(now, number);
    received.file(letter, id, &"mx.ours.test".parse().unwrap(), vec!["ours.test".parse().unwrap()], now).await.unwrap()
}

fn open(folder: &tempfile::TempDir) -> Received {
    Received::open(&folder.path().join("reports.sqlite")).unwrap()
}

#[test]
fn a_report_is_kept_once_and_over_a_restart() {
    posthouse_runtime::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let received = open(&folder);
        let Filed::Kept(first) = file(&received, letter("1", "ours.test", ""), 1, NOW).await else { panic!("not kept") };
        let Filed::Kept(again) = file(&received, letter("1", "ours.test", ""), 2, NOW).await else { panic!("not kept") };
        assert_eq!(first, again, "the same report in another letter");
        let Filed::Kept(below) = file(&received, letter("1", "news.ours.test", ""), 3, NOW).await else { panic!("not kept") };
        drop(received);
        let received = open(&folder);
        assert_eq!(received.list(UnixMillis(0), None).await.unwrap(), [below.clone(), first.clone()]);
        assert_eq!(received.list(UnixMillis(0), Some(&"news.ours.test".parse().unwrap())).await.unwrap(), [below]);
        assert_eq!(received.list(UnixMillis(NOW.0 + 1), None).await.unwrap(), []);
        let (entry, report) = received.show(first.id).await.unwrap().unwrap();
        assert_eq!((entry.domain.as_str(), report.kind()), ("ours.test", "dmarc"));
        assert_eq!(received.show(99).await.unwrap(), None);
    })
    .unwrap();
}

#[test]
fn what_strangers_say_of_strangers_and_what_is_no_report_is_not_kept() {
    posthouse_runtime::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let received = open(&folder);
        for (letter, why) in
            [(letter("1", "theirs.test", ""), "no domain of ours"), (b"From: a@b.test\r\n\r\nhi\r\n".to_vec(), "no report")]
        {
            let Filed::Unread(said) = file(&received, letter, 1, NOW).await else { panic!("kept") };
            assert!(said.contains(why), "{said}");
        }
        assert!(received.list(UnixMillis(0), None).await.unwrap().is_empty());
    })
    .unwrap();
}

#[test]
fn a_flood_of_reports_neither_fills_the_disk_nor_washes_others_away() {
    posthouse_runtime::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let received = open(&folder);
        file(&received, letter("first", "ours.test", ""), 1, NOW).await;
        {
            let connection = received.store.connection();
            connection
                .execute_batch(&format!(
                    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1999)
                     INSERT INTO report (kind, domain, reporter, sender, name, verified, begins, ends, received, letter, document)
                     SELECT 'dmarc', 'ours.test', 'x', 'x.test', i, 0, 0, 0, {}, 'x', '{{}}' FROM n",
                    NOW.0
                ))
                .unwrap();
        }
        let Filed::Unread(why) = file(&received, letter("more", "ours.test", ""), 2, NOW).await else { panic!("kept") };
        assert!(why.contains("2000 reports came in a day"), "{why}");
        let tomorrow = NOW.plus(DAY * 2);
        assert!(matches!(file(&received, letter("more", "ours.test", ""), 2, tomorrow).await, Filed::Kept(_)));
        let much_later = NOW.plus(received.keep + DAY);
        file(&received, letter("last", "ours.test", ""), 3, much_later).await;
        let left = received.list(UnixMillis(0), None).await.unwrap();
        assert_eq!(left.len(), 2, "what is over a year old has gone");
    })
    .unwrap();
}

#[test]
fn a_report_is_kept_as_long_as_is_set() {
    posthouse_runtime::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("reports.sqlite")).unwrap();
        let received = Received::new(&store, &Settings { keep: posthouse_config::Period(DAY * 7) });
        file(&received, letter("1", "ours.test", ""), 1, NOW).await;
        file(&received, letter("2", "ours.test", ""), 2, NOW.plus(DAY * 6)).await;
        assert_eq!(received.list(UnixMillis(0), None).await.unwrap().len(), 2);
        file(&received, letter("3", "ours.test", ""), 3, NOW.plus(DAY * 8)).await;
        assert_eq!(received.list(UnixMillis(0), None).await.unwrap().len(), 2, "the first has gone");
    })
    .unwrap();
}

#[test]
fn a_file_of_the_version_before_is_upgraded() {
    posthouse_runtime::block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports.sqlite");
        drop(open(&folder));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("DROP TABLE report; DROP TABLE sent; PRAGMA user_version = 1").unwrap();
        drop(connection);
        let received = open(&folder);
        assert!(received.list(UnixMillis(0), None).await.unwrap().is_empty());
        assert!(received.list_sent(UnixMillis(0), None).await.unwrap().is_empty());
    })
    .unwrap();
}
