//! Connections to servers: pools, balancing, time limits, retry.
