//! Stored mail: one SQLite database per account.
