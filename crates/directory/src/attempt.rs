//! A try to log in, from the login to its end. The one way in for every protocol.
//!
//! [`Directory::attempt`] asks the [`Guard`](crate::Guard) first; a try that is slowed down is not looked at. Then the password is compared, or the keys for SCRAM are
//! handed out; [`Attempt::ended`] writes down how it went. An attempt that is dropped counts for nothing: nobody learned anything by it.

use std::fmt;
use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension as _, Row};

use posthouse_mail::Address;
use posthouse_sasl::{Password, ScramHash, ScramKeys, TokenFault, TokenRefusal, prepare_login, prepare_password};

use crate::account::Account;
use crate::app_password::{self, Stored};
use crate::directory::{Directory, login_address, now};
use crate::error::DirectoryError;
use crate::guard::{Slowed, Ticket};
use crate::names;
use crate::outside::OutsidePasswords;
use crate::protocol::Protocol;
use crate::scram::{Lacking, decoded};
use crate::tokens::{TokenError, TokenHint};

/// See the module.
pub struct Attempt {
    directory: Directory,
    login: String,
    protocol: Protocol,
    peer: IpAddr,
    ticket: Ticket,
    /// What was typed, where it was seen.
    password: Option<Password>,
    /// Whose it is, once that is known; not yet that the password is right.
    account: Option<Account>,
    /// The app password that was used.
    app_password: Option<Stored>,
    /// Why not, for the operator.
    why: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedIn {
    /// Who is logged in; `None`: nobody.
    pub account: Option<Account>,
    /// The name of the app password, if it was one.
    pub app_password: Option<String>,
    /// Why not, where there is more to say than that the password was wrong.
    pub why: Option<String>,
}

/// Whom a login means.
struct Meant {
    account: Account,
    hash: String,
    /// None: of this hash function there are none. An error is one of SCRAM alone.
    scram_keys: Result<Option<ScramKeys>, DirectoryError>,
    lacks_sha1: bool,
    /// The name of an app password, where the login has one: then only that one counts.
    only: Option<String>,
}

impl Directory {
    /// Somebody wants in.
    ///
    /// # Errors
    /// [`Slowed`]: too much went wrong before. The same for a login that does not exist.
    pub fn attempt(&self, login: &str, protocol: Protocol, peer: IpAddr) -> Result<Attempt, Slowed> {
        let ticket = self.guard().admit(login, peer)?;
        let (directory, login) = (self.clone(), login.to_owned());
        Ok(Attempt { directory, login, protocol, peer, ticket, password: None, account: None, app_password: None, why: None })
    }

    /// Somebody wants in with a token, which says who it is; `login` is what the client says of it, if it says anything.
    ///
    /// # Errors
    /// As [`Self::attempt`].
    pub fn attempt_with_token(&self, login: Option<&str>, protocol: Protocol, peer: IpAddr) -> Result<Attempt, Slowed> {
        self.attempt_unnamed(login, "a token", protocol, peer)
    }

    /// Somebody wants in with a certificate; `login` is whom they want to be, if they say so.
    ///
    /// # Errors
    /// As [`Self::attempt`].
    pub fn attempt_with_certificate(&self, login: Option<&str>, protocol: Protocol, peer: IpAddr) -> Result<Attempt, Slowed> {
        self.attempt_unnamed(login, "a certificate", protocol, peer)
    }

    fn attempt_unnamed(&self, login: Option<&str>, what: &str, protocol: Protocol, peer: IpAddr) -> Result<Attempt, Slowed> {
        let Some(login) = login else {
            // Nobody's account is meant yet, so what goes wrong counts for the place.
            let mut attempt = self.attempt(&format!("({what} from {peer})"), protocol, peer)?;
            attempt.login.clear();
            return Ok(attempt);
        };
        self.attempt(login, protocol, peer)
    }

