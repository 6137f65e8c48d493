//! Whose letters an account wants, and whose not: addresses and domains that it allows or blocks.
//!
//! Of several rules that fit a sender the closest counts: its address, then its domain, then the domains above. What follows from a rule is the
//! caller's business. While no account has a rule, nothing is looked up.

use std::fmt;
use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, Transaction};
use thiserror::Error;

use posthouse_mail::{Address, Domain, UnixMillis};

use crate::account::AccountId;
use crate::directory::{Directory, existing, millis, now};
use crate::error::DirectoryError;
use crate::names::{self, Found, fold};

/// The rules that one account may have.
pub const SENDER_RULES_MAX: u32 = 1_000;
/// The domains above a sender's that are looked for.
const DOMAINS_MAX: usize = 10;

/// What an account wants of a sender's letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SenderRule {
    /// They are no junk.
    Allow,
    /// They are not wanted.
    Block,
}

/// An address, `alice@a.example`, or a domain with those below it, `a.example`; in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SenderPattern(String);

/// A text that is not a [`SenderPattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a sender is an address, such as alice@a.example, or a domain, such as a.example")]
pub struct SenderPatternError;

/// A rule of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderEntry {
    /// Whom it is about.
    pub pattern: SenderPattern,
    /// What it wants.
    pub rule: SenderRule,
    /// When it was made.
    pub made: UnixMillis,
}

impl SenderRule {
    /// Its name in the file and in output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

impl FromStr for SenderPattern {
    type Err = SenderPatternError;

    fn from_str(text: &str) -> Result<Self, SenderPatternError> {
        let text = text.strip_prefix('@').unwrap_or(text);
        if text.contains('@') {
            return text.parse().map(|address| Self(whole(&address))).map_err(|_| SenderPatternError);
        }
        let domain: Domain = text.parse().map_err(|_| SenderPatternError)?;
        if domain.literal().is_some() { Err(SenderPatternError) } else { Ok(Self(domain.to_string())) }
    }
}

impl fmt::Display for SenderPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Directory {
    /// Makes a rule of an account; one that it has for the same sender goes.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::TooManySenderRules`], storage errors.
    pub async fn list_sender(&self, account: &Address, pattern: &SenderPattern, rule: SenderRule) -> Result<(), DirectoryError> {
        let (account, pattern, made) = (account.clone(), pattern.clone(), millis(now()));
        let work = move |connection: &Transaction<'_>| {
            let seq = seq(connection, &existing(connection, &account)?.id)?;
            let insert = "INSERT OR REPLACE INTO sender_rule (account, pattern, rule, made) VALUES (?1, ?2, ?3, ?4)";
            connection.execute(insert, (seq, pattern.0, rule.name(), made))?;
            let count = "SELECT count(*) FROM sender_rule WHERE account = ?1";
            let count: u32 = connection.query_row(count, [seq], |row| row.get(0))?;
            if count > SENDER_RULES_MAX { Err(DirectoryError::TooManySenderRules(account)) } else { Ok(()) }
        };
        self.store().write(work).await
    }

