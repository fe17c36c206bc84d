//! Streams of datasets: the order and the boundaries of blocks are those of multitables (as the specification has them; it is not run here), the bytes numpy's.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.
#![cfg(feature = "hdf5")]

mod h5;
mod peer;

use std::collections::BTreeMap;
use std::sync::Arc;

use aqueduct::dataset::{BlockQueue, Dataset, File, RowError, RowIter, StreamConfig, remainder, stream};
use aqueduct::error::ErrorKind;
use aqueduct::ring::{GetError, Wait};
use h5::Case;

/// Blocks by their number: first row, and bytes.
fn blocks(queue: &BlockQueue, most: usize) -> BTreeMap<u64, (u64, Vec<u8>)> {
    let mut blocks = BTreeMap::new();
    while blocks.len() < most {
        match queue.get(Wait::Forever) {
            Ok(block) => {
                let old = blocks.insert(block.number(), (block.first_row(), block.data().unwrap().to_vec()));
                assert!(old.is_none(), "block {} twice", block.number());
            }
            Err(reason) => {
                assert_eq!(reason, GetError::Stopped);
                break;
            }
        }
    }
    blocks
}

/// What multitables makes of `rows` with that many bytes each: first rows and bytes of up to `most` blocks.
fn expected(
    data: &[u8],
    rows: usize,
    config: &StreamConfig,
    block: usize,
    most: usize,
) -> Vec<(u64, Vec<u8>)> {
    let size = data.len() / rows;
    let block = block.min(rows);
    let (mut made, mut at) = (Vec::new(), 0);
    while made.len() < most {
        if at + block <= rows {
            made.push((at as u64, data[at * size..(at + block) * size].to_vec()));
            at += block;
        } else if config.cyclic {
            // At the very end multitables begins anew: the block has no rows before the joint.
            let left = rows - at;
            let joined = [&data[at * size..], &data[..(block - left) * size]].concat();
            made.push((if left == 0 { 0 } else { at as u64 }, joined));
            at = block - left;
        } else {
            if config.remainder && at < rows {
                made.push((at as u64, data[at * size..].to_vec()));
            }
            break;
        }
    }
    made
}

fn check(case: &Case, dataset: &Arc<Dataset>, config: &StreamConfig) {
    let title = format!("{} {config:?}", case.title());
    let queue = stream(dataset, config).unwrap_or_else(|e| panic!("{title}: {e}"));
    let data = case.expected(config.field.as_deref());
    let rows = dataset.rows() as usize;
    let block = config.block_rows.unwrap_or(dataset.default_block_rows()) as usize;
    assert_eq!(queue.block_rows() as usize, block.min(rows), "{title}");
    let most = 3 * rows.div_ceil(block) + 2;
    let expected = expected(&data, rows, config, block, 2 * most);
    let found = blocks(&queue, most);
    assert_eq!(found.len(), most.min(expected.len()), "{title}");
    for (number, found) in found {
        // Without order a thread may be behind the others by any number of blocks.
        let expected = expected.get(number as usize);
        assert!(expected == Some(&found) || !config.ordered && expected.is_none(), "{title}: block {number}");
    }
    if !config.cyclic {
        assert_eq!(queue.get(Wait::Forever).unwrap_err(), GetError::Stopped, "{title}");
        let (progress, bytes) = (queue.progress(), expected.iter().map(|block| block.1.len()).sum::<usize>());
        assert_eq!(progress.rows_done as usize, bytes / (data.len() / rows), "{title}");
        assert_eq!((progress.blocks_done as usize, progress.blocks_failed), (expected.len(), 0), "{title}");
    }
}

