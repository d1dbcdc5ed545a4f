//! The Function trait and the process host: start on demand, stop when idle.