    /// Takes a rule of an account away.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::NoSuchSenderRule`], storage errors.
    pub async fn unlist_sender(&self, account: &Address, pattern: &SenderPattern) -> Result<(), DirectoryError> {
        let (account, pattern) = (account.clone(), pattern.clone());
        let work = move |connection: &Transaction<'_>| {
            let seq = seq(connection, &existing(connection, &account)?.id)?;
            let delete = "DELETE FROM sender_rule WHERE account = ?1 AND pattern = ?2";
            let gone = connection.execute(delete, (seq, &pattern.0))?;
            if gone == 0 { Err(DirectoryError::NoSuchSenderRule(account, pattern)) } else { Ok(()) }
        };
        self.store().write(work).await
    }

    /// The rules of an account, by pattern.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], storage errors.
    pub async fn sender_rules(&self, account: &Address) -> Result<Vec<SenderEntry>, DirectoryError> {
        self.store().read(|connection| {
            let seq = seq(connection, &existing(connection, account)?.id)?;
            let select = "SELECT pattern, rule, made FROM sender_rule WHERE account = ?1 ORDER BY pattern";
            let mut statement = connection.prepare_cached(select)?;
            let rows = statement.query_map([seq], |row| entry(row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// What each of these recipients wants of letters of this sender. Who is no account here wants nothing.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn rules_for(&self, recipients: &[Address], sender: &Address) -> Result<Vec<Option<SenderEntry>>, DirectoryError> {
        self.store().recall(|reader| {
            if reader.memory().has_sender_rules == Some(false) {
                return Ok(vec![None; recipients.len()]);
            }
            let (has_rules, found) = reader.read(|connection| {
                let any = "SELECT EXISTS (SELECT 1 FROM sender_rule)";
                if !connection.prepare_cached(any)?.query_row([], |row| row.get::<_, bool>(0))? {
                    return Ok((false, vec![None; recipients.len()]));
                }
                let found = recipients.iter().map(|recipient| rule_for(connection, recipient, sender));
                Ok((true, found.collect::<Result<_, DirectoryError>>()?))
            })?;
            reader.memory().has_sender_rules = Some(has_rules);
            Ok(found)
        })
    }
}

/// The closest rule of one recipient.
fn rule_for(connection: &Connection, recipient: &Address, sender: &Address) -> Result<Option<SenderEntry>, DirectoryError> {
    let Found::Account { account, .. } = names::find(connection, recipient)? else { return Ok(None) };
    let select = "SELECT pattern, rule, made FROM sender_rule WHERE account = ?1 AND pattern = ?2";
    let (seq, mut statement) = (seq(connection, &account.id)?, connection.prepare_cached(select)?);
    for pattern in patterns(sender) {
        let found = statement.query_row((seq, pattern), |row| entry(row.get(0)?, &row.get::<_, String>(1)?, row.get(2)?));
        if let Some(found) = found.optional()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The patterns that fit an address, the closest first.
pub(crate) fn patterns(address: &Address) -> impl Iterator<Item = String> {
    let domain = address.domain().as_str();
    let above = domain.match_indices('.').filter_map(|(dot, _)| domain.get(dot + 1..));
    let domains = std::iter::once(domain).chain(above).take(DOMAINS_MAX).map(str::to_owned);
    std::iter::once(whole(address)).chain(domains)
}

/// A rule that this version does not know blocks nobody.
fn entry(pattern: String, rule: &str, made: i64) -> rusqlite::Result<SenderEntry> {
    let rule = if rule == SenderRule::Block.name() { SenderRule::Block } else { SenderRule::Allow };
    Ok(SenderEntry { pattern: SenderPattern(pattern), rule, made: UnixMillis(u64::try_from(made).unwrap_or_default()) })
}

pub(crate) fn seq(connection: &Connection, id: &AccountId) -> Result<i64, DirectoryError> {
    let mut statement = connection.prepare_cached("SELECT seq FROM account WHERE id = ?1")?;
    Ok(statement.query_row([id.as_str()], |row| row.get(0))?)
}

fn whole(address: &Address) -> String {
    format!("{}@{}", fold(address.local().as_str()), address.domain())
}

#[cfg(test)]
mod tests {
    use posthouse_runtime::block_on;

    use super::*;

    #[test]
    fn the_closest_rule_counts_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let directory = Directory::open(&folder.path().join("directory.sqlite")).unwrap();
            directory.add_domain(&"ours.test".parse().unwrap()).await.unwrap();
            let [alice, bob]: [Address; 2] = ["alice@ours.test", "bob@ours.test"].map(|text| text.parse().unwrap());
            for account in [&alice, &bob] {
                directory.add_account(account, "correct horse").await.unwrap();
            }
            let rule = async |sender: &str| {
                let to = ["alice+news@ours.test", "bob@ours.test", "nobody@ours.test", "x@elsewhere.test"];
                let to: Vec<Address> = to.iter().map(|text| text.parse().unwrap()).collect();
                let said = directory.rules_for(&to, &sender.parse().unwrap()).await.unwrap();
                assert!(said[1..].iter().all(Option::is_none), "{said:?}");
                said[0].as_ref().map(|entry| (entry.rule.name(), entry.pattern.to_string()))
            };
            assert_eq!(rule("x@a.example").await, None);
            for (pattern, what) in
                [("@A.example", SenderRule::Block), ("good.a.example", SenderRule::Allow), ("Boss@a.example", SenderRule::Allow)]
            {
                directory.list_sender(&alice, &pattern.parse().unwrap(), what).await.unwrap();
            }
            let blocked = Some(("block", "a.example".to_owned()));
            assert_eq!(rule("x@a.example").await, blocked);
            assert_eq!(rule("x@deep.below.a.example").await, blocked);
            assert_eq!(rule("x@nota.example").await, None);
            assert_eq!(rule("bOSS@a.example").await, Some(("allow", "boss@a.example".to_owned())));
            assert_eq!(rule("x@very.good.a.example").await, Some(("allow", "good.a.example".to_owned())));
            directory.list_sender(&alice, &"a.example".parse().unwrap(), SenderRule::Allow).await.unwrap();
            assert_eq!(rule("x@a.example").await, Some(("allow", "a.example".to_owned())), "the later word counts");
            directory.unlist_sender(&alice, &"a.example".parse().unwrap()).await.unwrap();
            let again = directory.unlist_sender(&alice, &"a.example".parse().unwrap()).await;
            assert!(matches!(again, Err(DirectoryError::NoSuchSenderRule(..))), "{again:?}");
            let left = directory.sender_rules(&alice).await.unwrap();
            let left: Vec<_> = left.iter().map(|entry| entry.pattern.to_string()).collect();
            assert_eq!(left, ["boss@a.example", "good.a.example"]);
            directory.remove_account(&alice).await.unwrap();
            assert_eq!(rule("boss@a.example").await, None);
        })
        .unwrap();
    }

    #[test]
    fn what_is_no_sender_is_no_pattern() {
        for text in ["", "@", "a b", "[192.0.2.1]", "alice@", "@@a.example"] {
            assert_eq!(text.parse::<SenderPattern>(), Err(SenderPatternError), "{text:?}");
        }
        assert_eq!("bücher.example".parse::<SenderPattern>().unwrap().to_string(), "xn--bcher-kva.example");
    }
}
