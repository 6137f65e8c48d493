//! What a token says, held against what is asked of it.

use posthouse_mail::{Address, Domain};
use serde_json::Value;

use crate::error::Fault;
use crate::jwt::Claims;
use crate::settings::Settings;

/// The octets of a login.
const LOGIN_BYTES_MAX: usize = 320;

/// Where the claims come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A JWT: everything must be in it.
    Token,
    /// The issuer's own word on a token, which says by itself that its time is not over (RFC 7662 §2.2).
    Introspection,
}

/// The login that the claims grant, at `now` in seconds.
pub(crate) fn login(claims: &Claims, settings: &Settings, origin: Origin, now: i64) -> Result<String, Fault> {
    let claim = |what: &str| Fault::Claim(what.to_owned());
    match (claims.get("iss"), origin) {
        (Some(issuer), _) if issuer.as_str() == Some(&settings.url) => {}
        (None, Origin::Introspection) => {}
        (_, Origin::Token | Origin::Introspection) => return Err(claim("is of another issuer")),
    }
    times(claims, settings, origin, now)?;
    if let Some(audience) = &settings.audience {
        match claims.get("aud") {
            Some(Value::String(one)) if one == audience => {}
            Some(Value::Array(several)) if several.iter().any(|one| one.as_str() == Some(audience)) => {}
            _ => return Err(claim("is not for us, by its audience")),
        }
    }
    if let Some(missing) =
        settings.scope.as_deref().unwrap_or_default().split_whitespace().find(|scope| !has_scope(claims, scope))
    {
        return Err(Fault::Scope(missing.to_owned()));
    }
    named(claims, settings)
}

/// RFC 7519 §4.1.4 to §4.1.6.
fn times(claims: &Claims, settings: &Settings, origin: Origin, now: i64) -> Result<(), Fault> {
    let claim = |what: &str| Fault::Claim(what.to_owned());
    let leeway = i64::try_from(settings.leeway.duration().as_secs()).unwrap_or(i64::MAX);
    let expires = seconds(claims, "exp")?;
    if expires.is_none() && origin == Origin::Token {
        return Err(claim("does not say when it expires"));
    }
    if expires.is_some_and(|expires| expires.saturating_add(leeway) <= now) {
        return Err(claim("has expired"));
    }
    for (name, what) in [("nbf", "is not yet valid"), ("iat", "is from the future: look at the clocks")] {
        if seconds(claims, name)?.is_some_and(|from| from.saturating_sub(leeway) > now) {
            return Err(claim(what));
        }
    }
    Ok(())
}

/// A `NumericDate` (RFC 7519 §2): seconds, which may have a fraction.
fn seconds(claims: &Claims, name: &str) -> Result<Option<i64>, Fault> {
    let wrong = || Fault::Claim(format!("has an `{name}` that is no time"));
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a cast to an integer saturates, and a fraction of a second does not matter"
            )]
            (None, Some(fraction)) => Ok(Some(fraction as i64)),
            (None, None) => Err(wrong()),
        },
        Some(_) => Err(wrong()),
    }
}

/// `scope` (RFC 8693 §4.2), a text with spaces; `scp` at some issuers, which may be a list.
fn has_scope(claims: &Claims, wanted: &str) -> bool {
    let holds = |value: &Value| match value {
        Value::String(text) => text.split(' ').any(|scope| scope == wanted),
        Value::Array(list) => list.iter().any(|scope| scope.as_str() == Some(wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    ["scope", "scp"].iter().filter_map(|name| claims.get(*name)).any(holds)
}

fn named(claims: &Claims, settings: &Settings) -> Result<String, Fault> {
    let name = &settings.claim;
    let said = claims.get(name).and_then(Value::as_str).filter(|said| (1..=LOGIN_BYTES_MAX).contains(&said.len()));
    let said = said.ok_or_else(|| Fault::Claim(format!("has no `{name}` that is a text")))?;
    // OpenID Connect Core 1.0 §5.1 and §5.7: an address that nobody has verified may be anybody's.
    let is_unverified = |verified: &Value| !(*verified == Value::Bool(true) || verified.as_str() == Some("true"));
    if name == "email" && claims.get("email_verified").is_some_and(is_unverified) {
        return Err(Fault::Claim("has an address that its issuer has not verified".to_owned()));
    }
    let login = match (said.contains('@'), settings.domains.first()) {
        (true, _) => said.to_owned(),
        (false, Some(domain)) => format!("{said}@{domain}"),
        (false, None) => return Err(Fault::Claim(format!("has a `{name}` without a domain, and none is configured"))),
    };
    let address: Address = login.parse().map_err(|_| Fault::Claim(format!("has a `{name}` that is no address")))?;
    let speaks_for = |domain: &String| domain.parse::<Domain>().is_ok_and(|domain| domain == *address.domain());
    if !settings.domains.is_empty() && !settings.domains.iter().any(speaks_for) {
        return Err(Fault::Claim(format!("names an account in {}, for which its issuer does not speak", address.domain())));
    }
    Ok(login)
}

#[cfg(test)]
mod tests;
