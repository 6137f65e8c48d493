//! The public face: questions and changes, each in one transaction.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction};

use posthouse_mail::{Address, Domain, UnixMillis};
use posthouse_runtime::{clock, random};
use posthouse_sasl::{FAKE_SALT_SEED_BYTES, Password, prepare_login, prepare_password};

use crate::account::{Account, AccountId, Alias, Removed};
use crate::error::DirectoryError;
use crate::grants;
use crate::guard::Guard;
use crate::names::{self, CATCH_ALL, Found, Key, Route, TARGETS_MAX, fold};
use crate::outside::OutsidePasswords;
use crate::password::{Check, Credentials, Passwords};
use crate::store::{Reader, Store};
use crate::tokens::{Slot, Tokens};

/// The identities of a server. A clone is another handle to the same file.
#[derive(Clone)]
pub struct Directory {
    store: Store,
    passwords: Passwords,
    guard: Guard,
    tokens: Slot<dyn Tokens>,
    outside: Slot<dyn OutsidePasswords>,
    fake_salt_seed: [u8; FAKE_SALT_SEED_BYTES],
}

/// An account and the hash of its password.
type Login = (Account, String);

impl Directory {
    /// Opens `directory.sqlite` at `path`, and beside it `logins.sqlite`; makes them, readable by their owner alone, where there are none. Their
    /// folder must exist.
    ///
    /// # Errors
    /// [`DirectoryError::Storage`] and [`DirectoryError::Busy`] from the file, [`DirectoryError::Newer`] for a file from the future.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let store = Store::open(path)?;
        let fake_salt_seed = store.write_here(fake_salt_seed)?;
        let guard = Guard::open(&path.with_file_name("logins.sqlite"))?;
        Ok(Self { store, passwords: Passwords::new(), guard, tokens: Slot::default(), outside: Slot::default(), fake_salt_seed })
    }

    /// The folder that holds the file.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.store.folder()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// What keeps guessers out.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Takes who knows the issuers of tokens; `None`: no token is taken.
    pub fn trust_tokens(&self, tokens: Option<Arc<dyn Tokens>>) {
        self.tokens.set(tokens);
    }

    /// Whether anybody can log in with a token.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.tokens.get().is_some()
    }

    pub(crate) fn outside(&self) -> &Slot<dyn OutsidePasswords> {
        &self.outside
    }

    pub(crate) fn tokens(&self) -> Option<Arc<dyn Tokens>> {
        self.tokens.get()
    }

    /// Where an address leads, one step.
    ///
    /// # Errors
    /// [`DirectoryError::is_temporary`] ones.
    pub async fn route(&self, address: &Address) -> Result<Route, DirectoryError> {
        self.store.recall(|reader| route(reader, address))
    }

    /// Where each of these addresses leads, one step.
    ///
    /// # Errors
    /// [`DirectoryError::is_temporary`] ones.
    pub async fn routes<'a>(&self, addresses: impl Iterator<Item = &'a Address>) -> Result<Vec<Route>, DirectoryError> {
        self.store.recall(|reader| addresses.map(|address| route(reader, address)).collect())
    }

    /// Every address that `address` leads to in the end, each once: the own addresses of accounts here (with the detail behind `+`, if there
    /// was one) and addresses elsewhere, `address` itself when it is elsewhere. Empty when nobody would get the letter. A target of an alias
    /// that no longer exists is left out and logged.
    ///
    /// # Errors
    /// [`DirectoryError::TooMuch`] when aliases lead too far, and storage errors; all temporary.
    pub async fn expand(&self, address: &Address) -> Result<Vec<Address>, DirectoryError> {
        self.store.recall(|reader| {
            if let Some(ends) = reader.memory().ends(address) {
                return Ok(ends);
            }
            let expansion = reader.read(|connection| names::expand(connection, address))?;
            let is_sound = expansion.unknown.is_empty() && expansion.circle.is_none();
            for unknown in expansion.unknown.iter().filter(|&unknown| unknown != address) {
                tracing::warn!(%address, target = %unknown, "an alias leads to an address that nobody has");
            }
            if let Some(through) = expansion.circle {
                tracing::warn!(%address, %through, "an alias leads to itself");
            }
            let ends: Vec<Address> = expansion.ends.into_iter().map(|(end, _)| end).collect();
            if is_sound {
                reader.memory().keep_ends(address, &ends);
            }
            Ok(ends)
        })
    }

    /// Whether the domain is ours.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn is_local(&self, domain: &Domain) -> Result<bool, DirectoryError> {
        self.store.read(|connection| Ok(names::domain_id(connection, domain)?.is_some()))
    }

    /// The address that stands for `<postmaster>` without a domain (RFC 5321 §4.1.1.3): the postmaster of the first domain. `None` while
    /// there is no domain, or nobody to receive it.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn postmaster(&self) -> Result<Option<Address>, DirectoryError> {
        self.store.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name FROM domain ORDER BY id LIMIT 1")?;
            let Some(domain) = statement.query_row([], |row| row.get::<_, String>(0)).optional()? else { return Ok(None) };
            let address = names::join("postmaster", &domain)?;
            Ok((!names::expand(connection, &address)?.ends.is_empty()).then_some(address))
        })
    }

    /// The account of a login, which is the account's address in any case.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn account(&self, login: &str) -> Result<Option<Account>, DirectoryError> {
        let Some(address) = login_address(login) else { return Ok(None) };
        self.store.read(|connection| names::account_named(connection, &address))
    }

    /// The account of whom `login` names, if this is the account's own password. For the server's own use: nobody from outside logs in by it
    /// ([`Self::attempt`]).
    ///
    /// # Errors
    /// Storage errors; never for what was typed.
    pub async fn verify_password(&self, login: &str, password: &str) -> Result<Option<Account>, DirectoryError> {
        let found = self.login(login)?;
        self.compare(found, prepare_password(password).ok(), false).await
    }

    /// The account, if the password is its own. Takes the same time for none.
    pub(crate) async fn compare(
        &self,
        found: Option<Login>,
        password: Option<Password>,
        is_known: bool,
    ) -> Result<Option<Account>, DirectoryError> {
        let stored = found.as_ref().map(|(account, hash)| (&account.id, hash.clone()));
        let check = self.passwords.check(stored, password.clone(), is_known).await?;
        let (Some((account, old)), Some(password)) = (found, password) else { return Ok(None) };
        match check {
            Check::Wrong => return Ok(None),
            Check::Right => {}
            Check::RightAndOld => {
                let salt = self.sha1_salt(&account.address.to_string());
                let fresh = self.passwords.make(password, salt).await?;
                let id = account.id.clone();
                let renewed = self.store.write(move |connection| renew(connection, &id, &old, &fresh)).await;
                if let Err(error) = renewed {
                    tracing::warn!(%error, account = %account.id, "a password hash could not be renewed"); // the login is right all the same
                }
            }
        }
        Ok(Some(account))
    }

    /// The secret from which the salts of unknown logins are made: the same after a restart, so that it cannot be told which logins exist.
    #[must_use]
    pub fn fake_salt_seed(&self) -> &[u8; FAKE_SALT_SEED_BYTES] {
        &self.fake_salt_seed
    }

    /// Whether the account may write in the name of `address`: its own, one with a detail, an alias that leads to it alone, or what it was
    /// [granted](Self::grant).
    ///
    /// # Errors
    /// As [`Self::expand`].
    pub async fn may_send_as(&self, account: &AccountId, address: &Address) -> Result<bool, DirectoryError> {
        self.store.read(|connection| {
            let expansion = names::expand(connection, address)?;
            let only = expansion.ends.iter().all(|(_, owner)| owner.as_ref() == Some(account));
            let is_own = only && !expansion.ends.is_empty() && expansion.unknown.is_empty();
            Ok(is_own || grants::is_granted(connection, account, address)?)
        })
    }
}

