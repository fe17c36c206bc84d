//! Tests of histories that one process has.

use super::*;
use crate::signal::numpy::parse_dtype;
use proptest::prelude::*;

pub(super) fn config(
    dtype: &str,
    frame_shape: &[usize],
    frames: usize,
    order: Option<&[usize]>,
) -> HistoryConfig {
    HistoryConfig {
        dtype: parse_dtype(dtype).unwrap(),
        frame_shape: frame_shape.to_vec(),
        frames,
        axisorder: order.map(<[usize]>::to_vec),
        fill: None,
    }
}

/// Appends `count` frames of `width` bytes whose elements tell their index.
pub(super) fn append(
    history: &History,
    width: usize,
    count: usize,
    index: Option<i64>,
) -> Result<Range<i64>> {
    let start = index.unwrap_or(history.index() + count as i64) - count as i64;
    let data: Vec<u8> = (0..count * width).map(|i| value(start + (i / width) as i64, i % width)).collect();
    let layout = Layout::c_order(1, &[count, width]).unwrap();
    // SAFETY: the data is of that layout.
    unsafe { history.append(data.as_ptr(), &layout, index) }
}

pub(super) fn value(index: i64, element: usize) -> u8 {
    (index * 3 + element as i64 * 101 + 1) as u8
}

pub(super) fn read(history: &History, width: usize, start: i64, stop: i64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; width * (stop - start).max(0) as usize];
    history.copy(start, stop, &mut bytes).map(|()| bytes)
}

#[test]
fn windows_gaps_and_bounds() {
    let history = History::new(&config("u1", &[2], 10, None)).unwrap();
    assert_eq!((history.index(), history.first_index()), (0, -10));
    assert_eq!(read(&history, 2, -10, 0).unwrap(), [0; 20]);
    assert_eq!(append(&history, 2, 3, None).unwrap(), 0..0);
    assert_eq!(append(&history, 2, 2, Some(9)).unwrap(), 3..7);
    assert_eq!((history.index(), history.first_index()), (9, -1));
    let mut expected = vec![0; 20];
    for index in [0, 1, 2, 7, 8] {
        for element in 0..2 {
            expected[(index + 1) as usize * 2 + element] = value(index, element);
        }
    }
    assert_eq!(read(&history, 2, -1, 9).unwrap(), expected);
    for (start, stop) in [(-2, 9), (0, 10), (5, 4)] {
        let error = history.window(start, stop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().contains("has frames -1 to 9"), "{error}");
    }
    assert!(append(&history, 2, 11, None).unwrap_err().message().contains("at most 10 frames (got 11)"));
    assert!(append(&history, 2, 1, Some(9)).unwrap_err().message().contains("at least 10"));
    assert!(append(&history, 3, 1, None).unwrap_err().message().contains("of shape [2]"));
    assert_eq!(read(&history, 2, -1, 9).unwrap(), expected);
    history.reset();
    assert_eq!(append(&history, 2, 1, None).unwrap(), 0..0);
    assert_eq!(history.index(), 1);
}

#[test]
fn what_was_overwritten_is_told() {
    let history = History::new(&config("u1", &[4096], 4, None)).unwrap();
    append(&history, 4096, 4, None).unwrap();
    let window = history.window(0, 4).unwrap();
    assert!(history.holds(window.stamp));
    append(&history, 4096, 1, None).unwrap();
    assert!(!history.holds(window.stamp));
    assert!(history.holds(history.window(1, 4).unwrap().stamp));
}

#[test]
fn a_gap_longer_than_the_ring_fills_it() {
    let history = History::new(&HistoryConfig { fill: Some(9.0), ..config("u1", &[1], 5, None) }).unwrap();
    append(&history, 1, 5, None).unwrap();
    assert_eq!(append(&history, 1, 1, Some(1_000_000_000_000)).unwrap(), 5..999_999_999_999);
    let last = value(999_999_999_999, 0);
    assert_eq!(read(&history, 1, 999_999_999_995, 1_000_000_000_000).unwrap(), [9, 9, 9, 9, last]);
}

#[test]
fn what_cannot_be_is_refused() {
    for (config, what) in [
        (config("u1", &[1], 0, None), "frames must be at least 1"),
        (config("u1", &[0], 1, None), "at least one byte"),
        (config("u1", &[1], 1, Some(&[0])), "axisorder must have each of the 2 axes once"),
        (config("u1", &[1], usize::MAX, None), "too large"),
        (config("f8", &[1 << 40, 1 << 20], 1 << 10, None), "no memory holds"),
    ] {
        let error = History::new(&config).err().unwrap();
        assert!(error.message().contains(what), "{error}");
    }
    // More than there is address space for.
    assert_eq!(
        History::new(&config("u1", &[1 << 20], 1 << 30, None)).err().unwrap().kind(),
        ErrorKind::NoMemory
    );
}

