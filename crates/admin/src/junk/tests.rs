use posthouse_config::{Period, Secret};
use posthouse_journal::{Journal, Query};
use posthouse_mail::{LetterId, ReversePath};
use posthouse_mailbox::Delivery;
use posthouse_runtime::block_on;
use posthouse_runtime::stream::Buffered;

use super::*;
use crate::Admin;

const DAY: u64 = 24 * 3600 * 1000;

struct World {
    admin: Admin,
    keeper: JunkKeeper,
    bob: String,
    clock: u64,
    letters: u64,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = Admin::open(folder.path()).unwrap();
        admin.add_domain(&"example.test".parse().unwrap()).await.unwrap();
        for name in ["alice", "bob"] {
            admin.add_account(&format!("{name}@example.test").parse().unwrap(), &Secret::new("correct horse")).await.unwrap();
        }
        let keeper = JunkKeeper {
            directory: admin.directory.clone(),
            mailboxes: admin.mailboxes.clone(),
            journal: Journal::open(&folder.path().join("journal.sqlite")).unwrap(),
            ages: Ages::open(&folder.path().join("junk.sqlite")).unwrap(),
            settings: MailboxSettings { junk_kept: Period::days(30) },
        };
        let bob = admin.directory.account("bob@example.test").await.unwrap().unwrap().id.to_string();
        Self { admin, keeper, bob, clock: 1_795_489_923_000, letters: 0, _folder: folder }
    }

    async fn deliver(&mut self, folder: Folder, count: u64) {
        for _ in 0..count {
            self.letters += 1;
            let at = UnixMillis(self.letters);
            let delivery = Delivery {
                folder,
                letter: LetterId::new(at, 1),
                recipient: "bob@example.test".parse().unwrap(),
                reverse_path: ReversePath::NULL,
                at,
                prefix: Vec::new(),
            };
            // Some of them are files of their own.
            let text = if self.letters.is_multiple_of(100) { vec![b'x'; 300_000] } else { b"Subject: one\r\n\r\nx\r\n".to_vec() };
            self.admin.mailboxes.deliver(&self.bob, delivery, &mut Buffered::new(text)).await.unwrap();
        }
    }

    async fn days(&mut self, days: u64) -> usize {
        let mut removed = 0;
        for _ in 0..days {
            self.clock += DAY;
            removed += self.keeper.look(self.clock).await.unwrap();
        }
        removed
    }

    async fn count(&self, folder: Folder) -> usize {
        self.admin.mailboxes.messages(&self.bob, folder).await.unwrap().len()
    }
}

#[test]
fn old_junk_goes_in_steps_and_each_letter_says_so() {
    block_on(async {
        let mut world = World::new().await;
        world.deliver(Folder::Junk, 450).await;
        world.deliver(Folder::Inbox, 3).await;
        assert_eq!(world.days(29).await, 0);
        world.deliver(Folder::Junk, 5).await;
        assert_eq!(world.days(3).await, 450);
        assert_eq!((world.count(Folder::Junk).await, world.count(Folder::Inbox).await), (5, 3));
        let bodies = world.admin.mailboxes.folder(&world.bob).unwrap().join("bodies");
        assert_eq!(std::fs::read_dir(bodies).unwrap().count(), 0, "their files go as well");
        world.keeper.journal.flush().await;
        let timeline = world.keeper.journal.query(Query::Letter(LetterId::new(UnixMillis(1), 1))).await.unwrap();
        assert!(
            matches!(&timeline[0].event, Event::Expired { to, kept, .. } if to == "bob@example.test" && kept == "30d"),
            "{timeline:?}"
        );
        let counted = world.keeper.journal.counts().into_iter().find(|count| count.meter.name == "expired").unwrap();
        assert_eq!(counted.count, 450);
        // The five have their own time.
        assert_eq!(world.days(26).await, 0);
        assert_eq!(world.days(6).await, 5);
    })
    .unwrap();
}

#[test]
fn an_old_letter_that_was_moved_to_junk_has_its_time_there() {
    block_on(async {
        let mut world = World::new().await;
        world.deliver(Folder::Inbox, 1).await;
        assert_eq!(world.days(100).await, 0);
        let uid = world.admin.mailboxes.inbox(&world.bob).await.unwrap()[0].uid;
        world.admin.mailboxes.shift(&world.bob, Folder::Inbox, uid, Folder::Junk).await.unwrap();
        assert_eq!(world.days(29).await, 0);
        // What was taken out again in time stays.
        world.deliver(Folder::Junk, 1).await;
        let kept = world.admin.mailboxes.messages(&world.bob, Folder::Junk).await.unwrap()[1].uid;
        world.admin.mailboxes.shift(&world.bob, Folder::Junk, kept, Folder::Inbox).await.unwrap();
        assert_eq!(world.days(60).await, 1);
        assert_eq!((world.count(Folder::Junk).await, world.count(Folder::Inbox).await), (0, 1));
    })
    .unwrap();
}

#[test]
fn a_clock_that_is_years_ahead_costs_no_letter() {
    block_on(async {
        let mut world = World::new().await;
        world.deliver(Folder::Junk, 3).await;
        assert_eq!(world.days(5).await, 0);
        world.clock += 3650 * DAY;
        assert_eq!(world.keeper.look(world.clock).await.unwrap(), 0);
        world.clock -= 3650 * DAY;
        assert_eq!(world.keeper.look(world.clock).await.unwrap(), 0);
        assert_eq!(world.count(Folder::Junk).await, 3);
    })
    .unwrap();
}