#[test]
fn blocks_have_the_boundaries_of_multitables_and_numpys_bytes() {
    let Some(python) = peer::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let cases = h5::files(&python, folder.path());
    let chosen = |case: &&Case| {
        ["sparse/fill", "compact", "records/gzip_shuffle", "enum", "table3", "carray1", "earray2", "array"]
            .contains(&&*case.name)
            || case.name.starts_with("filters/gzip_shuffle/")
            || case.name.starts_with("filters/none/")
            || case.name.starts_with("contiguous/<")
    };
    let cases: Vec<&Case> = cases.iter().filter(chosen).collect();
    assert!(cases.len() > 60, "{}", cases.len());
    for case in &cases {
        let dataset = Dataset::open(&File::open(&case.file).unwrap(), &case.name).unwrap();
        let rows = dataset.rows();
        for (i, block_rows) in
            [None, Some(1), Some(7), Some(rows / 2 + 1), Some(2 * rows)].into_iter().enumerate()
        {
            for (cyclic, rest) in [(false, false), (false, true), (true, false)] {
                let config = StreamConfig {
                    threads: 1 + i % 3,
                    read_ahead: if i == 4 { Some(1) } else { None },
                    cyclic,
                    block_rows,
                    ordered: i % 2 == 0,
                    field: case.fields().nth(i).map(str::to_owned),
                    remainder: rest,
                    native: false,
                };
                check(case, &dataset, &config);
            }
        }
        let data = case.expected(None);
        for block in [1, 7, rows, 2 * rows] {
            let rest = (rows % block) as usize * (data.len() / rows as usize);
            assert!(
                remainder(&dataset, block, None, false).unwrap() == data[data.len() - rest..],
                "{}",
                case.title()
            );
        }
    }
    // Default sizes: a row of chunks, or 128 KiB, or what there is.
    let open = |name: &str| {
        let case = cases.iter().find(|case| case.name == name && case.file.ends_with("earliest.h5")).unwrap();
        (Dataset::open(&File::open(&case.file).unwrap(), name).unwrap(), case.expected(None))
    };
    assert_eq!(open("filters/none/61x43_10x8").0.default_block_rows(), 10);
    assert_eq!(open("filters/none/50_64").0.default_block_rows(), 50);
    assert_eq!(open("contiguous/<f8").0.default_block_rows(), 203);

    // Row by row, the remainder included.
    let (dataset, data) = open("filters/gzip_shuffle/61x43_10x8");
    let config = StreamConfig { ordered: true, remainder: true, ..StreamConfig::default() };
    let mut rows = RowIter::new(stream(&dataset, &config).unwrap());
    let mut found = Vec::new();
    let mut next = 0;
    let end = loop {
        match rows.next(Wait::Forever) {
            Ok((number, row)) => {
                assert_eq!(number, next);
                next += 1;
                found.extend_from_slice(row);
            }
            Err(reason) => break reason,
        }
    };
    assert_eq!(end, RowError::None(GetError::Stopped));
    assert!(found == data);

    let refused = |config: StreamConfig, words: &str| {
        let error = stream(&dataset, &config).unwrap_err();
        assert!(error.message().contains(words), "{error}");
        error.kind()
    };
    let config = StreamConfig::default();
    let some = |n| Some(n);
    assert_eq!(refused(StreamConfig { threads: 0, ..config.clone() }, "4096 (got 0)"), ErrorKind::Invalid);
    assert_eq!(
        refused(StreamConfig { read_ahead: some(0), ..config.clone() }, "read_ahead must be at least 1"),
        ErrorKind::Invalid
    );
    assert_eq!(
        refused(StreamConfig { block_rows: Some(0), ..config.clone() }, "block_size must be at least 1"),
        ErrorKind::Invalid
    );
    assert_eq!(
        refused(StreamConfig { field: Some("x".into()), ..config.clone() }, "(got x)"),
        ErrorKind::NotFound
    );
    let empty = Dataset::open(dataset.file(), "empty").unwrap();
    assert!(
        stream(&empty, &config).unwrap_err().message().contains("must have rows to be streamed (got [0, 4])")
    );
    assert!(remainder(&empty, 3, None, false).unwrap().is_empty());
}
