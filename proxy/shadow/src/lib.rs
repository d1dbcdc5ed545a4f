//! Copies of requests: sampling, the bounded queue, sending, feeding the comparison.
