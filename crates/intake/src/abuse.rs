//! What all connections know together of those that come: how much, how often, and what lists say.

use std::path::Path;
use std::time::Duration;

use posthouse_mail::{Status, UnixMillis};
use posthouse_runtime::clock;
use posthouse_smtp::server::{Reason, Verdict};

use crate::check::reject;
use crate::context::ListenerKind;
use crate::greylist::{Contact, Greylist, GreylistPolicy};
use crate::lists::{Asking, Health, ListKind, Listed};
use crate::rates::{Counted, Meter, What, too_much};
use crate::visit::Visit;

/// The state that outlives a connection. A clone is another handle to the same.
#[derive(Debug, Clone, Default)]
pub struct Abuse {
    pub(crate) meter: Meter,
    pub(crate) health: Health,
    pub(crate) greylist: Greylist,
}

/// What the lists say of the peer of a visit.
pub(crate) enum Lists {
    /// Nobody was asked.
    Unasked,
    /// Questions are under way.
    Asking(Asking),
    /// The answers.
    Known(Listed),
}

impl Abuse {
    /// With what was kept in the data directory.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        Self { greylist: Greylist::open(&data.join("greylist")), ..Self::default() }
    }

    /// The lists that fail their test now, and why.
    #[must_use]
    pub fn failing_lists(&self) -> Vec<(String, String)> {
        self.health.faults()
    }

    /// How many wait by greylisting, and how many are known by it.
    #[must_use]
    pub fn greylisted(&self) -> (usize, usize) {
        self.greylist.count()
    }
}

/// A connection begins: whether it may, and the questions about it.
pub(crate) fn begin(visit: &mut Visit<'_>) -> Verdict {
    let counted = counted(visit);
    let fits = counted.look(What::Errors).map_err(|wait| ("errors", wait));
    if let Err((what, wait)) = fits.and_then(|()| counted.take(What::Connections, 1).map_err(|wait| ("connections", wait))) {
        let minutes = wait.as_secs().div_ceil(60).max(1);
        let words = format!("too many {what} from your network, try again in {minutes} min");
        return Verdict::Drop(Reason::new(421, Status::temporary(7, 0), words));
    }
    let settings = &visit.context.settings;
    if visit.kind == ListenerKind::Mx && !settings.trusts(visit.peer) {
        let (resolver, health) = (&visit.context.resolver, &visit.context.abuse.health);
        let asking = Asking::begin(resolver, health, &settings.lists, visit.peer);
        visit.lists = asking.map_or(Lists::Unasked, Lists::Asking);
    }
    Verdict::Accept
}

/// Who is counted in this visit.
pub(crate) fn counted<'a>(visit: &'a Visit<'_>) -> Counted<'a> {
    let (settings, peer) = (&visit.context.settings, visit.peer);
    let is_exempt = visit.kind == ListenerKind::Local
        || settings.trusts(peer)
        || settings.rates.exempt.iter().any(|network| network.contains(peer));
    let account = visit.account.as_ref().map(|account| account.id.as_str());
    Counted { meter: &visit.context.abuse.meter, rates: &settings.rates, peer, by_address: !is_exempt, account }
}

/// Something was refused for good.
pub(crate) fn error(visit: &Visit<'_>) {
    counted(visit).charge(What::Errors, 1);
}

/// May one more letter begin?
pub(crate) fn letter(visit: &Visit<'_>) -> Result<(), Verdict> {
    let counted = counted(visit);
    counted.look(What::Size).map_err(|wait| too_much("octets", wait))?;
    counted.take(What::Letters, 1).map_err(|wait| too_much("letters", wait))
}

/// May one more recipient be added? What is said of the peer counts here: postmaster must be reached by everybody (RFC 5321 §4.5.1).
/// Who is expected by the recipient need not be known.
pub(crate) async fn recipient(
    visit: &mut Visit<'_>,
    recipient: &posthouse_mail::Address,
    is_expected: bool,
) -> Result<(), Verdict> {
    counted(visit).take_recipient(recipient.domain().as_str()).map_err(|wait| too_much("recipients", wait))?;
    if visit.kind != ListenerKind::Mx || recipient.local().as_str().eq_ignore_ascii_case("postmaster") {
        return Ok(());
    }
    visit.lists = match std::mem::replace(&mut visit.lists, Lists::Unasked) {
        Lists::Asking(asking) => Lists::Known(asking.listed().await),
        lists @ (Lists::Unasked | Lists::Known(_)) => lists,
    };
    let settings = &visit.context.settings;
    let score = match &visit.lists {
        Lists::Known(listed) => {
            if listed.score >= i64::from(settings.lists.refuse_at) {
                return Err(refused(visit.peer, listed));
            }
            listed.score
        }
        Lists::Unasked | Lists::Asking(_) => 0,
    };
    if is_expected { Ok(()) } else { greylist(visit, recipient, score) }
}

fn greylist(visit: &Visit<'_>, recipient: &posthouse_mail::Address, score: i64) -> Result<(), Verdict> {
    let settings = &visit.context.settings;
    let applies = match settings.greylist.policy {
        GreylistPolicy::Off => false,
        GreylistPolicy::Listed => score > 0,
        GreylistPolicy::All => score >= 0,
    };
    if !applies || settings.trusts(visit.peer) || settings.lists.exempt.iter().any(|network| network.contains(visit.peer)) {
        return Ok(());
    }
    let (sender, recipient) = (sender(visit), recipient.to_string());
    let contact = Contact { peer: visit.peer, sender: &sender, recipient: &recipient };
    let (greylist, now) = (&visit.context.abuse.greylist, UnixMillis(clock::unix_millis()));
    let admitted = greylist.admit(&settings.greylist, contact, now);
    greylist.save_soon(now);
    admitted.map_err(|wait: Duration| {
        let words = format!("we do not know each other yet, try again in {} s", wait.as_secs().max(1));
        Verdict::Defer(Reason::new(451, Status::temporary(7, 1), words))
    })
}

/// A letter was taken that somebody vouched for.
pub(crate) fn vouched(visit: &Visit<'_>) {
    if visit.context.settings.greylist.policy == GreylistPolicy::Off {
        return;
    }
    let sender = sender(visit);
    let now = UnixMillis(clock::unix_millis());
    visit.context.abuse.greylist.learn(Contact { peer: visit.peer, sender: &sender, recipient: "" }, now);
    visit.context.abuse.greylist.save_soon(now);
}

fn sender(visit: &Visit<'_>) -> String {
    visit.begun.as_ref().map(|begun| begun.sender.path.to_string()).unwrap_or_default()
}

/// RFC 5782 §2.1: the text of a list is for the one who is refused.
fn refused(peer: std::net::IpAddr, listed: &Listed) -> Verdict {
    let against = listed.by.iter().filter(|listing| listing.kind == ListKind::Block);
    let lists: Vec<String> = against
        .map(|listing| match &listing.text {
            Some(text) => format!("{} ({text})", listing.zone),
            None => format!("{} ({})", listing.zone, listing.code),
        })
        .collect();
    reject(550, 7, 1, format!("{peer} is listed by {}", lists.join(", ")))
}
