//! DNS questions as mail asks them: MX, addresses, TXT, and whether an answer is authenticated.
