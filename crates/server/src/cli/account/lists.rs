//! `posthouse account allow`, `block`, `unlist`, `lists`.

use posthouse_admin::SenderRuleInfo;
use posthouse_directory::{SenderPattern, SenderRule};
use posthouse_mail::Address;

use super::super::data::{DataArgs, block_on, malformed};
use super::super::{Failure, Printer};
use super::parse;

/// An account, and whom it means.
#[derive(clap::Args, Debug)]
pub(crate) struct Senders {
    /// The account.
    address: String,
    /// Addresses, and domains with those below them.
    #[arg(required = true)]
    sender: Vec<String>,
}

impl Senders {
    /// All of it, or nothing is done.
    pub(super) fn read(&self) -> Result<(Address, Vec<SenderPattern>), Failure> {
        let pattern = |text: &String| text.parse().map_err(|error| malformed("the sender", text, error));
        Ok((parse(&self.address)?, self.sender.iter().map(pattern).collect::<Result<_, _>>()?))
    }
}

pub(super) fn set(data: &DataArgs, senders: &Senders, rule: SenderRule, printer: &Printer) -> Result<(), Failure> {
    let (address, senders) = senders.read()?;
    let admin = data.open()?;
    for sender in &senders {
        block_on(admin.list_sender(&address, sender, rule))?;
        printer.line(format_args!("{} {sender} for {address}", if rule == SenderRule::Allow { "allowed" } else { "blocked" }))?;
    }
    printer.json(&block_on(admin.sender_rules(&address))?)
}

pub(super) fn unset(data: &DataArgs, senders: &Senders, printer: &Printer) -> Result<(), Failure> {
    let (address, senders) = senders.read()?;
    let admin = data.open()?;
    for sender in &senders {
        block_on(admin.unlist_sender(&address, sender))?;
        printer.line(format_args!("nothing is said of {sender} for {address} any more"))?;
    }
    printer.json(&block_on(admin.sender_rules(&address))?)
}

pub(super) fn show(data: &DataArgs, address: &Address, printer: &Printer) -> Result<(), Failure> {
    let rules = block_on(data.open()?.sender_rules(address))?;
    for SenderRuleInfo { sender, rule, .. } in &rules {
        printer.line(format_args!("{rule} {sender}"))?;
    }
    printer.json(&rules)
}
