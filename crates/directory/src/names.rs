//! Where an address leads: the rules over the `name` and `target` tables.
//!
//! A name is looked for in this order: the whole local part; the part before the first `+`; `reports`, where other servers' reports go; the
//! domain's catch-all; and for `postmaster`,
//! which must always be received (RFC 5321 §4.5.1), the domain's first account, then the server's first. Aliases are followed to their ends within bounds. A circle, which only a removal can leave behind, is stepped over; an expansion beyond the bounds is an error,
//! because cutting it would lose somebody's letter.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, Row};
use unicode_normalization::UnicodeNormalization;

use posthouse_mail::{Address, Domain, LocalPart, UnixMillis};

use crate::account::{Account, AccountId};
use crate::error::DirectoryError;

/// The aliases one letter may pass through.
pub const ALIAS_DEPTH_MAX: usize = 10;
/// The targets of one alias.
pub const TARGETS_MAX: usize = 1_000;
/// The names one address may lead to or through.
pub const EXPANSION_MAX: usize = 2_000;

/// The local part that stands for every name without an entry of its own.
pub(crate) const CATCH_ALL: &str = "*";
const POSTMASTER: &str = "postmaster";
/// The local part at each domain of ours that takes reports (DMARC, TLS, complaints), unless an account or alias has it.
pub const REPORTS: &str = "reports";

/// Where an address leads, one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To an account here.
    Account {
        /// Whose mailbox.
        account: AccountId,
        /// What stood behind the `+`, as it was written.
        detail: Option<String>,
    },
    /// To other addresses, each with a route of its own.
    Alias(Vec<Address>),
    /// To where reports of other servers are read and kept.
    Reports,
    /// The domain is ours, but nobody has this name.
    Unknown,
    /// The domain is not ours.
    Elsewhere,
}

/// [`Route`] with what following it needs.
pub(crate) enum Found {
    Account { account: Account, detail: Option<String> },
    Alias { key: Key, targets: Vec<Address> },
    Reports,
    Unknown,
    Elsewhere,
}

/// The primary key of `name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) domain: i64,
    pub(crate) local: String,
}

/// Everything an address leads to in the end.
#[derive(Default)]
pub(crate) struct Expansion {
    /// Each end once, in the order met: the account's own address (with its detail) and whose it is, or an address elsewhere.
    pub(crate) ends: Vec<(Address, Option<AccountId>)>,
    /// The addresses in domains of ours that nobody has.
    pub(crate) unknown: Vec<Address>,
    /// The last address before a circle closed.
    pub(crate) circle: Option<Address>,
}

/// The form in which local parts are compared: lower case, composed.
pub(crate) fn fold(local: &str) -> String {
    if local.is_ascii() { local.to_ascii_lowercase() } else { local.nfc().collect::<String>().to_lowercase().nfc().collect() }
}

pub(crate) fn domain_id(connection: &Connection, domain: &Domain) -> Result<Option<i64>, DirectoryError> {
    let mut statement = connection.prepare_cached("SELECT id FROM domain WHERE name = ?1")?;
    Ok(statement.query_row([domain.as_str()], |row| row.get(0)).optional()?)
}

/// One step.
pub(crate) fn find(connection: &Connection, address: &Address) -> Result<Found, DirectoryError> {
    let Some(domain) = domain_id(connection, address.domain())? else { return Ok(Found::Elsewhere) };
    let folded = fold(address.local().as_str());
    if let Some(found) = entry(connection, domain, &folded, None)? {
        return Ok(found);
    }
    if let (Some((base, _)), Some((_, detail))) = (folded.split_once('+'), address.local().as_str().split_once('+'))
        && let Some(found) = entry(connection, domain, base, Some(detail))?
    {
        return Ok(found);
    }
    let base = folded.split_once('+').map_or(folded.as_str(), |(base, _)| base);
    if base == REPORTS {
        return Ok(Found::Reports);
    }
    if let Some(found) = entry(connection, domain, CATCH_ALL, None)? {
        return Ok(found);
    }
    if base == POSTMASTER
        && let Some(account) = first_account(connection, domain)?
    {
        return Ok(Found::Account { account, detail: None });
    }
    Ok(Found::Unknown)
}

/// Every end of an address.
pub(crate) fn expand(connection: &Connection, address: &Address) -> Result<Expansion, DirectoryError> {
    let mut walk = Walk {
        connection,
        start: address,
        steps: 0,
        path: Vec::new(),
        followed: HashSet::new(),
        met: HashSet::new(),
        expansion: Expansion::default(),
    };
    walk.follow(address)?;
    Ok(walk.expansion)
}

/// The account whose own name this is; aliases, details and catch-alls do not log in.
pub(crate) fn account_named(connection: &Connection, address: &Address) -> Result<Option<Account>, DirectoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT account.id, account.created, name.written, domain.name FROM name
         JOIN domain ON domain.id = name.domain JOIN account ON account.seq = name.account
         WHERE domain.name = ?1 AND name.local = ?2",
    )?;
    let row = statement.query_row((address.domain().as_str(), fold(address.local().as_str())), account_columns).optional()?;
    row.map(account).transpose()
}

