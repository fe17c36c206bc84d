//! Datasets played: as signal streams, every file that h5py and PyTables write must come out as numpy has it; as chunks; recorded ones as what they were.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "hdf5")]

mod h5;
mod peer;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqueduct::chunk::{Chunk, ChunkRing};
use aqueduct::dataset::record::{RecordConfig, Recorder, RingRecorder, StreamRecorder};
use aqueduct::dataset::replay::{Replay, ReplayConfig, stream_params};
use aqueduct::dataset::{Compression, Dataset, File, Packing};
use aqueduct::error::ErrorKind;
use aqueduct::memory::HeapAllocator;
use aqueduct::ring::{GetError, Wait};
use aqueduct::signal::input::Input;
use aqueduct::signal::node::state::State;
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::open::{InputConfig, OutputConfig};
use aqueduct::signal::output::Output;
use aqueduct::signal::params::{Params, Protocol};
use aqueduct::signal::shared::{SharedInput, SharedOutput};
use aqueduct::signal::transport::NoChunk;

const GUARD: Wait = Wait::For(Duration::from_secs(60));
const FAST: ReplayConfig = ReplayConfig {
    rate: Some(f64::INFINITY),
    first_row: 0,
    end_row: None,
    loops: 1,
    chunk_rows: None,
    threads: 2,
};

fn ends(params: Params) -> (SharedOutput, Input) {
    let output = Output::open(params, &OutputConfig::default()).unwrap();
    let there = Params::from_json(&output.params().to_json()).unwrap();
    let config = InputConfig { connect: Some(GUARD), ..InputConfig::default() };
    (SharedOutput::new(output), Input::connect(there, &config).unwrap())
}

/// All frames until the index, and their bytes.
fn receive(input: &mut Input, frames: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while input.index().unwrap_or(0) < frames {
        let received = input.receive(GUARD).unwrap();
        assert_eq!(received.gap, 0..0);
        assert!(received.chunk.layout.is_c_order());
        bytes.extend(&received.chunk.data[received.chunk.layout.extent()]);
    }
    bytes
}

fn play(dataset: &Arc<Dataset>, protocol: Protocol, config: &ReplayConfig) -> (Replay, Input) {
    let params = Params { protocol, ..stream_params(dataset).unwrap() };
    let (output, input) = ends(params);
    assert!(output.wait_inputs(1, GUARD).unwrap());
    let replay = Replay::to_stream(dataset.clone(), config, output).unwrap();
    replay.start().unwrap();
    (replay, input)
}

#[test]
fn every_file_comes_out_as_numpy_has_it() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut played = 0;
    for case in h5::files(&python, folder.path()) {
        let Ok(dataset) = File::open(&case.file).and_then(|file| Dataset::open(&file, &case.name)) else {
            continue;
        };
        // Those of gigabytes, those without rows.
        if dataset.is_empty() || case.line["rows"].is_array() {
            continue;
        }
        let expected = case.expected(None);
        let (replay, mut input) = play(&dataset, Protocol::Inproc, &FAST);
        assert!(receive(&mut input, dataset.rows()) == expected, "{}", case.title());
        assert_eq!(replay.wait(GUARD), Some(State::Ended));
        let stats = replay.stats();
        assert_eq!((stats.rows, stats.bytes, stats.loops), (dataset.rows(), expected.len() as u64, 1));
        played += 1;
    }
    assert!(played > 30, "{played}");
}

/// A dataset of 1000 rows of 4 numbers, that count, in blocks of 64.
fn numbers(path: &Path) -> (Arc<Dataset>, Vec<u8>) {
    let rows: Vec<u8> = (0..4000u32).flat_map(u32::to_le_bytes).collect();
    let mut params = Params::new(parse_dtype("<u4").unwrap(), &[-1, 4]);
    (params.sample_rate, params.units, params.scale) = (20_000.0, "V".into(), Some(0.5));
    let packing = Packing { compression: Compression::Deflate(1), shuffle: true };
    let config =
        RecordConfig { block_rows: Some(64), packing, ..RecordConfig::of_stream(path, "a/data", &params) };
    let recorder = Recorder::new(config, None).unwrap();
    assert_eq!(recorder.put_rows(&rows, None, GUARD).unwrap(), 1000);
    recorder.stop().unwrap();
    (Dataset::open(&File::open(path).unwrap(), "a/data").unwrap(), rows)
}

