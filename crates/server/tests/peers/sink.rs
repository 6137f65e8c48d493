//! Postfix's `smtp-sink` as a hostile server: it refuses, breaks off and delays at each stage. Each ends in the right result, nothing is sent twice, and
//! nothing takes longer than its deadline.

use crate::world::in_a_world;
use posthouse_client::{ClientError, Mailer, Message, RecipientResult, SendReport, Timeouts};
use posthouse_runtime::block_on;
use posthouse_testkit::guard::Guard;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const ADDRESS: &str = "127.0.0.7";
/// How long the client waits for anything; the sink's delays are longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is to become of a letter.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Accepted,
    Deferred,
    Refused,
    Unknown,
    /// An error: nobody got it.
    Nobody,
}

/// The flags, and what becomes of the letter.
type Row = (&'static [&'static str], End);

const ROWS: &[Row] = &[
    (&[], End::Accepted),
    (&["-p"], End::Accepted),
    (&["-e"], End::Accepted),
    (&["-P"], End::Accepted),
    (&["-8"], End::Accepted),
    (&["-f", "CONNECT"], End::Nobody),
    (&["-f", "EHLO"], End::Accepted),
    (&["-f", "MAIL"], End::Refused),
    (&["-f", "RCPT"], End::Refused),
    (&["-f", "DATA"], End::Refused),
    (&["-f", "."], End::Refused),
    (&["-r", "MAIL"], End::Deferred),
    (&["-r", "RCPT"], End::Deferred),
    (&["-r", "DATA"], End::Deferred),
    (&["-r", "."], End::Deferred),
    (&["-q", "CONNECT"], End::Nobody),
    (&["-q", "EHLO"], End::Nobody),
    (&["-q", "MAIL"], End::Nobody),
    (&["-q", "RCPT"], End::Nobody),
    (&["-q", "DATA"], End::Nobody),
    (&["-q", "."], End::Unknown),
    (&["-Q", "CONNECT"], End::Nobody),
    (&["-Q", "MAIL"], End::Deferred),
    (&["-Q", "RCPT"], End::Deferred),
    (&["-Q", "DATA"], End::Deferred),
    (&["-Q", "."], End::Deferred),
    (&["-f", "QUIT"], End::Accepted),
    (&["-q", "QUIT"], End::Accepted),
    (&["-W", "MAIL:30"], End::Nobody),
    (&["-W", "DATA:30"], End::Nobody),
    (&["-W", ".:30"], End::Unknown),
];

fn end(sent: &Result<SendReport, ClientError>) -> End {
    let Ok(report) = sent else { return End::Nobody };
    match &report.recipients[0].result {
        RecipientResult::Accepted(_) => End::Accepted,
        RecipientResult::Refused(reply) if reply.is_permanent() => End::Refused,
        RecipientResult::Refused(_) => End::Deferred,
        RecipientResult::Unknown(_) => End::Unknown,
        other @ (RecipientResult::Unsendable(_) | RecipientResult::NotTried(_)) => panic!("{other:?}"),
    }
}

fn message(subject: &str) -> Message {
    Message::builder().from("a@x.test").to("b@y.test").subject(subject).text(".\n..dots\nhello\n").build().unwrap()
}

fn mailer(port: u16) -> Mailer {
    let timeouts = Timeouts {
        connect: PATIENCE,
        greeting: PATIENCE,
        command: PATIENCE,
        data_start: PATIENCE,
        data_block: PATIENCE,
        data_end: PATIENCE,
    };
    Mailer::builder(&format!("smtp://{ADDRESS}:{port}")).unwrap().timeouts(timeouts).connections(1).build().unwrap()
}

in_a_world! {
    fn a_hostile_sink_makes_no_letter_double_lost_or_late(world) {
        for (number, (flags, expected)) in ROWS.iter().enumerate() {
            let port = 4000 + u16::try_from(number).unwrap();
            let dump = world.folder_of("sink", "postfix").join(number.to_string());
            let mut sink = Command::new("smtp-sink");
            sink.args(["-u", "postfix"]).args(*flags).arg("-D").arg(&dump).arg(format!("inet:{ADDRESS}:{port}")).arg("100");
            let _sink = Guard::spawn(&mut sink);
            world.listening(ADDRESS, port);
            let began = Instant::now();
            let mailer = mailer(port);
            let sent = block_on(async {
                let sent = mailer.send(&message("one")).await;
                mailer.close().await;
                sent
            }).unwrap();
            assert_eq!(end(&sent), *expected, "{flags:?} {sent:?}");
            assert!(began.elapsed() < PATIENCE * 3, "{flags:?} took {:?}", began.elapsed());
            let kept = fs::read_to_string(&dump).unwrap_or_default().matches("Subject: one").count();
            // The sink keeps a letter whose end it refuses or breaks off at, too.
            match expected {
                End::Accepted => assert_eq!(kept, 1, "{flags:?}"),
                End::Nobody => assert_eq!(kept, 0, "{flags:?}"),
                End::Deferred | End::Refused | End::Unknown => assert!(kept <= 1, "{flags:?}"),
            }
        }
    }

    fn many_letters_to_a_sink_that_breaks_off_now_and_then_arrive_once_at_most(world) {
        let dump = world.folder_of("sink", "postfix").join("all");
        let mut sink = Command::new("smtp-sink");
        // One in ten ends of a letter is delayed beyond the client's patience. Without `-p` the sink would answer what stands behind it first.
        sink.args(["-u", "postfix", "-p", "-W", ".:30:10", "-D"]).arg(&dump).arg(format!("inet:{ADDRESS}:4100")).arg("100");
        let _sink = Guard::spawn(&mut sink);
        world.listening(ADDRESS, 4100);
        let letters: Vec<Message> = (0..40).map(|n| message(&format!("letter <{n}>"))).collect();
        let results = block_on(mailer(4100).send_all(&letters)).unwrap();
        let stored = fs::read_to_string(&dump).unwrap();
        for (n, result) in results.iter().enumerate() {
            let copies = stored.matches(&format!("Subject: letter <{n}>")).count();
            match end(result) {
                End::Accepted => assert_eq!(copies, 1, "{n}"),
                End::Unknown => assert!(copies <= 1, "{n}"),
                End::Deferred | End::Refused | End::Nobody => panic!("{n}: {result:?}"),
            }
        }
        assert!(results.iter().any(|result| end(result) == End::Accepted));
    }
}
