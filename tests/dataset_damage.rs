//! Damaged files: what is damaged is an error of the blocks that it concerns, and of no others; nothing panics, and nothing takes memory that the file has
//! no bytes for.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure. `AQ_DAMAGE_CASES` sets how many
//! damaged files are read of each kind.
#![cfg(feature = "hdf5")]

mod h5;
mod peer;
#[path = "support/rng.rs"]
mod rng;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use aqueduct::dataset::{Dataset, File, PathKind, StreamConfig, stream};
use aqueduct::error::{ErrorKind, Result};
use aqueduct::ring::Wait;
use h5::Case;
use rng::Rng;

const CHUNK_ROWS: u64 = 4;

fn cases() -> Option<(&'static Path, &'static [Case])> {
    static MADE: OnceLock<Option<(tempfile::TempDir, Vec<Case>)>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let python = peer::python()?;
        let folder = tempfile::tempdir().unwrap();
        let cases = h5::files(&python, folder.path());
        Some((folder, cases.into_iter().filter(|case| case.line["places"].is_array()).collect()))
    });
    made.as_ref().map(|(folder, cases)| (folder.path(), &cases[..]))
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |value| value.parse().unwrap())
}

/// Reads a dataset block by block, a row of chunks each: `None` for a block that is an error of the file.
fn read(path: &Path, name: &str) -> Result<Vec<Option<Vec<u8>>>> {
    let dataset = Dataset::open(&File::open(path)?, name)?;
    assert_eq!(dataset.path_kind(), PathKind::Chunks);
    let config =
        StreamConfig { threads: 2, ordered: true, block_rows: Some(CHUNK_ROWS), ..StreamConfig::default() };
    let queue = stream(&dataset, &config)?;
    let mut blocks = Vec::new();
    while let Ok(block) = queue.get(Wait::Forever) {
        blocks.push(match block.data() {
            Ok(data) => Some(data.to_vec()),
            Err(error) => {
                let kind = error.kind();
                assert!(matches!(kind, ErrorKind::Format | ErrorKind::Truncated), "{kind:?}: {error}");
                assert!(error.message().contains("the chunk of elements ["), "{error}");
                None
            }
        });
    }
    Ok(blocks)
}

fn places(case: &Case) -> Vec<(usize, usize)> {
    let places = case.line["places"].as_array().unwrap().iter();
    places.map(|place| (place[0].as_u64().unwrap() as usize, place[1].as_u64().unwrap() as usize)).collect()
}

/// Byte ranges of the nodes that chunks are indexed by, without the number of children and the filter masks: other values of these can be right.
fn index_bytes(file: &[u8]) -> Vec<usize> {
    const KEY: usize = 8 + 8 * 3;
    let mut bytes = Vec::new();
    for at in 0..file.len() - 24 {
        if file[at..].starts_with(b"TREE\x01") {
            bytes.extend(at..at + 6);
            for entry in 0..usize::from(u16::from_le_bytes([file[at + 6], file[at + 7]])) {
                let key = at + 24 + entry * (KEY + 8);
                bytes.extend((key..key + 4).chain(key + 8..key + KEY - 8).chain(key + KEY..key + KEY + 8));
            }
        }
    }
    bytes
}

#[test]
fn a_bit_in_a_chunk_is_an_error_of_its_block() {
    let Some((folder, cases)) = cases() else { return };
    let mut rng = Rng(1);
    let path = folder.join("flipped.h5");
    for case in cases {
        let (whole, places) = (case.expected(None), places(case));
        let good: Vec<&[u8]> = whole.chunks(whole.len() / places.len()).collect();
        let original = fs::read(&case.file).unwrap();
        for _ in 0..number("AQ_DAMAGE_CASES", 20) {
            let mut file = original.clone();
            let damaged = rng.below(places.len());
            let (at, size) = places[damaged];
            file[at + rng.below(size)] ^= 1 << rng.below(8);
            fs::write(&path, &file).unwrap();
            let blocks = read(&path, &case.name).unwrap();
            assert_eq!(blocks.len(), good.len());
            for (i, block) in blocks.iter().enumerate() {
                if i != damaged {
                    assert!(
                        block.as_deref() == Some(good[i]),
                        "{}: block {i}, damaged {damaged}",
                        case.title()
                    );
                } else if case.line["checked"] == true {
                    assert_eq!(*block, None, "{}: block {i}", case.title());
                }
            }
        }
    }
}

