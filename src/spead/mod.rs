//! The SPEAD wire format.