#[test]
fn rows_loops_and_lengths_are_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, rows) = numbers(&folder.path().join("numbers.h5"));
    let params = stream_params(&dataset).unwrap();
    assert_eq!((params.sample_rate, params.units.as_str(), params.scale), (20_000.0, "V", Some(0.5)));
    for (protocol, chunk_rows) in [(Protocol::Inproc, 7), (Protocol::Shm, 100), (Protocol::Tcp, 999)] {
        if protocol == Protocol::Tcp && !cfg!(feature = "zmq") {
            continue;
        }
        // From 100 to 350, three times, at its recorded rate.
        let config = ReplayConfig {
            rate: None,
            first_row: 100,
            end_row: Some(350),
            loops: 3,
            chunk_rows: Some(chunk_rows),
            threads: 3,
        };
        let began = Instant::now();
        let (replay, mut input) = play(&dataset, protocol, &config);
        assert!(receive(&mut input, 750) == rows[1600..5600].repeat(3), "{protocol:?}");
        // The last of 750 is due by then.
        assert!(began.elapsed() >= Duration::from_micros(37_500));
        assert_eq!(replay.wait(GUARD), Some(State::Ended));
        assert_eq!((replay.stats().rows, replay.stats().loops), (750, 3));
        // And again.
        replay.start().unwrap();
        assert!(receive(&mut input, 1500) == rows[1600..5600].repeat(3));
    }
}

#[test]
fn a_replay_stops_at_any_time() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, rows) = numbers(&folder.path().join("numbers.h5"));
    // For ever, as fast as can be.
    let (replay, mut input) = play(&dataset, Protocol::Inproc, &ReplayConfig { loops: 0, ..FAST });
    let some = receive(&mut input, 5000);
    assert!(some.iter().eq(rows.iter().cycle().take(some.len())));
    assert_eq!(replay.start().unwrap_err().kind(), ErrorKind::State);
    assert_eq!(replay.wait(Wait::No), None);
    replay.stop();
    assert_eq!(replay.state(), State::Stopped);
    // Nobody takes anything any more: it waits, and stops nevertheless.
    replay.start().unwrap();
    let rows = || replay.stats().rows;
    loop {
        let before = rows();
        std::thread::sleep(Duration::from_millis(20));
        if before > 5000 && rows() == before {
            break;
        }
    }
    replay.stop();
    assert_eq!(replay.state(), State::Stopped);
    // One row in years.
    drop(input);
    let slow = ReplayConfig { rate: Some(1e-9), ..FAST };
    let (replay, _input) = play(&dataset, Protocol::Inproc, &slow);
    replay.stop();
    assert_eq!((replay.state(), replay.stats().rows), (State::Stopped, 0));
}

