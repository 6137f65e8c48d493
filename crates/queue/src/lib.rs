//! Undelivered mail: the durable spool log and the pure scheduler.
