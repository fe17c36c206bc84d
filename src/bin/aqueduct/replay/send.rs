//! Sending a capture: file, pace and socket brought together.

use std::time::Duration;

use aqueduct::recv::reader::pcap::PcapFile;

use super::sender::Sender;
use super::{Options, PaceOptions};
use crate::failure::Failure;
use crate::pace::{Pacer, duration};
use crate::{interrupt, terminal};

/// When packets leave.
enum Pace {
    Unbounded,
    /// Bits per second.
    Rate(f64),
    /// Speed relative to the capture.
    Timed(f64),
}

impl From<&PaceOptions> for Pace {
    fn from(options: &PaceOptions) -> Self {
        match *options {
            PaceOptions { rate: Some(rate), .. } => Self::Rate(rate),
            PaceOptions { speed: Some(speed), .. } => Self::Timed(speed),
            PaceOptions { timed: true, .. } => Self::Timed(1.0),
            _ => Self::Unbounded,
        }
    }
}

/// Runs the command.
pub fn run(options: Options) -> Result<(), Failure> {
    let Options { file: path, destination, pace, filter, count, passes } = &options;
    if destination.port == 0 || destination.host.is_empty() {
        return Err(Failure::Usage("the destination needs a host, and a port other than 0".into()));
    }
    // First, so that a file that is not there is told before anything else happens.
    let mut file = PcapFile::open(path, filter.as_deref())?;
    let mut sender = Sender::new(destination)?;
    interrupt::on_signal(|| {})?;
    let pace = Pace::from(pace);
    let mut pass = 0;
    // When the pass began, in the time of the pacer.
    let mut pass_due = Duration::ZERO;
    let mut pacer = Pacer::start();
    let broken = loop {
        match send_file(&mut file, &mut sender, &mut pacer, &pace, pass_due, *count) {
            Ok(Some(due)) => pass_due = due,
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        pass += 1;
        if pass == *passes || sender.packets + sender.failed == 0 {
            break None;
        }
        match PcapFile::open(path, filter.as_deref()) {
            Ok(again) => file = again,
            Err(error) => break Some(error),
        }
    };
    sender.settle();
    terminal::end_progress();
    if let Some(error) = &broken {
        terminal::say(format_args!("aqueduct: error: {error}"));
    }
    terminal::say(format_args!("{}", sender.summary()));
    match (broken, interrupt::requested()) {
        (Some(_), _) => Err(Failure::Told),
        (None, true) => Ok(()),
        _ if sender.failed > 0 => Err(Failure::Told),
        _ if sender.packets == 0 => {
            Err(Failure::Run(format!("{}: there is no UDP payload to send", path.display())))
        }
        _ if sender.refused >= sender.packets => {
            Err(Failure::Run(format!("every packet was refused: nobody listens on {destination}")))
        }
        _ => Ok(()),
    }
}

/// Sends a file once, from `pass_due` on. The answer is when the last packet was due, or `None` if that was the end:
/// enough packets were sent, or the user interrupts.
fn send_file(
    file: &mut PcapFile,
    sender: &mut Sender,
    pacer: &mut Pacer,
    pace: &Pace,
    pass_due: Duration,
    count: Option<u64>,
) -> Result<Option<Duration>, aqueduct::error::Error> {
    let mut first = None;
    let mut due = pass_due;
    loop {
        if count.is_some_and(|count| sender.packets + sender.failed >= count) {
            return Ok(None);
        }
        let Some(record) = file.next()? else { return Ok(Some(due)) };
        let payload = match record.payload {
            Ok(payload) => payload,
            Err(skip) => {
                sender.skipped[skip as usize] += 1;
                continue;
            }
        };
        match *pace {
            Pace::Unbounded => {}
            Pace::Rate(rate) => due = duration(8.0 * sender.bytes as f64 / rate),
            Pace::Timed(speed) => {
                let first = *first.get_or_insert(record.time);
                // A packet that was captured out of order leaves at once.
                let offset = record.time.saturating_sub(first);
                due = pass_due.saturating_add(duration(offset.as_secs_f64() / speed)).max(due);
            }
        }
        if !pacer.wait(due, interrupt::requested) {
            return Ok(None);
        }
        sender.send(payload);
        sender.show_progress();
    }
}
