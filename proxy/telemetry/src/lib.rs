//! The catalogue of metrics, statistics per route, logs.
