use super::*;
use posthouse_mail::Status;

const LIMITS: SiteLimits = SiteLimits { window_first: 2, window_max: 8, letters_per_minute: None, together: false };
const MIDDLE: u64 = u64::MAX / 2;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis(1_000_000 + seconds * 1000)
}

fn reply(text: &str) -> Reply {
    Reply::new(451, Status::temporary(4, 1), text)
}

fn visit(site: &mut Site, now: UnixMillis, feedback: Feedback) {
    assert_eq!(site.start(now), Start::Now, "{site:?}");
    site.started(now);
    site.ended(Some(feedback), &Settings::default(), now, MIDDLE);
}

#[test]
fn the_window_opens_with_answers_up_to_its_limit() {
    let mut site = Site::new("mx.test", LIMITS);
    let mut windows = vec![site.window()];
    for _ in 0..60 {
        visit(&mut site, at(0), Feedback::Answered);
        windows.push(site.window());
    }
    assert!(windows.is_sorted() && windows[0] == 2 && windows[60] == 8, "{windows:?}");
}

#[test]
fn no_more_letters_are_out_than_the_window_lets() {
    let mut site = Site::new("mx.test", LIMITS);
    site.started(at(0));
    site.started(at(0));
    assert_eq!(site.start(at(0)), Start::WhenOneEnds);
    site.ended(None, &Settings::default(), at(0), 0);
    assert_eq!(site.start(at(0)), Start::Now);
}

#[test]
fn a_site_that_asks_for_less_is_slowed_as_a_whole_and_longer_each_time() {
    let mut site = Site::new("mx.test", SiteLimits { window_first: 8, ..LIMITS });
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        visit(&mut site, now, Feedback::Throttled(reply("too fast")));
        let Start::At(until) = site.start(now) else { panic!("{site:?}") };
        assert_eq!(site.closed_at(now).unwrap().why, reply("too fast"));
        pauses.push(until.since(now).as_secs());
        now = until;
    }
    assert!(pauses.is_sorted() && (24..=36).contains(&pauses[0]) && pauses[7] <= 18 * 60, "{pauses:?}");
    assert_eq!(site.window(), 1);
    visit(&mut site, now, Feedback::Answered);
    assert!(site.closed_at(now).is_none());
}

#[test]
fn a_dead_site_is_closed_and_then_tried_with_one_letter() {
    let mut site = Site::new("mx.test", LIMITS);
    visit(&mut site, at(0), Feedback::Unreachable(reply("no route")));
    // With a window of two one failure may be bad luck.
    assert_eq!(site.start(at(0)), Start::Now);
    visit(&mut site, at(0), Feedback::Unreachable(reply("no route")));
    let Start::At(until) = site.start(at(0)) else { panic!("{site:?}") };
    assert!((240..=360).contains(&until.since(at(0)).as_secs()), "{until}");
    site.started(until);
    assert_eq!(site.start(until), Start::WhenOneEnds, "one letter is enough to see");
    site.ended(Some(Feedback::Unreachable(reply("no route"))), &Settings::default(), until, MIDDLE);
    let Start::At(later) = site.start(until) else { panic!("{site:?}") };
    assert!(later.since(until) > until.since(at(0)), "it is left alone for longer");
}

#[test]
fn letters_that_fail_together_close_it_once() {
    let mut site = Site::new("mx.test", SiteLimits { window_first: 8, ..LIMITS });
    for _ in 0..8 {
        site.started(at(0));
    }
    for _ in 0..8 {
        site.ended(Some(Feedback::Unreachable(reply("no route"))), &Settings::default(), at(0), MIDDLE);
    }
    let Start::At(until) = site.start(at(0)) else { panic!("{site:?}") };
    assert!((240..=360).contains(&until.since(at(0)).as_secs()), "{until}");
}

#[test]
fn letters_a_minute_are_spread_after_the_first_burst() {
    let mut site =
        Site::new("mx.test", SiteLimits { window_first: 500, window_max: 500, letters_per_minute: Some(60), together: false });
    let mut now = at(0);
    let mut starts = Vec::new();
    while starts.len() < 200 {
        match site.start(now) {
            Start::Now => {
                site.started(now);
                starts.push(now);
            }
            Start::At(at) => now = at,
            Start::WhenOneEnds => site.ended(None, &Settings::default(), now, 0),
        }
    }
    let minute = |from: u64| starts.iter().filter(|start| (at(from)..at(from + 60)).contains(*start)).count();
    assert!(minute(0) <= 122 && minute(60) <= 61, "{} {}", minute(0), minute(60));
}

#[test]
fn an_operator_opens_a_closed_site() {
    let mut site = Site::new("mx.test", SiteLimits { window_first: 1, ..LIMITS });
    visit(&mut site, at(0), Feedback::Unreachable(reply("no route")));
    assert!(matches!(site.start(at(1)), Start::At(_)));
    site.open(at(1));
    assert_eq!(site.start(at(1)), Start::Now);
}

#[test]
fn since_when_nothing_is_answered_is_known_over_all_closings_and_forgotten_with_an_answer() {
    let mut site = Site::new("mx.test", SiteLimits { window_first: 1, ..LIMITS });
    visit(&mut site, at(10), Feedback::Unreachable(reply("no route")));
    let Start::At(until) = site.start(at(10)) else { panic!("{site:?}") };
    visit(&mut site, until, Feedback::Unreachable(reply("no route, still")));
    let trouble = site.trouble().unwrap();
    assert_eq!((trouble.since, trouble.why.clone()), (at(10), reply("no route, still")));
    let Start::At(until) = site.start(until) else { panic!("{site:?}") };
    visit(&mut site, until, Feedback::Answered);
    assert!(site.trouble().is_none());
}
