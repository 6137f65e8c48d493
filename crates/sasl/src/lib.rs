//! SASL mechanisms, client and server halves, without IO.
