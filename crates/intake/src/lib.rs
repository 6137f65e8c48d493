//! The one door into the queue: listeners, checks, limits, submission fix-up, accept.