#[test]
fn what_cannot_be_played_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.h5");
    let recorder =
        Recorder::new(RecordConfig::new(&path, "d", parse_dtype("<f4").unwrap(), &[2]), None).unwrap();
    recorder.put_rows(&[0; 80], None, GUARD).unwrap();
    recorder.stop().unwrap();
    let dataset = Dataset::open(&File::open(&path).unwrap(), "d").unwrap();
    let output = |dtype: &str, shape: &[i64]| {
        let params = Params::new(parse_dtype(dtype).unwrap(), shape);
        ends(Params { protocol: Protocol::Inproc, ..params }).0
    };
    let says = |config: ReplayConfig, output: SharedOutput, words: &str| {
        let error = Replay::to_stream(dataset.clone(), &config, output).err().unwrap();
        assert!(error.kind() == ErrorKind::Invalid && error.message().contains(words), "{error}");
    };
    let fits = || output("<f4", &[-1, 2]);
    says(ReplayConfig::default(), fits(), "rate must be given: dataset d has no attribute sample_rate");
    says(ReplayConfig { rate: Some(0.0), ..FAST }, fits(), "rate must be positive (got 0)");
    says(ReplayConfig { threads: 0, ..FAST }, fits(), "threads must be between 1 and 4096 (got 0)");
    says(ReplayConfig { chunk_rows: Some(0), ..FAST }, fits(), "chunk_rows must be at least 1 (got 0)");
    says(ReplayConfig { first_row: 10, ..FAST }, fits(), "within 0 to 10 of dataset d (got 10 to 10)");
    says(ReplayConfig { end_row: Some(11), ..FAST }, fits(), "(got 0 to 11)");
    says(
        FAST,
        output("<f4", &[-1, 3]),
        "shape [2] and type <f4, 8 bytes, as dataset d (got [3] and <f4, 12 bytes)",
    );
    says(FAST, output("<f8", &[-1, 2]), "(got [2] and <f8, 16 bytes)");
}

#[test]
fn a_recorded_stream_is_played_as_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for (number, dtype) in ["|b1", "<c8", ">c16", "<M8[us]", "<U3", r#"[["t", "<u8"], ["z", "<c8", [2]]]"#]
        .into_iter()
        .enumerate()
    {
        let path = folder.path().join(format!("{number}.h5"));
        let params = Params::new(parse_dtype(dtype).unwrap(), &[-1, 3]);
        let params = Params { protocol: Protocol::Inproc, streamtype: "event".into(), ..params };
        let (output, input) = ends(params);
        let config = RecordConfig::of_stream(&path, "data", &output.params());
        let recorder = StreamRecorder::start(config, SharedInput::new(input)).unwrap();
        let size = output.params().frame_size();
        let data: Vec<u8> = (0..size * 50).map(|i| (i % 2) as u8).collect();
        let layout = aqueduct::signal::array::Layout::c_order(size / 3, &[50, 3]).unwrap();
        // SAFETY: the data is of that layout.
        unsafe { output.lock().send(data.as_ptr(), &layout, None, GUARD) }.unwrap();
        // It waits in the input: a stop records that still.
        recorder.stop().unwrap();
        assert_eq!(recorder.stats().rows_written, 50);
        let dataset = Dataset::open(&File::open(&path).unwrap(), "data").unwrap();
        let played = stream_params(&dataset).unwrap();
        assert_eq!(
            (&played.dtype, &played.shape),
            (&output.source().dtype, &output.source().shape),
            "{dtype}"
        );
        assert_eq!(played.streamtype, "event");
        let (_replay, mut input) = play(&dataset, Protocol::Inproc, &ReplayConfig { rate: None, ..FAST });
        // One frame per second was recorded, and one is enough to be seen.
        let _ = input.receive(Wait::No).map_err(|e| assert!(matches!(e, NoChunk::Empty)));
        let (_replay, mut input) = play(&dataset, Protocol::Inproc, &FAST);
        assert!(receive(&mut input, 50) == data, "{dtype}");
    }
}

fn chunk(data: usize, present: usize, extra: usize) -> Box<Chunk> {
    let mut chunk = Chunk::allocate(&HeapAllocator, data, present, extra).unwrap();
    chunk.data.zero();
    Box::new(chunk)
}

fn rings() -> (Arc<ChunkRing>, Arc<ChunkRing>) {
    (Arc::new(ChunkRing::new(8).unwrap()), Arc::new(ChunkRing::new(8).unwrap()))
}

