//! The messages of SCRAM (RFC 5802 §7), read and written without state.
//!
//! Readers borrow from the message and allow nothing the grammar does not; an attribute out of order is an error, as is the
//! reserved `m=` (§5.1), which would change the meaning of what follows.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::keys::ScramKeys;
use crate::nonce::NONCE_BYTES_MAX;

/// The name of the channel binding that clients of ours use (RFC 9266 §2).
pub(crate) const BINDING_NAME: &str = "tls-exporter";
/// The name of the other one that servers of ours take (RFC 5929 §4).
pub(crate) const END_POINT_NAME: &str = "tls-server-end-point";

/// `gs2-cbind-flag` (RFC 5802 §7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flag<'a> {
    /// `n`: the client cannot bind.
    No,
    /// `y`: the client can, but thinks the server cannot.
    ServerCannot,
    /// `p=name`.
    Used(&'a str),
}

/// `client-first-message`.
pub(crate) struct ClientFirst<'a> {
    pub(crate) flag: Flag<'a>,
    pub(crate) authzid: Option<String>,
    /// `gs2-header`, as sent: it comes back inside `c=`.
    pub(crate) gs2_header: &'a str,
    /// `client-first-message-bare`, as sent: part of what is signed.
    pub(crate) bare: &'a str,
    pub(crate) login: String,
    pub(crate) nonce: &'a str,
}

/// `client-final-message`.
pub(crate) struct ClientFinal<'a> {
    pub(crate) binding: Vec<u8>,
    pub(crate) nonce: &'a str,
    /// `client-final-message-without-proof`, as sent.
    pub(crate) without_proof: &'a str,
    pub(crate) proof: Vec<u8>,
}

/// `server-first-message`.
pub(crate) struct ServerFirst<'a> {
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: u32,
}

pub(crate) fn client_first(message: &str) -> Option<ClientFirst<'_>> {
    let (flag, rest) = message.split_once(',')?;
    let (authzid, bare) = rest.split_once(',')?;
    let gs2_header = message.get(..message.len().checked_sub(bare.len())?)?;
    let flag = match flag {
        "n" => Flag::No,
        "y" => Flag::ServerCannot,
        _ => Flag::Used(flag.strip_prefix("p=").filter(|name| !name.is_empty())?),
    };
    let authzid = match authzid {
        "" => None,
        _ => Some(decode_name(authzid.strip_prefix("a=")?)?),
    };
    let mut attributes = bare.split(',');
    let login = decode_name(attributes.next()?.strip_prefix("n=")?)?;
    let nonce = nonce(attributes.next()?)?;
    extensions(attributes)?;
    Some(ClientFirst { flag, authzid, gs2_header, bare, login, nonce })
}

pub(crate) fn client_final(message: &str) -> Option<ClientFinal<'_>> {
    let (without_proof, proof) = message.rsplit_once(",p=")?;
    let mut attributes = without_proof.split(',');
    let binding = STANDARD.decode(attributes.next()?.strip_prefix("c=")?).ok()?;
    let nonce = nonce(attributes.next()?)?;
    extensions(attributes)?;
    Some(ClientFinal { binding, nonce, without_proof, proof: STANDARD.decode(proof).ok()? })
}

pub(crate) fn server_first(message: &str) -> Option<ServerFirst<'_>> {
    let mut attributes = message.split(',');
    let nonce = nonce(attributes.next()?)?;
    let salt = STANDARD.decode(attributes.next()?.strip_prefix("s=")?).ok()?;
    let iterations = attributes.next()?.strip_prefix("i=")?;
    // `posit-number`: `parse` alone would take a sign or a leading zero.
    let digits = iterations.bytes().all(|b| b.is_ascii_digit()) && !iterations.starts_with('0');
    extensions(attributes)?;
    Some(ServerFirst { nonce, salt, iterations: iterations.parse().ok().filter(|_| digits)? })
}

/// `AuthMessage` (RFC 5802 §3).
pub(crate) fn auth_message(client_first_bare: &str, server_first: &str, client_final_without_proof: &str) -> Vec<u8> {
    format!("{client_first_bare},{server_first},{client_final_without_proof}").into_bytes()
}

/// `ClientProof := ClientKey XOR HMAC(StoredKey, AuthMessage)`, the other way round: the key out of the proof.
pub(crate) fn client_key(keys: &ScramKeys, proof: &[u8], auth_message: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut key = keys.hash.hmac(&keys.stored_key, auth_message);
    key.iter_mut().zip(proof).for_each(|(octet, proof)| *octet ^= proof);
    key
}

/// `server-final-message` with the server's signature.
pub(crate) fn server_final(keys: &ScramKeys, auth_message: &[u8]) -> String {
    format!("v={}", STANDARD.encode(&*keys.hash.hmac(&keys.server_key, auth_message)))
}

/// `saslname`: `,` and `=` are written `=2C` and `=3D`.
pub(crate) fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

pub(crate) fn decode_name(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut decoded = parts.next()?.to_owned();
    for part in parts {
        let rest = part.strip_prefix("2C").map(|rest| (',', rest)).or_else(|| part.strip_prefix("3D").map(|rest| ('=', rest)));
        let (c, rest) = rest?;
        decoded.push(c);
        decoded.push_str(rest);
    }
    (!decoded.is_empty() && !decoded.contains('\0')).then_some(decoded)
}

fn nonce(attribute: &str) -> Option<&str> {
    let nonce = attribute.strip_prefix("r=")?;
    // The server's part follows the client's, so twice the limit.
    let right = !nonce.is_empty() && nonce.len() <= 2 * NONCE_BYTES_MAX && nonce.bytes().all(|b| b.is_ascii_graphic());
    right.then_some(nonce)
}

/// `extensions = attr-val *("," attr-val)`: unknown ones are ignored (§5.1), mandatory ones cannot be.
fn extensions<'a>(attributes: impl Iterator<Item = &'a str>) -> Option<()> {
    for attribute in attributes {
        let (name, value) = attribute.split_once('=')?;
        let known = name.len() == 1 && name.bytes().all(|b| b.is_ascii_alphabetic()) && !value.is_empty();
        if !known || name == "m" {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests;
