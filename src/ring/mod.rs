//! The bounded ring.
