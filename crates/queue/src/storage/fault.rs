//! Files in memory that keep what was written and what was synced apart.
