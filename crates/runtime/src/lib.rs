//! The one seam to the outside world: clock, randomness, sockets, TLS, tasks, logs.
