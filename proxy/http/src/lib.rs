//! Bodies, header hygiene, and the one place where an error becomes an answer.
