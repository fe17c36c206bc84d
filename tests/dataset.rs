//! Rows of datasets, of files in every layout x filter x type x rank that h5py and PyTables write: the bytes must be numpy's, and the way that they are read by
//! the expected one. What cannot be streamed is an error that says why.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "hdf5")]

mod h5;
mod peer;

use aqueduct::dataset::{Axis, Dataset, File, PathKind, Reader, Selection};
use aqueduct::error::ErrorKind;
use h5::Case;

fn read(reader: &mut Reader, rows: std::ops::Range<u64>) -> Vec<u8> {
    // Anything that is not written shows.
    let mut to = vec![0xa5; (rows.end - rows.start) as usize * reader.row_size()];
    reader.read(rows.clone(), &mut to).unwrap_or_else(|e| panic!("{rows:?}: {e}"));
    to
}

fn check(case: &Case) {
    let title = case.title();
    let file = File::open(&case.file).unwrap();
    let dataset = Dataset::open(&file, &case.name).unwrap_or_else(|e| panic!("{title}: {e}"));
    assert_eq!(
        dataset.path_kind().to_string(),
        case.line["way"].as_str().unwrap(),
        "{title}: {}",
        dataset.path_reason()
    );
    assert_eq!(
        dataset.path_reason().is_empty(),
        matches!(dataset.path_kind(), PathKind::Contiguous | PathKind::Chunks)
    );
    let expected = case.expected(None);
    let mut reader = Reader::new(&dataset, None, false).unwrap();
    if let Some(rows) = case.line["rows"].as_array() {
        assert!(
            read(&mut reader, rows[0].as_u64().unwrap()..rows[1].as_u64().unwrap()) == expected,
            "{title}"
        );
        return;
    }
    let shape: Vec<u64> =
        case.line["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect();
    assert_eq!(dataset.shape(), shape, "{title}");
    let (all, size) = (dataset.rows(), reader.row_size());
    assert!(read(&mut reader, 0..all) == expected, "{title}: all rows");
    // Steps that no chunk divides, forwards and by a reader that remembers.
    for step in [1, 7, 33].into_iter().filter(|&step| step > 1 || all < 64) {
        let parts: Vec<u8> = (0..all)
            .step_by(step)
            .flat_map(|at| read(&mut reader, at..(at + step as u64).min(all)))
            .collect();
        assert!(parts == expected, "{title}: {step} rows at a time");
    }
    let (from, to) = (all / 3, all - all / 5);
    assert!(
        read(&mut reader, from..to) == expected[from as usize * size..to as usize * size],
        "{title}: {from}..{to}"
    );
    for name in case.fields() {
        let mut column = Reader::new(&dataset, Some(name), false).unwrap();
        let expected = case.expected(Some(name));
        assert!(read(&mut column, 0..all) == expected, "{title}: field {name}");
        let size = column.row_size();
        assert!(
            read(&mut column, from..to) == expected[from as usize * size..to as usize * size],
            "{title}: {name}"
        );
    }
    let dtype = case.line["dtype"].as_str().unwrap();
    if let Some(size) = dtype.strip_prefix('>').and_then(|kind| kind[1..].parse::<usize>().ok()) {
        let mut reader = Reader::new(&dataset, None, true).unwrap();
        let mut swapped = expected;
        swapped.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        assert!(read(&mut reader, 0..all) == swapped, "{title}: native");
    }
}

/// Selections of rows and of parts of rows, against picking them from numpy's bytes one by one.
fn selections(cases: &[Case]) {
    let slice = |start, stop, step| Axis::Slice { start, stop, step };
    let rows = [
        Axis::Index(-3),
        slice(None, None, -1),
        slice(Some(5), Some(-5), 3),
        Axis::List(vec![9, 3, 4, 5, -1, 4]),
        slice(Some(17), Some(4), -6),
        slice(Some(2), Some(-1), 2),
        // Of as many rows as there are.
        Axis::Mask(Vec::new()),
    ];
    let names = [
        "filters/gzip_shuffle/61x43_10x8",
        "filters/none/21x9x7_4x5x7",
        "contiguous/<i2",
        "compact",
        "filters/zstd/1003_100",
    ];
    for case in cases.iter().filter(|case| names.contains(&&*case.name)) {
        let dataset = Dataset::open(&File::open(&case.file).unwrap(), &case.name).unwrap();
        let (shape, data) = (dataset.shape(), case.expected(None));
        let mut reader = Reader::new(&dataset, None, false).unwrap();
        let size = reader.element_size();
        for axis in &rows {
            let axis = match axis {
                Axis::Mask(_) => &Axis::Mask((0..shape[0]).map(|i| i * 7 % 3 == 1).collect()),
                axis => axis,
            };
            for inner in [Axis::All, Axis::Index(1), slice(Some(2), None, -1), Axis::List(vec![2, 1, 1])] {
                let axes = if shape.len() > 1 { vec![axis.clone(), inner] } else { vec![axis.clone()] };
                let mut flat: Vec<u64> = vec![0];
                for (axis, &n) in shape.iter().enumerate() {
                    let n = n as i64;
                    let wanted: Vec<i64> = match axes.get(axis).unwrap_or(&Axis::All) {
                        Axis::All => (0..n).collect(),
                        Axis::Index(i) => vec![(i + n) % n],
                        Axis::Mask(mask) => (0..n).filter(|&i| mask[i as usize]).collect(),
                        Axis::List(list) => list.iter().map(|i| (i + n) % n).collect(),
                        // None of these reaches an end but the middle one.
                        Axis::Slice { start: None, .. } => (0..n).rev().collect(),
                        Axis::Slice { start: Some(from), stop, step } => {
                            let stop = stop.map_or(-1, |stop| if stop < 0 { stop + n } else { stop });
                            (0..n)
                                .map(|i| from + i * step)
                                .take_while(|&i| if *step > 0 { i < stop } else { i > stop })
                                .collect()
                        }
                    };
                    flat = flat
                        .iter()
                        .flat_map(|at| wanted.iter().map(move |&i| at * n as u64 + i as u64))
                        .collect();
                }
                let expected: Vec<u8> =
                    flat.iter().flat_map(|&at| data[at as usize * size..][..size].to_vec()).collect();
                let selection = Selection { axes };
                let mut to = vec![0; expected.len() + 1];
                let found = reader.select(&selection, &mut to).unwrap();
                assert_eq!(found, selection.shape(shape).unwrap());
                assert_eq!(found.iter().product::<u64>() as usize * size, expected.len(), "{selection:?}");
                assert!(to[..expected.len()] == expected, "{}: {selection:?}", case.title());
                let error = reader.select(&selection, &mut to[..expected.len() - 1]).unwrap_err();
                assert!(error.message().contains("elements must have"), "{error}");
            }
        }
    }
}

#[test]
fn every_dataset_has_numpys_bytes() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cases = h5::files(&python, folder.path());
    assert!(cases.len() > 900, "{} datasets", cases.len());
    cases.iter().for_each(check);
    selections(&cases);
    let record = cases.iter().find(|case| case.name == "records/gzip_shuffle").unwrap();
    let dataset = Dataset::open(&File::open(&record.file).unwrap(), &record.name).unwrap();
    let dtype = "{time: <f8, n: <u4, flag: |i1, wave: (3,2,)<i2, name: |S7, z: {r: <f4, i: <f4}, big: >i4}";
    assert_eq!(dataset.dtype().to_string(), dtype);
    let error = Reader::new(&dataset, Some("none"), false).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let mut reader = Reader::new(&dataset, None, false).unwrap();
    let error = reader.read(0..258, &mut []).unwrap_err();
    assert!(error.message().contains("rows must be within 0 to 257 (got 0 to 258)"), "{error}");
    let error = reader.read(0..2, &mut [0; 10]).unwrap_err();
    assert!(error.message().contains("memory for rows must have"), "{error}");

    for file in ["earliest.h5", "v110.h5"] {
        let file = File::open(&folder.path().join(file)).unwrap();
        let says = |name: &str, kind: ErrorKind, words: &str| {
            let error = Dataset::open(&file, name).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains(words) && error.message().contains(name), "{error}");
        };
        says("scalar", ErrorKind::Unsupported, "one element and no axes");
        says("texts", ErrorKind::Unsupported, "variable length");
        says("null", ErrorKind::Unsupported, "no elements");
        says("nothing", ErrorKind::NotFound, "nothing");
        says("group", ErrorKind::Format, "not a dataset");
        says("with\0zero", ErrorKind::Format, "zero byte");
        if file.path().ends_with("v110.h5") {
            let dataset = Dataset::open(&file, "blosc2").unwrap();
            assert_eq!(dataset.path_kind(), PathKind::Library);
            assert!(dataset.path_reason().contains("filter 32026 (blosc2"), "{}", dataset.path_reason());
            let error = Reader::new(&dataset, None, false).unwrap().read(0..1, &mut [0; 40]).unwrap_err();
            assert!(error.message().contains("libhdf5, which must read it since its chunks are packed by what we cannot unpack: filter 32026"), "{error}");
        }
        let empty = Dataset::open(&file, "empty").unwrap();
        assert!(empty.is_empty());
        Reader::new(&empty, None, false).unwrap().read(0..0, &mut []).unwrap();
    }
}
