//! The recorder's ledger: `given = written + failed + in_flight`, at any moment.

/// Why a chunk could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailReason {
    /// The disk, or a limit on it, is full.
    DiskFull,
    /// Another error while writing.
    Io,
    /// The next file could not be created.
    NoFile,
}

/// What became of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecorderStats {
    /// Chunks taken from the data ring.
    pub given: u64,
    /// Chunks that are in the files, as far as a killed program is concerned.
    pub written: u64,
    /// Of these, those that were also made durable: a loss of power cannot lose them any more.
    pub durable: u64,
    /// Chunks that were lost: the disk was full,
    pub failed_full: u64,
    /// another error of the disk,
    pub failed_io: u64,
    /// the next file could not be created.
    pub failed_file: u64,
    /// Chunks on their way.
    pub in_flight: u64,
    /// Bytes of data of written chunks.
    pub data_bytes: u64,
    /// Bytes of their records in both files, with what fills up blocks.
    pub file_bytes: u64,
    /// Pairs of files begun.
    pub files: u64,
    /// Chunks whose data had to be copied because their memory is not aligned as direct writes need it.
    pub copied: u64,
    /// Chunks that did not go back: the free ring was stopped, or full when the recorder ended. They were freed.
    pub freed: u64,
    /// Times that a chunk had to wait for space in the free ring.
    pub free_ring_full: u64,
    /// fdatasync calls (pairs of them) that failed.
    pub sync_errors: u64,
    /// Whether data goes past the page cache now.
    pub direct: bool,
}

impl RecorderStats {
    /// Chunks that were lost, for whatever reason.
    pub fn failed(&self) -> u64 {
        self.failed_full + self.failed_io + self.failed_file
    }

    /// Whether each chunk is in exactly one bin.
    pub fn ledger_closes(&self) -> bool {
        self.given == self.written + self.failed() + self.in_flight
    }

    pub(super) fn fail(&mut self, reason: FailReason) {
        match reason {
            FailReason::DiskFull => self.failed_full += 1,
            FailReason::Io => self.failed_io += 1,
            FailReason::NoFile => self.failed_file += 1,
        }
        self.in_flight -= 1;
    }
}
