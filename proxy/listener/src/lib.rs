//! Accept loops, TLS, drain.