    /// Whom a login means, with the SCRAM keys of one hash function.
    fn meant(&self, login: &str, scram: ScramHash) -> Result<Option<Meant>, DirectoryError> {
        let Some(address) = login_address(login) else { return Ok(None) };
        self.store().read(|connection| {
            let find = |address: &Address| names::account_named(connection, address);
            let (account, only) = match (find(&address)?, app_password::split(&address)) {
                (Some(account), _) => (account, None),
                (None, Some((base, name))) => match find(&base)? {
                    Some(account) => (account, Some(name)),
                    None => return nobody(connection, scram),
                },
                (None, None) => return nobody(connection, scram),
            };
            let mut statement =
                connection.prepare_cached("SELECT password_hash, scram_keys, scram_sha1_keys FROM account WHERE id = ?1")?;
            let (hash, sha256, sha1) = statement.query_row([account.id.as_str()], credentials)?;
            let scram_keys = keys_of(scram, &sha256, sha1.as_deref(), login);
            Ok(Some(Meant { account, hash, scram_keys, lacks_sha1: sha1.is_none(), only }))
        })
    }
}

/// Does for a login that nobody has what is done for one that somebody has: the time of the answer is not to tell which it was. An account that stands in
/// is read and taken apart like the one that was not there.
fn nobody(connection: &Connection, scram: ScramHash) -> Result<Option<Meant>, DirectoryError> {
    let mut statement = connection.prepare_cached(
        "SELECT password_hash, scram_keys, scram_sha1_keys, account.id, account.created, name.written, domain.name FROM account
         JOIN name ON name.account = account.seq JOIN domain ON domain.id = name.domain ORDER BY account.seq LIMIT 1",
    )?;
    let columns = |row: &Row<'_>| Ok((credentials(row)?, (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?)));
    if let Some(((_, sha256, sha1), account)) = statement.query_row([], columns).optional()? {
        // What is wrong with them is said to their owner.
        let _ = (keys_of(scram, &sha256, sha1.as_deref(), "nobody"), names::account(account));
    }
    Ok(None)
}

/// The hash of the password, and the SCRAM keys.
fn credentials(row: &Row<'_>) -> rusqlite::Result<(String, String, Option<String>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// The keys of this hash function, if there are any.
fn keys_of(scram: ScramHash, sha256: &str, sha1: Option<&str>, whose: &str) -> Result<Option<ScramKeys>, DirectoryError> {
    match (scram, sha1) {
        (ScramHash::Sha256, _) => decoded(sha256, whose).map(Some),
        (ScramHash::Sha1, Some(line)) => decoded(line, whose).map(Some),
        // The others are read in their place, for the time of the answer.
        (ScramHash::Sha1, None) => decoded(sha256, whose).map(|_| None),
        (ScramHash::Sha512, _) => Ok(None),
    }
}

impl Attempt {
    /// Whether this is the password. Takes the same time for a login that does not exist as for a wrong password.
    ///
    /// # Errors
    /// Storage errors; never for what was typed.
    pub async fn password(&mut self, password: &str) -> Result<bool, DirectoryError> {
        let prepared = prepare_password(password).ok();
        self.password.clone_from(&prepared);
        let meant = self.directory.meant(&self.login, ScramHash::Sha256)?;
        if let (Some(meant), Some(prepared)) = (&meant, &prepared) {
            let store = self.directory.store();
            let found = store.read(|connection| app_password::matching(connection, meant.account.id.as_str(), prepared))?;
            let found = found.filter(|stored| meant.only.as_ref().is_none_or(|name| *name == stored.name));
            if let Some(stored) = found {
                let right = self.is_valid(&stored);
                if right && stored.scram_sha1_keys.is_none() {
                    let login = format!("{}+{}@{}", meant.account.address.local(), stored.name, meant.account.address.domain());
                    self.directory.complete_keys(Lacking::AppPassword(stored.id), &login, prepared.clone()).await;
                }
                (self.account, self.app_password) = (Some(meant.account.clone()), Some(stored));
                return Ok(right);
            }
        }
        if meant.as_ref().is_none_or(|meant| meant.only.is_none())
            && let Some(outside) = self.directory.asked_outside(&self.login).await?
        {
            return self.password_outside(&*outside, meant.map(|meant| meant.account), prepared).await;
        }
        // With the name of an app password in it the login is nobody's own, and costs what nobody's costs.
        let own = meant.filter(|meant| meant.only.is_none());
        let lacks_sha1 = own.as_ref().is_some_and(|meant| meant.lacks_sha1);
        let (own, is_known) = (own.map(|meant| (meant.account, meant.hash)), self.ticket.is_known());
        self.account = self.directory.compare(own, prepared.clone(), is_known).await?;
        if let (true, Some(account), Some(password)) = (lacks_sha1, &self.account, prepared) {
            self.directory.complete_keys(Lacking::Account(account.id.clone()), &account.address.to_string(), password).await;
        }
        Ok(self.account.is_some())
    }

    /// Whether this is the password, as somebody else says.
    async fn password_outside(
        &mut self,
        outside: &dyn OutsidePasswords,
        account: Option<Account>,
        password: Option<Password>,
    ) -> Result<bool, DirectoryError> {
        // What cannot be a password, an empty one above all, is shown to nobody.
        let Some(password) = password else { return Ok(false) };
        if !outside.check(&self.login, password.reveal()).await? {
            return Ok(false);
        }
        self.account = match account {
            None if outside.creates() => self.directory.adopt(&self.login).await?,
            account => account,
        };
        if self.account.is_none() {
            self.why = Some("the password is right, and there is no such account here".to_owned());
        }
        Ok(self.account.is_some())
    }

    /// The SCRAM keys of this hash function, if there is such a login and it has them.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn keys(&mut self, hash: ScramHash) -> Result<Option<ScramKeys>, DirectoryError> {
        let Some(meant) = self.directory.meant(&self.login, hash)? else { return Ok(None) };
        let keys = match meant.only {
            // The password that they are of is none any more.
            None if self.directory.asked_outside(&self.login).await?.is_some() => return Ok(None),
            None => meant.scram_keys?,
            Some(name) => {
                let store = self.directory.store();
                let found = store.read(|connection| app_password::named(connection, meant.account.id.as_str(), &name))?;
                let Some(stored) = found.filter(|stored| self.is_valid(stored)) else { return Ok(None) };
                let keys = keys_of(hash, &stored.scram_keys, stored.scram_sha1_keys.as_deref(), &self.login)?;
                self.app_password = Some(stored);
                keys
            }
        };
        self.account = Some(meant.account);
        Ok(keys)
    }

    /// Whose token this is: an account here, and the one that the client named, if it named one.
    ///
    /// # Errors
    /// Storage errors, and [`DirectoryError::Issuer`]; never for what was shown.
    pub async fn token(&mut self, token: &str) -> Result<Result<String, TokenRefusal>, DirectoryError> {
        let Some(tokens) = self.directory.tokens() else {
            return Ok(Err(self.refuse(
                TokenFault::Invalid,
                TokenHint::default(),
                "no issuer of tokens is trusted here".to_owned(),
            )));
        };
        let login = match tokens.check(token).await {
            Ok(login) => login,
            Err(TokenError::Refused(why)) => return Ok(Err(self.refuse(TokenFault::Invalid, tokens.hint(), why))),
            Err(TokenError::Scope(why)) => return Ok(Err(self.refuse(TokenFault::Scope, tokens.hint(), why))),
            Err(TokenError::Unavailable(why)) => return Err(DirectoryError::Issuer(why)),
        };
        let Some(account) = self.directory.account(&login).await? else {
            let why = format!("the token is that of `{}`, who has no account here", login.escape_debug());
            return Ok(Err(self.refuse(TokenFault::Invalid, tokens.hint(), why)));
        };
        let named = if self.login.is_empty() { None } else { Some(self.directory.account(&self.login).await?) };
        if named.is_some_and(|named| named.is_none_or(|named| named.id != account.id)) {
            let why = format!("the token is that of {}", account.address);
            return Ok(Err(self.refuse(TokenFault::Invalid, tokens.hint(), why)));
        }
        let login = prepare_login(&account.address.to_string())?;
        self.account = Some(account);
        Ok(Ok(login))
    }

    /// Whose certificate this is: that of the account whose fingerprint was configured, or else of those whose addresses it has; the one that the client named, if it
    /// named one, else the only one.
    ///
    /// # Errors
    /// Storage errors; never for what was shown.
    pub async fn certificate(&mut self, emails: &[String], fingerprint: &str) -> Result<Option<String>, DirectoryError> {
        let named = self.directory.guard().account_of(fingerprint);
        let logins = named.as_ref().map_or(emails, std::slice::from_ref);
        let mut accounts: Vec<Account> = Vec::new();
        for login in logins {
            let account = self.directory.account(login).await?;
            accounts.extend(account.filter(|account| accounts.iter().all(|known| known.id != account.id)));
        }
        if !self.login.is_empty() {
            let meant = self.directory.account(&self.login).await?;
            accounts.retain(|account| meant.as_ref().is_some_and(|meant| meant.id == account.id));
        }
        let why = match accounts.len() {
            1 => None,
            0 => Some(format!(
                "the certificate {fingerprint} ({}) is not that of such an account",
                logins.join(", ").escape_debug()
            )),
            _ => Some("the certificate is that of several accounts, and the client does not say which".to_owned()),
        };
        if why.is_some() {
            self.why = why;
            return Ok(None);
        }
        self.account = accounts.pop();
        let login = self.account.as_ref().map(|account| prepare_login(&account.address.to_string())).transpose()?;
        Ok(login)
    }

    /// The end: whether the mechanism let it in. The failure, or the place, is written down when this returns.
    pub async fn ended(self, ok: bool) -> LoggedIn {
        let Self { directory, protocol, peer, ticket, password, account, app_password, why, .. } = self;
        if !ok || account.is_none() {
            ticket.failed(password.as_ref()).await;
            return LoggedIn { account: None, app_password: app_password.map(|stored| stored.name), why };
        }
        ticket.succeeded().await;
        if let Some(stored) = &app_password {
            directory.guard().used(stored.id, protocol, peer).await;
        }
        LoggedIn { account, app_password: app_password.map(|stored| stored.name), why: None }
    }

    fn refuse(&mut self, fault: TokenFault, hint: TokenHint, why: String) -> TokenRefusal {
        self.why = Some(why);
        TokenRefusal { fault, scope: hint.scope, configuration: hint.configuration }
    }

    /// Whether an app password may be used here and now.
    fn is_valid(&mut self, stored: &Stored) -> bool {
        if stored.expires.is_some_and(|expires| expires <= now()) {
            self.why = Some(format!("the app password `{}` has expired", stored.name));
        } else if !stored.protocols.contains(&self.protocol) {
            self.why = Some(format!("the app password `{}` is not for {}", stored.name, self.protocol));
        }
        self.why.is_none()
    }
}

/// Without what was typed.
impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("login", &self.login).field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
