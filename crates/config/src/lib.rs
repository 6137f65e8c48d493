//! The configuration file: spans, units, secrets, and errors that point at the line.