/// The columns of an account: `id, created, written, domain`.
pub(crate) type AccountColumns = (String, i64, String, String);

pub(crate) fn account_columns(row: &Row<'_>) -> rusqlite::Result<AccountColumns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

pub(crate) fn account((id, created, written, domain): AccountColumns) -> Result<Account, DirectoryError> {
    Ok(Account {
        id: id.parse().map_err(|_| DirectoryError::corrupt("the account id", &id))?,
        address: join(&written, &domain)?,
        created: UnixMillis(u64::try_from(created).unwrap_or_default()),
    })
}

/// An address of two columns.
pub(crate) fn join(local: &str, domain: &str) -> Result<Address, DirectoryError> {
    let local = LocalPart::new(local).map_err(|_| DirectoryError::corrupt("the name", local))?;
    let domain = domain.parse().map_err(|_| DirectoryError::corrupt("the domain", domain))?;
    Ok(Address::new(local, domain))
}

/// The targets of an alias, in their order.
pub(crate) fn targets(connection: &Connection, key: &Key) -> Result<Vec<Address>, DirectoryError> {
    let mut statement =
        connection.prepare_cached("SELECT address FROM target WHERE domain = ?1 AND local = ?2 ORDER BY position")?;
    let rows = statement.query_map((key.domain, &key.local), |row| row.get::<_, String>(0))?;
    rows.map(|text| parse(&text?)).collect()
}

pub(crate) fn parse(text: &str) -> Result<Address, DirectoryError> {
    text.parse().map_err(|_| DirectoryError::corrupt("the address", text))
}

/// What stands under one name.
fn entry(connection: &Connection, domain: i64, local: &str, detail: Option<&str>) -> Result<Option<Found>, DirectoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT account.id, account.created, name.written, domain.name FROM name
         JOIN domain ON domain.id = name.domain LEFT JOIN account ON account.seq = name.account
         WHERE name.domain = ?1 AND name.local = ?2",
    )?;
    let row = statement.query_row((domain, local), |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<i64>>(1)?, row.get(2)?, row.get(3)?))
    });
    match row.optional()? {
        None => Ok(None),
        Some((Some(id), Some(created), written, domain)) => {
            let account = account((id, created, written, domain))?;
            Ok(Some(Found::Account { account, detail: detail.map(str::to_owned) }))
        }
        Some(_) => {
            let key = Key { domain, local: local.to_owned() };
            let targets = targets(connection, &key)?;
            Ok(Some(Found::Alias { key, targets }))
        }
    }
}

/// The oldest account, of this domain if it has one.
fn first_account(connection: &Connection, domain: i64) -> Result<Option<Account>, DirectoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT account.id, account.created, name.written, domain.name FROM account
         JOIN name ON name.account = account.seq JOIN domain ON domain.id = name.domain
         ORDER BY name.domain <> ?1, account.seq LIMIT 1",
    )?;
    statement.query_row([domain], account_columns).optional()?.map(account).transpose()
}

struct Walk<'a> {
    connection: &'a Connection,
    start: &'a Address,
    steps: usize,
    /// The aliases between the start and here.
    path: Vec<Key>,
    /// The aliases that were followed.
    followed: HashSet<Key>,
    /// The ends that were met.
    met: HashSet<Address>,
    expansion: Expansion,
}

impl Walk<'_> {
    fn follow(&mut self, address: &Address) -> Result<(), DirectoryError> {
        self.steps += 1;
        if self.steps > EXPANSION_MAX {
            return Err(DirectoryError::TooMuch(self.start.clone()));
        }
        match find(self.connection, address)? {
            Found::Account { account, detail } => {
                let end = with_detail(&account.address, detail.as_deref());
                self.end(end, Some(account.id));
            }
            Found::Elsewhere | Found::Reports => self.end(address.clone(), None),
            Found::Unknown => self.expansion.unknown.push(address.clone()),
            Found::Alias { key, targets } => self.alias(address, key, &targets)?,
        }
        Ok(())
    }

    fn alias(&mut self, address: &Address, key: Key, targets: &[Address]) -> Result<(), DirectoryError> {
        if self.path.contains(&key) {
            self.expansion.circle.get_or_insert_with(|| address.clone());
            return Ok(());
        }
        if !self.followed.insert(key.clone()) {
            return Ok(()); // two ways to the same alias are no circle, and its ends are there already
        }
        self.path.push(key);
        if self.path.len() > ALIAS_DEPTH_MAX {
            return Err(DirectoryError::TooMuch(self.start.clone()));
        }
        for target in targets {
            self.follow(target)?;
        }
        self.path.pop();
        Ok(())
    }

    fn end(&mut self, address: Address, account: Option<AccountId>) {
        if self.met.insert(address.clone()) {
            self.expansion.ends.push((address, account));
        }
    }
}

/// The account's own address with the detail of the one that led to it.
fn with_detail(own: &Address, detail: Option<&str>) -> Address {
    // A detail that makes the local part too long is dropped rather than the letter.
    detail
        .and_then(|detail| LocalPart::new(&format!("{}+{detail}", own.local().as_str())).ok())
        .map_or_else(|| own.clone(), |local| Address::new(local, own.domain().clone()))
}

#[cfg(test)]
mod tests;
