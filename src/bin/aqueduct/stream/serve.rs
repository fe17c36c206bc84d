//! `aqueduct stream serve`: a registry, until a signal ends it.

use std::sync::mpsc;

use aqueduct::signal::registry::{DEFAULT_ENDPOINT, Limits, RegistryServer};
use clap::Args;

use crate::failure::Failure;
use crate::{interrupt, terminal};

/// Run a registry, where outputs are published and looked up by name
#[derive(Args)]
pub struct Options {
    /// Where to listen, and nowhere else; port 0: any, which is told on the standard error
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_ENDPOINT)]
    listen: String,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let (stop, stopped) = mpsc::channel();
    interrupt::on_signal(move || {
        // The receiver is there until the first signal.
        let _ = stop.send(());
    })?;
    let server = RegistryServer::start(&options.listen, Limits::default())?;
    terminal::say(format_args!("listening on {}", server.address()));
    // It fails only if the handler is gone, and then nobody could end this.
    let _ = stopped.recv();
    Ok(())
}