proptest! {
    /// Against a list of frames.
    #[test]
    fn any_chunks(
        width in 1usize..4,
        frames in 1usize..40,
        order in prop::sample::select(vec![None, Some(vec![0, 1]), Some(vec![1, 0])]),
        chunks in prop::collection::vec((0usize..40, 0i64..60), 0..20),
        windows in prop::collection::vec((0.0..1.0, 0.0..1.0), 4),
    ) {
        let history = History::new(&config("u1", &[width], frames, order.as_deref())).unwrap();
        // Index and element to value, of what was sent.
        let mut sent = std::collections::BTreeSet::new();
        for (count, gap) in chunks {
            let count = count.min(frames);
            let before = history.index();
            let index = before + gap + count as i64;
            prop_assert_eq!(append(&history, width, count, Some(index)).unwrap(), before..before + gap);
            sent.extend(before + gap..index);
        }
        let (first, last) = (history.first_index(), history.index());
        for (a, b) in windows {
            let at = |part: f64| first + (part * frames as f64).round() as i64;
            let (start, stop) = (at(a).min(at(b)), at(a).max(at(b)));
            let expected: Vec<u8> = (start..stop)
                .flat_map(|index| (0..width).map(move |element| (index, element)))
                .map(|(index, element)| if sent.contains(&index) { value(index, element) } else { 0 })
                .collect();
            prop_assert_eq!(read(&history, width, start, stop).unwrap(), expected);
        }
        prop_assert!(history.window(first - 1, last).is_err() && history.window(first, last + 1).is_err());
    }
}

#[test]
fn more_blocks_than_can_be_mapped_are_written_twice() {
    let history = History::new(&config("u1", &[2000], 3, Some(&[1, 0]))).unwrap();
    assert!(matches!(history.memory, Memory::Plain(_)));
    for _ in 0..10 {
        append(&history, 2000, 2, None).unwrap();
        let last = history.index();
        let window = read(&history, 2000, last - 3, last).unwrap();
        let expected: Vec<u8> = (last - 3..last)
            .flat_map(|index| (0..2000).map(move |element| if index < 0 { 0 } else { value(index, element) }))
            .collect();
        assert_eq!(window, expected);
    }
}

fn slice(history: &History, start: Option<i64>, stop: Option<i64>, step: i64) -> Result<Vec<u8>> {
    let window = history.slice(start, stop, step)?;
    let mut bytes = vec![0; window.layout.size()];
    history.copy_window(&window, &mut bytes)?;
    Ok(bytes)
}

#[test]
fn slices_as_numpy_has_them() {
    let history = History::new(&config("u1", &[1], 10, None)).unwrap();
    append(&history, 1, 10, Some(14)).unwrap();
    append(&history, 1, 1, None).unwrap();
    // Frames 5 to 15, by their index.
    let indices = |start, stop, step| -> Result<Vec<i64>> {
        let bytes = slice(&history, start, stop, step)?;
        let index_of = |byte: &u8| (5..15).find(|&index| value(index, 0) == *byte).unwrap();
        Ok(bytes.iter().map(index_of).collect())
    };
    for (start, stop, step, expected) in [
        (None, None, 1, (5..15).collect::<Vec<i64>>()),
        (Some(7), Some(9), 1, vec![7, 8]),
        (Some(-3), None, 1, vec![12, 13, 14]),
        (None, Some(-8), 1, vec![5, 6]),
        (Some(5), Some(15), 4, vec![5, 9, 13]),
        (Some(9), Some(7), 1, vec![]),
        (None, None, -1, (5..15).rev().collect()),
        (None, None, -4, vec![14, 10, 6]),
        (Some(8), Some(5), -1, vec![8, 7, 6]),
        (Some(8), Some(5), -2, vec![8, 6]),
        (Some(-1), Some(-3), -1, vec![14, 13]),
        (Some(5), Some(8), -1, vec![]),
        (Some(5), None, i64::MIN + 1, vec![5]),
        (Some(5), None, i64::MAX, vec![5]),
    ] {
        assert_eq!(indices(start, stop, step).unwrap(), expected, "{start:?}:{stop:?}:{step}");
    }
    for (start, stop, step) in [
        (Some(4), None, 1),
        (None, Some(16), 1),
        (Some(15), None, -1),
        (Some(-11), None, 1),
        (Some(i64::MAX), None, -1),
        (None, Some(3), -1),
    ] {
        let error = indices(start, stop, step).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{start:?}:{stop:?}:{step}");
        assert!(error.message().contains("has frames 5 to 15 (got ["), "{error}");
    }
    assert!(indices(None, None, 0).unwrap_err().message().contains("step must not be 0"));
    let mut latest = [0; 2];
    history.copy_window(&history.latest(2).unwrap(), &mut latest).unwrap();
    assert_eq!(latest, [value(13, 0), value(14, 0)]);
    assert!(history.latest(11).is_err() && history.latest(usize::MAX).is_err());
}

#[test]
fn windows_of_before_a_reset_do_not_hold() {
    let history = History::new(&config("u1", &[1], 10, None)).unwrap();
    append(&history, 1, 5, None).unwrap();
    let window = history.window(2, 5).unwrap();
    history.reset();
    assert!(!history.holds(window.stamp));
    assert!(history.holds(history.window(-1, 0).unwrap().stamp));
}

#[test]
fn one_waits_for_another() {
    let history = History::new(&config("u1", &[1], 10, None)).unwrap();
    assert_eq!(history.wait(1, Wait::No), Waited::TimedOut);
    assert_eq!(history.wait(1, Wait::For(std::time::Duration::from_millis(1))), Waited::TimedOut);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| history.wait(3, Wait::Forever));
        for _ in 0..3 {
            append(&history, 1, 1, None).unwrap();
        }
        assert_eq!(waiting.join().unwrap(), Waited::There);
    });
    assert!(history.is_live() && history.name().is_none());
}
