//! The admin address: API, pages, metrics.
