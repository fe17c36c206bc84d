//! Recorded files, as h5py reads them: every type and filter, blocks that rows do not fill, gaps of a stream, chunks of the receiver with what is missing in
//! them, files while they are written and after the writer was killed, full disks.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "hdf5")]

#[path = "h5/read.rs"]
mod h5;
mod peer;

use std::path::Path;
use std::time::Duration;

use aqueduct::dataset::record::{NotPut, RecordConfig, Recorder, StreamRecorder};
use aqueduct::dataset::{Compression, Packing};
use aqueduct::error::ErrorKind;
use aqueduct::ring::Wait;
use aqueduct::signal::array::Layout;
use aqueduct::signal::numpy::parse_dtype;
use aqueduct::signal::open::{InputConfig, OutputConfig};
use aqueduct::signal::params::{Params, Protocol};
use aqueduct::signal::shared::SharedInput;
use aqueduct::signal::{input::Input, output::Output};
use h5::Reading;

const GUARD: Wait = Wait::For(Duration::from_secs(60));

/// Bytes that no two rows share, and that pack somewhat.
fn bytes(count: usize) -> Vec<u8> {
    (0..count as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8).collect()
}

/// Bytes that are values of any type: zeros and ones.
fn bits(count: usize) -> Vec<u8> {
    bytes(count).into_iter().map(|byte| byte & 1).collect()
}

fn config(path: &Path, dtype: &str, row: &[usize]) -> RecordConfig {
    RecordConfig::new(path, "data", parse_dtype(dtype).unwrap(), row)
}

fn put_all(recorder: &Recorder, rows: &[u8], at_once: usize) {
    for part in rows.chunks(at_once * recorder.row_size()) {
        let taken = recorder.put_rows(part, None, GUARD).unwrap();
        assert_eq!(taken as usize, part.len() / recorder.row_size());
    }
}

#[test]
fn every_type_is_what_h5py_would_have_written() {
    let Some(python) = peer::python() else { return };
    let mut reading = Reading::start(&python);
    let folder = tempfile::tempdir().unwrap();
    let record = r#"[["t", "<u8"], ["", "|V3"], ["v", ">f4", [2, 3]], ["c", "<c8"], ["s", "|S5"], ["n", [["a", "|b1"], ["b", ">i2"]]]]"#;
    let shown = "{'names': ['t', 'v', 'c', 's', 'n'], 'formats': ['<u8', ('>f4', (2, 3)), '<c8', 'S5', [('a', '?'), ('b', '>i2')]], 'offsets': [0, 11, 35, 43, 48], 'itemsize': 51}";
    let cases = [
        ("|i1", "int8"),
        ("<i2", "int16"),
        (">i4", ">i4"),
        ("<i8", "int64"),
        ("|u1", "uint8"),
        (">u2", ">u2"),
        ("<u4", "uint32"),
        (">u8", ">u8"),
        ("<f2", "float16"),
        (">f2", ">f2"),
        ("<f4", "float32"),
        (">f8", ">f8"),
        ("<f16", "float128"),
        ("|b1", "bool"),
        ("<c8", "complex64"),
        (">c16", ">c16"),
        ("|S7", "|S7"),
        ("|V5", "|V5"),
        ("<M8[us]", "datetime64[us]"),
        ("<m8[ns]", "timedelta64[ns]"),
        (record, shown),
    ];
    for (number, (dtype, expected)) in cases.into_iter().enumerate() {
        let path = folder.path().join(format!("{number}.h5"));
        let config = RecordConfig { block_rows: Some(10), ..config(&path, dtype, &[3]) };
        let size = 3 * config.dtype.size();
        let rows = if dtype.contains("b1") { bits(37 * size) } else { bytes(37 * size) };
        let recorder = Recorder::new(config, None).unwrap();
        put_all(&recorder, &rows, 7);
        recorder.stop().unwrap();
        let found = reading.read(&path, "data");
        assert_eq!(found.line["dtype"], expected, "{dtype}");
        assert_eq!(found.line["shape"], serde_json::json!([37, 3]), "{dtype}");
        if dtype == record {
            // numpy does not keep what is between fields.
            for (a, b) in found.bytes.chunks_exact(51).zip(rows.chunks_exact(51)) {
                assert!(a[..8] == b[..8] && a[11..] == b[11..]);
            }
        } else if dtype.starts_with("|S") {
            let text =
                |bytes: &[u8]| bytes.iter().rposition(|&byte| byte != 0).map(|last| bytes[..=last].to_vec());
            assert!(found.bytes.chunks_exact(7).map(text).eq(rows.chunks_exact(7).map(text)));
        } else {
            assert!(found.bytes == rows, "{dtype}");
        }
    }
    for dtype in [">f16", "|S0"] {
        let path = folder.path().join("none.h5");
        let error = Recorder::new(config(&path, dtype, &[3]), None).err().unwrap();
        let kind = if dtype == "|S0" { ErrorKind::Invalid } else { ErrorKind::Unsupported };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!path.exists(), "{dtype}: a file that nobody has use for");
    }
}

