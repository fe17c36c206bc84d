//! Params of an output of a node: what its input carries, sent as the user wants.
//!
//! Plain values; any thread.

use crate::signal::params::Params;

/// The stream of `input`, opened as `transport` says: protocol, interface, port, transfer mode, length of a shared ring and compression are its, all else, also what we do
/// not know, the input's.
pub fn like(input: &Params, transport: &Params) -> Params {
    Params {
        protocol: transport.protocol,
        interface: transport.interface.clone(),
        port: transport.port.clone(),
        transfermode: transport.transfermode,
        buffer_size: transport.buffer_size,
        double: transport.double,
        compression: transport.compression,
        shm_id: None,
        ..input.clone()
    }
}
