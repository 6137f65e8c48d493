//! `posthouse account grant`, `revoke`, `grants`.

use posthouse_mail::Address;

use super::super::data::{DataArgs, block_on};
use super::super::{Failure, Printer};
use super::lists::Senders;

pub(super) fn set(data: &DataArgs, senders: &Senders, printer: &Printer) -> Result<(), Failure> {
    let (address, senders) = senders.read()?;
    let admin = data.open()?;
    for sender in &senders {
        block_on(admin.grant(&address, sender))?;
        printer.line(format_args!("{address} may write as {sender}"))?;
    }
    printer.json(&block_on(admin.grants(&address))?)
}

pub(super) fn unset(data: &DataArgs, senders: &Senders, printer: &Printer) -> Result<(), Failure> {
    let (address, senders) = senders.read()?;
    let admin = data.open()?;
    for sender in &senders {
        block_on(admin.revoke(&address, sender))?;
        printer.line(format_args!("{address} may not write as {sender} any more, unless it is its own"))?;
    }
    printer.json(&block_on(admin.grants(&address))?)
}

pub(super) fn show(data: &DataArgs, address: &Address, printer: &Printer) -> Result<(), Failure> {
    let grants = block_on(data.open()?.grants(address))?;
    for sender in &grants {
        printer.line(sender)?;
    }
    printer.json(&grants)
}