#[test]
fn every_filter_is_read_by_h5py() {
    let Some(python) = peer::python() else { return };
    let mut reading = Reading::start(&python);
    let folder = tempfile::tempdir().unwrap();
    let smooth: Vec<u8> = (0..30_000u32).flat_map(|i| (i / 5).to_le_bytes()).collect();
    let mut seed = 7u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) as u8
    };
    let noise: Vec<u8> = (0..smooth.len()).map(|_| noise()).collect();
    for (compression, id) in [
        (Compression::None, None),
        (Compression::Deflate(1), Some(1)),
        (Compression::Deflate(6), Some(1)),
        (Compression::Lz4, Some(32004)),
        (Compression::Zstd(3), Some(32015)),
        (Compression::BloscLz4(5), Some(32001)),
        (Compression::BloscZstd(3), Some(32001)),
    ] {
        for shuffle in [false, true] {
            let packing = Packing { compression, shuffle };
            for (name, data) in [("smooth", &smooth), ("noise", &noise)] {
                let path = folder.path().join("packed.h5");
                // 1000 rows of 30 values in blocks of 64: the last has 40.
                let config = RecordConfig {
                    block_rows: Some(64),
                    packing,
                    overwrite: true,
                    ..config(&path, "<u4", &[5, 6])
                };
                let recorder = Recorder::new(config, None).unwrap();
                put_all(&recorder, data, 333);
                recorder.stop().unwrap();
                let stats = recorder.stats();
                let found = reading.read(&path, "data");
                assert!(found.bytes == *data, "{packing:?} {name}");
                assert_eq!(found.line["shape"], serde_json::json!([1000, 5, 6]));
                assert_eq!(found.line["chunks"], serde_json::json!([64, 5, 6]));
                let sorts = shuffle && id != Some(32001);
                let filters: Vec<i32> = sorts.then_some(2).into_iter().chain(id).collect();
                assert_eq!(found.line["filters"], serde_json::json!(filters), "{packing:?}");
                assert_eq!((stats.rows_written, stats.rows_lost, stats.bytes_written), (1000, 0, 120_000));
                if id.is_some() {
                    assert_eq!(stats.bytes_stored < 100_000, name == "smooth", "{packing:?} {name}");
                }
            }
        }
    }
}

fn stream(protocol: Protocol, dtype: &str, shape: &[i64]) -> (Output, SharedInput) {
    let mut params = Params { protocol, ..Params::new(parse_dtype(dtype).unwrap(), shape) };
    (params.sample_rate, params.units) = (2500.0, "µV".to_owned());
    (params.scale, params.offset) = (Some(0.195), Some(-3.0));
    let output = Output::open(params, &OutputConfig::default()).unwrap();
    let there = Params::from_json(&output.params().to_json()).unwrap();
    let input = SharedInput::new(Input::connect(there, &InputConfig::default()).unwrap());
    (output, input)
}

