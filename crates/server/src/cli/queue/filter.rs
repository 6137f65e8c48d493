//! Which letters are meant, as arguments.

use posthouse_admin::queue::Filter;
use posthouse_config::Period;

#[derive(clap::Args, Debug)]
pub(super) struct FilterArgs {
    /// Letters from this address, from any at a domain (`@example.org`), or from nobody (`<>`).
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Letters that wait for this address, or for any at a domain (`@example.net`).
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Letters that wait for somebody at this domain.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Letters that came at least so long ago, such as 30m, 4h or 2d.
    #[arg(long, value_name = "AGE")]
    older: Option<Period>,
    /// Letters that came less than so long ago.
    #[arg(long, value_name = "AGE")]
    younger: Option<Period>,
    /// Letters whose last answer has this text in it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Letters that are held.
    #[arg(long)]
    held: bool,
    /// The letter with this id; may be given again.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

impl FilterArgs {
    pub(super) fn filter(self) -> Filter {
        let seconds = |period: Period| period.duration().as_secs();
        Filter {
            ids: self.ids,
            sender: self.sender,
            recipient: self.recipient,
            domain: self.domain,
            older: self.older.map(seconds),
            younger: self.younger.map(seconds),
            reason: self.reason,
            held: self.held,
        }
    }
}
