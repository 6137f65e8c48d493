//! Who knows the policies of domains.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use posthouse_mail::Domain;

use super::Policy;

/// A policy that is still to come. Dropping it gives up.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Option<Arc<Policy>>> + Send + 'a>>;

/// Somebody who knows the policies of domains, from a memory or by asking, within a time limit of their own.
pub trait Policies: Send + Sync {
    /// The policy that holds now for the domain of a recipient; `None` when there is none, or none can be had: then nothing was promised (§5).
    fn policy<'a>(&'a self, domain: &'a Domain) -> Asked<'a>;
}

/// Nobody promises anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPolicies;

impl Policies for NoPolicies {
    fn policy<'a>(&'a self, _domain: &'a Domain) -> Asked<'a> {
        Box::pin(std::future::ready(None))
    }
}
