//! Endpoint templates learnt from traffic.
