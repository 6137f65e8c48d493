use posthouse_config::Secret;
use posthouse_mail::{LetterId, ReversePath, UnixMillis};
use posthouse_mailbox::Delivery;
use posthouse_runtime::block_on;
use posthouse_runtime::stream::Buffered;

use super::*;
use crate::Kind;

async fn with_two_letters() -> (tempfile::TempDir, Admin) {
    let folder = tempfile::tempdir().unwrap();
    let admin = Admin::open(folder.path()).unwrap();
    admin.add_domain(&"example.test".parse().unwrap()).await.unwrap();
    let bob = admin.add_account(&"bob@example.test".parse().unwrap(), &Secret::new("correct horse")).await.unwrap();
    for (n, text) in
        [(1, "Subject: one\r\n =?utf-8?q?tw=C3=B6?=\r\nFrom: =?utf-8?q?=C3=84?= <a@x>\r\n\r\nbody\r\n"), (2, "no header at all")]
    {
        let delivery = Delivery {
            folder: posthouse_mailbox::Folder::Inbox,
            letter: LetterId::new(UnixMillis(n), 1),
            recipient: "bob@example.test".parse().unwrap(),
            reverse_path: ReversePath::NULL,
            at: UnixMillis(n),
            prefix: Vec::new(),
        };
        admin.mailboxes.deliver(&bob.id, delivery, &mut Buffered::new(text.as_bytes())).await.unwrap();
    }
    (folder, admin)
}

#[test]
fn a_letter_without_a_header_does_not_hide_the_others() {
    block_on(async {
        let (_folder, admin) = with_two_letters().await;
        let inbox = admin.messages("Bob@Example.test", posthouse_mailbox::Folder::Inbox).await.unwrap();
        let seen: Vec<_> = inbox.iter().map(|info| (info.subject.as_deref(), info.from.as_deref())).collect();
        assert_eq!(seen, [(Some("one twö"), Some("Ä <a@x>")), (None, None)]);
    })
    .unwrap();
}

#[test]
fn the_newest_letter_is_shown_when_no_number_is_given() {
    block_on(async {
        let (_folder, admin) = with_two_letters().await;
        let mut letter = admin.letter("bob@example.test", posthouse_mailbox::Folder::Inbox, None).await.unwrap();
        assert_eq!(letter.body.next().await.unwrap().as_deref(), Some(&b"no header at all"[..]));
        let first = admin.messages("bob@example.test", posthouse_mailbox::Folder::Inbox).await.unwrap()[0].uid;
        assert_eq!(
            admin
                .letter("bob@example.test", posthouse_mailbox::Folder::Inbox, Some(first))
                .await
                .unwrap()
                .info
                .subject
                .as_deref(),
            Some("one twö")
        );
    })
    .unwrap();
}

#[test]
fn what_is_not_there_is_told_apart() {
    block_on(async {
        let (_folder, admin) = with_two_letters().await;
        admin.add_account(&"carol@example.test".parse().unwrap(), &Secret::new("correct horse")).await.unwrap();
        for error in [
            admin.messages("nobody@example.test", posthouse_mailbox::Folder::Inbox).await.err(),
            admin.letter("carol@example.test", posthouse_mailbox::Folder::Inbox, None).await.err(),
            admin.letter("bob@example.test", posthouse_mailbox::Folder::Inbox, Some(77)).await.err(),
        ] {
            assert_eq!(error.unwrap().kind(), Kind::NotFound);
        }
    })
    .unwrap();
}