/// Changes. Each is durable when it returns.
impl Directory {
    /// Makes a domain ours.
    ///
    /// # Errors
    /// [`DirectoryError::DomainExists`], [`DirectoryError::DomainLiteral`], storage errors.
    pub async fn add_domain(&self, domain: &Domain) -> Result<(), DirectoryError> {
        if domain.literal().is_some() {
            return Err(DirectoryError::DomainLiteral(domain.clone()));
        }
        let (domain, now) = (domain.clone(), now());
        self.store
            .write(move |connection| {
                if names::domain_id(connection, &domain)?.is_some() {
                    return Err(DirectoryError::DomainExists(domain));
                }
                connection.execute("INSERT INTO domain (name, created) VALUES (?1, ?2)", (domain.as_str(), millis(now)))?;
                Ok(())
            })
            .await
    }

    /// Gives up a domain and its aliases.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`DirectoryError::DomainInUse`] while it has accounts, storage errors.
    pub async fn remove_domain(&self, domain: &Domain) -> Result<(), DirectoryError> {
        let domain = domain.clone();
        self.store
            .write(move |connection| {
                let id = names::domain_id(connection, &domain)?.ok_or_else(|| DirectoryError::NoSuchDomain(domain.clone()))?;
                let (accounts, first): (i64, Option<String>) = connection.query_row(
                    "SELECT count(*), min(written) FROM name WHERE domain = ?1 AND account IS NOT NULL",
                    [id],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                if let Some(first) = first {
                    let (accounts, first) = (u64::try_from(accounts).unwrap_or_default(), names::join(&first, domain.as_str())?);
                    return Err(DirectoryError::DomainInUse { domain, accounts, first });
                }
                connection.execute("DELETE FROM name WHERE domain = ?1", [id])?;
                connection.execute("DELETE FROM domain WHERE id = ?1", [id])?;
                Ok(())
            })
            .await
    }

    /// The domains, in the order they were added.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn domains(&self) -> Result<Vec<Domain>, DirectoryError> {
        self.store.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT name FROM domain ORDER BY id")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0))?;
            names.map(|name| name.map_err(DirectoryError::from).and_then(|name| parse_domain(&name))).collect()
        })
    }

    /// Adds an account. Its address is its login.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`DirectoryError::AccountExists`], [`DirectoryError::AliasExists`],
    /// [`DirectoryError::CatchAllAccount`], [`DirectoryError::Password`], storage errors.
    pub async fn add_account(&self, address: &Address, password: &str) -> Result<Account, DirectoryError> {
        if address.local().as_str() == CATCH_ALL {
            return Err(DirectoryError::CatchAllAccount(address.clone()));
        }
        let credentials = self.passwords.make(prepare_password(password)?, self.sha1_salt(&address.to_string())).await?;
        let created = now();
        let account = Account { id: AccountId::new(created, random::u128()), address: address.clone(), created };
        self.store
            .write(move |connection| {
                let key = free_name(connection, &account.address)?;
                let Credentials { hash, keys } = &credentials;
                connection.execute(
                    "INSERT INTO account (id, created, password_hash, scram_keys, scram_sha1_keys) VALUES (?1, ?2, ?3, ?4, ?5)",
                    (account.id.as_str(), millis(created), hash, &keys.sha256, &keys.sha1),
                )?;
                let seq = connection.last_insert_rowid();
                insert_name(connection, &key, &account.address, Some(seq))?;
                Ok(account)
            })
            .await
    }

    /// Removes an account. Its mailbox and the aliases that name it are left, and told.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], storage errors.
    pub async fn remove_account(&self, address: &Address) -> Result<Removed, DirectoryError> {
        let address = address.clone();
        self.store
            .write(move |connection| {
                let account = existing(connection, &address)?;
                connection.execute("DELETE FROM account WHERE id = ?1", [account.id.as_str()])?;
                let aliases =
                    all_aliases(connection)?.into_iter().filter(|alias| alias.targets.iter().any(|to| same(to, &address)));
                let aliases = aliases.map(|alias| alias.address).collect();
                Ok(Removed { account, aliases })
            })
            .await
    }

    /// Changes a password. Whoever is logged in stays so.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAccount`], [`DirectoryError::Password`], storage errors.
    pub async fn set_password(&self, address: &Address, password: &str) -> Result<(), DirectoryError> {
        let credentials = self.passwords.make(prepare_password(password)?, self.sha1_salt(&address.to_string())).await?;
        let address = address.clone();
        self.store
            .write(move |connection| {
                let account = existing(connection, &address)?;
                connection.execute(
                    "UPDATE account SET password_hash = ?2, scram_keys = ?3, scram_sha1_keys = ?4 WHERE id = ?1",
                    (account.id.as_str(), &credentials.hash, &credentials.keys.sha256, &credentials.keys.sha1),
                )?;
                Ok(())
            })
            .await
    }

    /// The accounts, in the order they were added.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn accounts(&self) -> Result<Vec<Account>, DirectoryError> {
        self.store.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT account.id, account.created, name.written, domain.name FROM account
                 JOIN name ON name.account = account.seq JOIN domain ON domain.id = name.domain ORDER BY account.seq",
            )?;
            let rows = statement.query_map([], names::account_columns)?;
            rows.map(|row| row.map_err(DirectoryError::from).and_then(names::account)).collect()
        })
    }

    /// Adds an alias. `*@domain` stands for every name of the domain that has no entry. Targets may be here, elsewhere, or aliases; one that
    /// is named twice counts once.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchDomain`], [`DirectoryError::AccountExists`], [`DirectoryError::AliasExists`], [`DirectoryError::NoTargets`],
    /// [`DirectoryError::TooManyTargets`], [`DirectoryError::CatchAllTarget`], [`DirectoryError::Loop`], [`DirectoryError::TooMuch`], storage errors.
    pub async fn add_alias(&self, address: &Address, targets: &[Address]) -> Result<Alias, DirectoryError> {
        let alias = Alias { address: address.clone(), targets: distinct(targets) };
        match alias.targets.len() {
            0 => return Err(DirectoryError::NoTargets(alias.address)),
            1..=TARGETS_MAX => {}
            _ => return Err(DirectoryError::TooManyTargets(alias.address)),
        }
        self.store
            .write(move |connection| {
                let key = free_name(connection, &alias.address)?;
                insert_name(connection, &key, &alias.address, None)?;
                insert_targets(connection, &key, &alias.targets)?;
                // A circle that this alias closes leads through it, so it is seen from here; the transaction is then dropped.
                if let Some(through) = names::expand(connection, &alias.address)?.circle {
                    return Err(DirectoryError::Loop { alias: alias.address, through });
                }
                Ok(alias)
            })
            .await
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// [`DirectoryError::NoSuchAlias`], storage errors.
    pub async fn remove_alias(&self, address: &Address) -> Result<(), DirectoryError> {
        let address = address.clone();
        self.store
            .write(move |connection| {
                let removed = connection.execute(
                    "DELETE FROM name WHERE local = ?2 AND account IS NULL AND domain = (SELECT id FROM domain WHERE name = ?1)",
                    (address.domain().as_str(), fold(address.local().as_str())),
                )?;
                if removed == 0 { Err(DirectoryError::NoSuchAlias(address)) } else { Ok(()) }
            })
            .await
    }

    /// The aliases, by domain and name.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn aliases(&self) -> Result<Vec<Alias>, DirectoryError> {
        self.store.read(|connection| all_aliases(connection))
    }

    fn login(&self, login: &str) -> Result<Option<Login>, DirectoryError> {
        let address = login_address(login);
        self.store.read(|connection| {
            let Some(address) = address else { return Ok(None) };
            let Some(account) = names::account_named(connection, &address)? else { return Ok(None) };
            let mut statement = connection.prepare_cached("SELECT password_hash FROM account WHERE id = ?1")?;
            Ok(Some((account.clone(), statement.query_row([account.id.as_str()], |row| row.get(0))?)))
        })
    }
}