/// Number, flags and data of all chunks.
fn all(data: &ChunkRing, free: &ChunkRing) -> Vec<(i64, Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        match data.get(GUARD) {
            Ok(chunk) => {
                // SAFETY: both are zeroed or written.
                let (flags, bytes) = unsafe { (chunk.present.as_slice(), chunk.data.as_slice()) };
                found.push((chunk.id, flags.to_vec(), bytes.to_vec()));
                free.put(chunk, Wait::No).unwrap();
            }
            Err(GetError::Stopped) => return found,
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn chunks_are_recorded_and_played_with_their_numbers_and_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chunks.h5");
    let (data, free) = rings();
    let config = RecordConfig {
        block_rows: Some(16),
        present_size: 4,
        extra_size: 2,
        packing: Packing { compression: Compression::Zstd(1), shuffle: false },
        queue_blocks: 2,
        ..RecordConfig::new(&path, "data", parse_dtype("<u2").unwrap(), &[4])
    };
    let recorder = RingRecorder::start(config, data.clone(), Some(free.clone())).unwrap();
    data.add_producer();
    let mut sent = Vec::new();
    for (number, id) in [100, 101, 105, 106, 107].into_iter().enumerate() {
        let mut chunk = chunk(128, 4, 2);
        chunk.id = id;
        let (flags, bytes) = ([1, 0, number as u8 & 1, 1], [number as u8 + 1; 128]);
        assert!(
            chunk.present.write(0, &flags)
                && chunk.data.write(0, &bytes)
                && chunk.extra.write(0, &[number as u8, 7])
        );
        data.put(chunk, GUARD).unwrap();
        sent.push((id, flags.to_vec(), bytes.to_vec()));
    }
    data.remove_producer().unwrap();
    recorder.wait(GUARD).unwrap().unwrap();
    assert_eq!(recorder.stats().rows_written, 80);
    assert_eq!(free.size(), 5, "all are back");
    let file = File::open(&path).unwrap();
    let dataset = Dataset::open(&file, "data").unwrap();
    assert_eq!(dataset.shape(), [80, 4]);
    let extra = Dataset::open(&file, "data_extra").unwrap();
    assert_eq!((extra.shape(), extra.rows()), (&[5, 2][..], 5));
    // Twice, at a rate; the numbers go on.
    let (data, free) = rings();
    for _ in 0..3 {
        free.put(chunk(128, 4, 2), Wait::No).unwrap();
    }
    let config = ReplayConfig { rate: Some(4000.0), loops: 2, ..FAST };
    let replay = Replay::to_ring(dataset.clone(), &config, data.clone(), free.clone()).unwrap();
    replay.start().unwrap();
    let again = sent.iter().map(|(id, flags, bytes)| (id + 8, flags.clone(), bytes.clone()));
    assert_eq!(all(&data, &free), sent.iter().cloned().chain(again).collect::<Vec<_>>());
    assert_eq!(replay.wait(GUARD), Some(State::Ended));
    // A dataset that nobody noted anything of, in blocks of our own: the last is not full.
    let (data, free) = rings();
    free.put(chunk(24 * 8, 3, 0), Wait::No).unwrap();
    let config = ReplayConfig { chunk_rows: Some(24), ..FAST };
    let replay = Replay::to_ring(dataset.clone(), &config, data.clone(), free.clone()).unwrap();
    replay.start().unwrap();
    let found = all(&data, &free);
    assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!((&found[0].1, &found[3].1), (&vec![1, 1, 1], &vec![1, 0, 0]));
    let mut bytes: Vec<u8> = found.into_iter().flat_map(|found| found.2).collect();
    assert!(
        bytes.split_off(640) == [0; 128]
            && bytes == sent.into_iter().flat_map(|sent| sent.2).collect::<Vec<_>>()
    );
    // Too small.
    let (data, free) = rings();
    free.put(chunk(8, 3, 0), Wait::No).unwrap();
    let replay = Replay::to_ring(dataset, &FAST, data, free).unwrap();
    replay.start().unwrap();
    let Some(State::Failed(error)) = replay.wait(GUARD) else { panic!() };
    assert_eq!(error.message(), "replay: a free chunk must have 128 bytes of data (got 8)");
}
