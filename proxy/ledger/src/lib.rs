//! Durable counts, verdicts, samples and the journal, in SQLite.