#[test]
fn bits_in_the_index_are_errors_and_no_wrong_rows() {
    let Some((folder, cases)) = cases() else { return };
    let mut rng = Rng(2);
    let path = folder.join("index.h5");
    let case = cases.iter().find(|case| case.name == "/gzip_True").unwrap();
    let whole = case.expected(None);
    let good: Vec<&[u8]> = whole.chunks(whole.len() / places(case).len()).collect();
    let original = fs::read(&case.file).unwrap();
    let index = index_bytes(&original);
    let (mut right, mut wrong) = (0, 0);
    for _ in 0..10 * number("AQ_DAMAGE_CASES", 20) {
        let mut file = original.clone();
        for _ in 0..1 + rng.below(20) {
            file[index[rng.below(index.len())]] ^= 1 << rng.below(8);
        }
        fs::write(&path, &file).unwrap();
        for (i, block) in read(&path, &case.name).unwrap().into_iter().enumerate() {
            match block {
                Some(block) => {
                    assert!(block == good[i], "block {i}");
                    right += 1;
                }
                None => wrong += 1,
            }
        }
    }
    assert!(right > wrong && wrong > 100, "{right} right, {wrong} wrong");
}

#[test]
fn a_file_that_is_cut_off_is_refused_or_ends_where_it_was_cut() {
    let Some((folder, cases)) = cases() else { return };
    let case = cases.iter().find(|case| case.name == "/plain_True").unwrap();
    let original = fs::read(&case.file).unwrap();
    let path = folder.join("cut.h5");
    fs::write(&path, &original[..original.len() / 2]).unwrap();
    let error = File::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
    assert!(error.message().contains("truncated"), "{error}");

    // Cut off while it is open.
    fs::write(&path, &original).unwrap();
    let dataset = Dataset::open(&File::open(&path).unwrap(), &case.name).unwrap();
    let (places, whole) = (places(case), case.expected(None));
    let cut = places[70].0 + 5;
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut as u64).unwrap();
    let config = StreamConfig { ordered: true, block_rows: Some(CHUNK_ROWS), ..StreamConfig::default() };
    let queue = stream(&dataset, &config).unwrap();
    for (place, good) in places.iter().zip(whole.chunks(whole.len() / places.len())) {
        let block = queue.get(Wait::Forever).unwrap();
        match block.data() {
            Ok(data) => assert!(data == good && place.0 + place.1 <= cut),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Truncated);
                assert!(place.0 + place.1 > cut, "{error}");
            }
        }
    }
    assert!(queue.progress().blocks_failed > 0);
}

/// Bits anywhere, also in what libhdf5 reads when it opens a file: no panic and no memory out of proportion is ours to see to, but libhdf5 1.10 may crash.
#[test]
#[ignore = "libhdf5 itself does not survive every file"]
fn bits_anywhere_are_errors_or_other_bytes() {
    let Some((folder, cases)) = cases() else { return };
    let mut rng = Rng(number("AQ_DAMAGE_SEED", 3));
    let path = folder.join("anywhere.h5");
    let original = fs::read(&cases[0].file).unwrap();
    let (mut refused, mut failed, mut read) = (0, 0, 0);
    for _ in 0..number("AQ_DAMAGE_CASES", 20) {
        let mut bytes = original.clone();
        for _ in 0..1 + rng.below(2000) {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
        }
        fs::write(&path, &bytes).unwrap();
        let Ok(file) = File::open(&path) else {
            refused += 1;
            continue;
        };
        for case in cases {
            let opened = Dataset::open(&file, &case.name);
            let config = StreamConfig { threads: 2, remainder: true, ..StreamConfig::default() };
            let Ok(queue) = opened.and_then(|dataset| stream(&dataset, &config)) else {
                refused += 1;
                continue;
            };
            // A dataset that claims to be endless is not read to its end.
            for _ in 0..1000 {
                let Ok(block) = queue.get(Wait::Forever) else { break };
                match block.data() {
                    Ok(_) => read += 1,
                    Err(error) => {
                        assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
                        failed += 1;
                    }
                }
            }
        }
    }
    println!("{refused} refused, {failed} blocks failed, {read} read");
}