/// Without secrets.
impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

/// One step, from memory if it was asked for since the file last changed.
fn route(reader: &mut Reader, address: &Address) -> Result<Route, DirectoryError> {
    if let Some(route) = reader.memory().route(address) {
        return Ok(route);
    }
    let found = reader.read(|connection| names::find(connection, address))?;
    let route = match found {
        Found::Account { account, detail } => Route::Account { account: account.id, detail },
        Found::Alias { targets, .. } => Route::Alias(targets),
        Found::Reports => Route::Reports,
        Found::Unknown => Route::Unknown,
        Found::Elsewhere => Route::Elsewhere,
    };
    reader.memory().keep_route(address, &route);
    Ok(route)
}

pub(crate) fn now() -> UnixMillis {
    UnixMillis(clock::unix_millis())
}

pub(crate) fn millis(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

pub(crate) fn login_address(login: &str) -> Option<Address> {
    prepare_login(login).ok()?.parse().ok()
}

fn parse_domain(name: &str) -> Result<Domain, DirectoryError> {
    name.parse().map_err(|_| DirectoryError::corrupt("the domain", name))
}

fn same(one: &Address, other: &Address) -> bool {
    one.domain() == other.domain() && fold(one.local().as_str()) == fold(other.local().as_str())
}

fn distinct(targets: &[Address]) -> Vec<Address> {
    let mut seen = std::collections::HashSet::new();
    targets.iter().filter(|&target| seen.insert(target)).cloned().collect()
}

fn fake_salt_seed(connection: &Transaction<'_>) -> Result<[u8; FAKE_SALT_SEED_BYTES], DirectoryError> {
    let mut seed = [0; FAKE_SALT_SEED_BYTES];
    random::fill(&mut seed);
    connection.execute("INSERT INTO secret (name, octets) VALUES ('fake-salt-seed', ?1) ON CONFLICT DO NOTHING", [seed])?;
    Ok(connection.query_row("SELECT octets FROM secret WHERE name = 'fake-salt-seed'", [], |row| row.get(0))?)
}

pub(crate) fn existing(connection: &Connection, address: &Address) -> Result<Account, DirectoryError> {
    names::account_named(connection, address)?.ok_or_else(|| DirectoryError::NoSuchAccount(address.clone()))
}

/// The key of a name in a domain of ours that nobody has yet.
fn free_name(connection: &Connection, address: &Address) -> Result<Key, DirectoryError> {
    let domain =
        names::domain_id(connection, address.domain())?.ok_or_else(|| DirectoryError::NoSuchDomain(address.domain().clone()))?;
    let key = Key { domain, local: fold(address.local().as_str()) };
    let mut statement = connection.prepare_cached("SELECT account IS NOT NULL FROM name WHERE domain = ?1 AND local = ?2")?;
    match statement.query_row((key.domain, &key.local), |row| row.get(0)).optional()? {
        None => Ok(key),
        Some(true) => Err(DirectoryError::AccountExists(address.clone())),
        Some(false) => Err(DirectoryError::AliasExists(address.clone())),
    }
}

fn insert_name(connection: &Connection, key: &Key, written: &Address, account: Option<i64>) -> Result<(), DirectoryError> {
    connection.execute(
        "INSERT INTO name (domain, local, written, account) VALUES (?1, ?2, ?3, ?4)",
        (key.domain, &key.local, written.local().as_str(), account),
    )?;
    Ok(())
}

fn insert_targets(connection: &Connection, key: &Key, targets: &[Address]) -> Result<(), DirectoryError> {
    let mut statement =
        connection.prepare_cached("INSERT INTO target (domain, local, position, address) VALUES (?1, ?2, ?3, ?4)")?;
    for (position, target) in (0_i64..).zip(targets) {
        if target.local().as_str() == CATCH_ALL {
            return Err(DirectoryError::CatchAllTarget(target.clone()));
        }
        statement.execute((key.domain, &key.local, position, target.to_string()))?;
    }
    Ok(())
}

fn all_aliases(connection: &Connection) -> Result<Vec<Alias>, DirectoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT name.domain, name.local, name.written, domain.name FROM name JOIN domain ON domain.id = name.domain
         WHERE name.account IS NULL ORDER BY domain.name, name.local",
    )?;
    let rows = statement.query_map([], |row| {
        let key = Key { domain: row.get(0)?, local: row.get(1)? };
        Ok((key, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    })?;
    rows.map(|row| {
        let (key, written, domain) = row?;
        Ok(Alias { address: names::join(&written, &domain)?, targets: names::targets(connection, &key)? })
    })
    .collect()
}

/// Replaces a hash of old parameters, unless the password was changed meanwhile.
fn renew(connection: &Connection, id: &AccountId, old: &str, fresh: &Credentials) -> Result<(), DirectoryError> {
    connection.execute(
        "UPDATE account SET password_hash = ?3, scram_keys = ?4, scram_sha1_keys = ?5 WHERE id = ?1 AND password_hash = ?2",
        (id.as_str(), old, &fresh.hash, &fresh.keys.sha256, &fresh.keys.sha1),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