#[test]
fn a_stream_is_recorded_with_its_gaps_and_what_is_known_of_it() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream.h5");
    let (mut output, input) = stream(Protocol::Inproc, "<i2", &[-1, 4]);
    let config = RecordConfig::of_stream(&path, "raw/signal", &input.params());
    let config = RecordConfig { block_rows: Some(16), ..config };
    let recorder = StreamRecorder::start(config, input).unwrap();
    let data = bytes(8 * 100);
    let layout = Layout::c_order(2, &[10, 4]).unwrap();
    // 60 frames, then 5 that are not sent, then 40.
    for (number, part) in data.chunks(80).enumerate() {
        let index = 10 * (number as u64 + 1) + if number >= 6 { 5 } else { 0 };
        // SAFETY: the data is of that layout.
        unsafe { output.send(part.as_ptr(), &layout, Some(index), GUARD) }.unwrap();
    }
    // Its columns in memory first.
    let by_columns = Layout::ordered(2, &[10, 4], &[1, 0]).unwrap();
    let columns: Vec<u8> = (0..4).flat_map(|c| (0..10).flat_map(move |r| [r * 4 + c, 9])).collect();
    // SAFETY: the data is of that layout.
    unsafe { output.send(columns.as_ptr(), &by_columns, None, GUARD) }.unwrap();
    // Its end is that of the recording.
    drop(output);
    recorder.wait(GUARD).unwrap().unwrap();
    let mut reading = Reading::start(&python);
    let found = reading.read(&path, "raw/signal");
    let rows: Vec<u8> = data.iter().copied().chain((0..40).flat_map(|i| [i, 9])).collect();
    assert!(found.bytes == rows);
    let attrs = &found.line["attrs"];
    assert_eq!((&attrs["sample_rate"], &attrs["units"]), (&2500.0.into(), &"µV".into()));
    assert_eq!((&attrs["scale"], &attrs["offset"]), (&0.195.into(), &(-3.0).into()));
    assert_eq!(attrs["streamtype"], "analogsignal");
    assert_eq!(Params::from_json(attrs["stream_params"].as_str().unwrap()).unwrap().shape, [-1, 4]);
    assert_eq!(reading.read(&path, "raw/signal_segments").u64s(), [0, 0, 60, 65]);
    let ledger = reading.read(&path, "raw/signal_ledger").ledger();
    let has = |name: &str| ledger[name];
    assert_eq!((has("frames"), has("gaps"), has("missing_frames")), (110, 1, 5));
    assert_eq!((has("rows_given"), has("rows_written"), has("rows_lost")), (110, 110, 0));
    assert_eq!(recorder.stats().segments, 2);
}

#[test]
fn what_was_flushed_can_be_read_while_the_rest_is_written() {
    let Some(python) = peer::python() else { return };
    let mut reading = Reading::start(&python);
    let folder = tempfile::tempdir().unwrap();
    for swmr in [false, true] {
        for compression in [Compression::None, Compression::Deflate(1)] {
            let path = folder.path().join(format!("{swmr}-{compression:?}.h5"));
            let packing = Packing { compression, shuffle: true };
            let flush_interval = Duration::from_secs(3600);
            let config = RecordConfig {
                block_rows: Some(64),
                packing,
                swmr,
                flush_interval,
                ..config(&path, "<i4", &[8])
            };
            let recorder = Recorder::new(config, None).unwrap();
            let rows = bytes(1000 * 32);
            // Also in the middle of a block, again and again.
            let mut done = 0;
            for count in [10, 1, 53, 64, 100, 1, 1, 500] {
                put_all(&recorder, &rows[done * 32..][..count * 32], 1000);
                done += count;
                assert!(recorder.flush(GUARD).unwrap());
                let found = reading.try_read(&path, "data", swmr).unwrap();
                assert!(found.bytes == rows[..done * 32], "{done} rows, swmr {swmr}, {compression:?}");
                let stats = recorder.stats();
                assert_eq!((stats.rows_flushed, stats.rows_written), (done as u64, done as u64));
            }
            put_all(&recorder, &rows[done * 32..], 1000);
            recorder.stop().unwrap();
            assert!(reading.read(&path, "data").bytes == rows);
            assert_eq!(recorder.stats().bytes_written, 32_000);
        }
    }
}

