//! Identities: domains, accounts, aliases, credentials, and where an address leads.
