//! examples/record_dataset.c and replay_dataset.c: a producer's stream to a file, and from there to a consumer, which finds what the producer sent.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::running::{variants, Running};
use crate::signal::{fnv1a, sine};

const PROGRAMS: [&str; 4] = [
    "../examples/signal_producer.c",
    "../examples/record_dataset.c",
    "../examples/replay_dataset.c",
    "../examples/signal_consumer.c",
];

/// The programs in each variant, and the folders that they are in.
fn builds() -> Vec<Vec<(PathBuf, TempDir)>> {
    let mut builds: Vec<Vec<_>> = Vec::new();
    for source in PROGRAMS {
        for (number, program) in variants(source).into_iter().enumerate() {
            let folder = tempfile::tempdir().expect("a temporary folder");
            builds.resize_with(builds.len().max(number + 1), Vec::new);
            builds[number].push((program.build(folder.path()), folder));
        }
    }
    builds
}

#[test]
fn a_recorded_stream_is_replayed() {
    if !cfg!(feature = "hdf5") {
        return;
    }
    for programs in builds() {
        let [producer, recorder, replay, consumer] =
            [0, 1, 2, 3].map(|number: usize| programs[number].0.clone());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("run.h5");
        let file = file.to_str().expect("UTF-8");
        let stream = ["protocol=shm", "channels=3", "chunk=37", "frames=2000", "inputs=1", "pace=0"];
        let sender = Running::start(&producer, stream, 0);
        let recording = [sender.line(), file.into(), "raw/adc".into(), "packing=deflate".into()];
        let (status, lines, complaints) = Running::start(&recorder, recording, 0).end();
        assert_eq!(status.code(), Some(0), "{complaints:?}");
        let [line] = &lines[..] else { panic!("{lines:?}") };
        assert!(
            line.starts_with("2000 frames in 1 stretches, ") && line.ends_with(" 0 frames lost"),
            "{line}"
        );
        assert_eq!(sender.end().0.code(), Some(0));

        for rate in ["rate=max", "rate=0"] {
            let player = Running::start(&replay, [file, "raw/adc", rate], 0);
            let receiver = Running::start(&consumer, [player.line(), "2000".into()], 0);
            let (status, played, complaints) = receiver.end();
            assert_eq!(status.code(), Some(0), "{complaints:?}");
            // The frames that the producer sent, in chunks of another length.
            let hash = fnv1a(sine(2000, 3, 1000));
            let last = played.last().expect("a last line");
            assert!(last.starts_with("2000 frames in "), "{last}");
            assert!(last.ends_with(&format!(", 0 missing in 0 gaps, fnv1a {hash:016x}")), "{last}");
            let (status, _, complaints) = player.end();
            assert_eq!(status.code(), Some(0), "{complaints:?}");
            assert!(complaints.iter().any(|line| line.starts_with("2000 rows in ")), "{complaints:?}");
        }
    }
}