#[test]
fn rows_come_into_the_file_by_themselves_in_time() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slow.h5");
    let flush_interval = Duration::from_millis(1);
    let config = RecordConfig { flush_interval, ..config(&path, "<i4", &[8]) };
    let recorder = Recorder::new(config, None).unwrap();
    for round in 1..=3 {
        put_all(&recorder, &bytes(32 * 5), 5);
        while recorder.stats().rows_flushed < round * 5 {
            std::thread::yield_now();
        }
    }
    let found = Reading::start(&python).read(&path, "data");
    assert_eq!(found.line["shape"], serde_json::json!([15, 8]));
    assert!(found.bytes == bytes(160).repeat(3));
}

#[test]
fn what_cannot_be_recorded_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("there.h5");
    let says = |config: RecordConfig, kind: ErrorKind, words: &str| {
        let error = Recorder::new(config, None).err().unwrap();
        assert!(error.kind() == kind && error.message().contains(words), "{error:?}");
    };
    std::fs::write(&path, "what is dear to somebody").unwrap();
    says(config(&path, "<i4", &[8]), ErrorKind::Io, "there.h5: File exists");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "what is dear to somebody");
    let missing = folder.path().join("none/new.h5");
    says(config(&missing, "<i4", &[8]), ErrorKind::Io, "none/new.h5: No such file or directory");
    let new = folder.path().join("new.h5");
    let good = config(&new, "<i4", &[8]);
    let invalid = |config: RecordConfig, words: &str| says(config, ErrorKind::Invalid, words);
    invalid(RecordConfig { threads: 0, ..good.clone() }, "threads must be between 1 and 4096 (got 0)");
    invalid(RecordConfig { queue_blocks: 1, ..good.clone() }, "queue_blocks must be at least 2 (got 1)");
    invalid(RecordConfig { block_rows: Some(0), ..good.clone() }, "block_rows must be at least 1 (got 0)");
    invalid(RecordConfig { block_rows: Some(1 << 30), ..good.clone() }, "a block must have at most");
    invalid(RecordConfig { dataset: "/".into(), ..good.clone() }, "dataset must be a path");
    invalid(RecordConfig { row_shape: vec![0], ..good.clone() }, "must be positive (got [0])");
    let packing = |compression| Packing { compression, shuffle: false };
    invalid(
        RecordConfig { packing: packing(Compression::Deflate(10)), ..good.clone() },
        "level must be 0 to 9 (got 10)",
    );
    invalid(
        RecordConfig { packing: packing(Compression::Zstd(0)), ..good.clone() },
        "level must be 1 to 19 (got 0)",
    );
    says(
        RecordConfig { row_shape: vec![1; 32], ..good.clone() },
        ErrorKind::Unsupported,
        "at most 32 axes (got 33)",
    );
    assert!(!new.exists());
    let recorder = Recorder::new(good, None).unwrap();
    let refused = |rows: &[u8], kind: ErrorKind, words: &str| match recorder.put_rows(rows, None, GUARD) {
        Err(NotPut::Failed(error)) => {
            assert!(error.kind() == kind && error.message().contains(words), "{error}")
        }
        other => panic!("{other:?}"),
    };
    refused(&[0; 33], ErrorKind::Invalid, "rows must be whole, of 32 bytes each (got 33 bytes)");
    recorder.stop().unwrap();
    refused(&[0; 32], ErrorKind::State, "it is stopped");
    assert_eq!(recorder.stats().rows_given, 0);
    recorder.stop().unwrap();
}
