//! The latest frames of a stream as numbers, and the scales by which they are drawn.
//!
//! Invariant: all columns have the same length, at most `most`; what is missing is NaN.

use std::collections::VecDeque;

use aqueduct::signal::input::Received;
use aqueduct::signal::params::Params;

use super::columns::{Column, c_order};
use crate::failure::Failure;

pub struct Window {
    most: usize,
    /// The index of the first frame.
    start: u64,
    values: Vec<VecDeque<f64>>,
    scale: f64,
    offset: f64,
    rate: f64,
}

impl Window {
    /// Of the latest `most` frames. Values are scaled as the params say.
    pub fn new(params: &Params, columns: usize, most: usize) -> Self {
        Self {
            most,
            start: 0,
            values: vec![VecDeque::new(); columns],
            scale: params.scale.unwrap_or(1.0),
            offset: params.offset.unwrap_or(0.0),
            rate: params.sample_rate,
        }
    }

    /// How many frames there are, and are missing.
    pub fn len(&self) -> usize {
        self.values.first().map_or(0, VecDeque::len)
    }

    pub fn is_full(&self) -> bool {
        self.len() == self.most
    }

    pub fn clear(&mut self) {
        self.values.iter_mut().for_each(VecDeque::clear);
    }

    /// Column by column, from the oldest frame on.
    pub fn values(&self) -> &[VecDeque<f64>] {
        &self.values
    }

    /// The time of the first frame and of the last, in seconds since frame 0.
    pub fn times(&self) -> (f64, f64) {
        let last = self.start + self.len().saturating_sub(1) as u64;
        (self.start as f64 / self.rate, last as f64 / self.rate)
    }

    /// The least and the largest value; `None` if there are none.
    pub fn range(&self) -> Option<(f64, f64)> {
        let finite = self.values.iter().flatten().filter(|value| value.is_finite());
        finite.fold(None, |range, &value| {
            let (least, most) = range.unwrap_or((value, value));
            Some((f64::min(least, value), f64::max(most, value)))
        })
    }

    pub fn push(&mut self, received: &Received, columns: &[Column]) -> Result<(), Failure> {
        let Received { chunk, gap } = received;
        let missing = usize::try_from(gap.end - gap.start).unwrap_or(usize::MAX);
        if missing >= self.most {
            self.clear();
        } else {
            self.values.iter_mut().for_each(|values| values.extend(std::iter::repeat_n(f64::NAN, missing)));
        }
        let frames = chunk.frames();
        // Only what stays is worth looking at.
        let kept = chunk.part(frames.saturating_sub(self.most), frames);
        let bytes = c_order(&kept)?;
        let size = bytes.len() / kept.frames().max(1);
        for (values, column) in self.values.iter_mut().zip(columns) {
            if kept.frames() < frames {
                values.clear();
            }
            for i in 0..kept.frames() {
                let number = column.number(&bytes[i * size..(i + 1) * size]).unwrap_or(f64::NAN);
                values.push_back(number * self.scale + self.offset);
            }
            values.drain(..values.len().saturating_sub(self.most));
        }
        self.start = chunk.index - self.len() as u64;
        Ok(())
    }
}

/// A range that has an extent.
pub fn widened((least, most): (f64, f64)) -> (f64, f64) {
    // Written so that the difference of two huge numbers does no harm.
    if (most - least).is_finite() && most > least {
        return (least, most);
    }
    let half = if least == 0.0 { 0.5 } else { (least.abs() * 0.05).min(f64::MAX / 4.0) };
    if most > least { (least / 2.0, most / 2.0) } else { (least - half, least + half) }
}

/// Round numbers within a range, about so many, and how many decimals they need.
pub fn ticks((least, most): (f64, f64), about: usize) -> (Vec<f64>, usize) {
    let rough = (most - least) / about.max(1) as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return (vec![least], 0);
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|&step| step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let first = (least / step).ceil();
    let slack = step * 1e-9;
    let tick = |i: usize| (first + i as f64) * step;
    // Minus zero is no number for people.
    let all =
        (0..=2 * about).map(tick).take_while(|&tick| tick <= most + slack).map(|tick| tick + 0.0).collect();
    (all, decimals)
}

/// A number on an axis.
pub fn number(value: f64, decimals: usize) -> String {
    let small = value.abs() < 1e9 && (decimals < 9 || value == 0.0);
    if small { format!("{value:.decimals$}") } else { format!("{value:.3e}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::columns::columns;
    use aqueduct::signal::array::Layout;
    use aqueduct::signal::chunk::Chunk;

    fn received(start: u64, values: &[i8], gap: std::ops::Range<u64>) -> Received {
        let data: Vec<u8> = values.iter().map(|&value| value as u8).collect();
        let layout = Layout::c_order(1, &[values.len(), 1]).unwrap();
        Received { chunk: Chunk { index: start + values.len() as u64, layout, data: data.into() }, gap }
    }

    #[test]
    fn the_latest_frames_with_what_is_missing() {
        let params = Params::from_json(r#"{"dtype":"|i1","scale":2,"offset":1,"sample_rate":10}"#).unwrap();
        let (columns, _) = columns(&params, None, 9).unwrap();
        let mut window = Window::new(&params, 1, 5);
        assert_eq!((window.range(), window.len()), (None, 0));
        window.push(&received(10, &[1, 2], 0..0), &columns).unwrap();
        window.push(&received(13, &[4], 12..13), &columns).unwrap();
        let shown = |window: &Window| format!("{:?} {:?}", window.values()[0], window.times());
        assert_eq!(shown(&window), "[3.0, 5.0, NaN, 9.0] (1.0, 1.3)");
        assert_eq!(window.range(), Some((3.0, 9.0)));
        window.push(&received(14, &[5, -6], 0..0), &columns).unwrap();
        assert_eq!(shown(&window), "[5.0, NaN, 9.0, 11.0, -11.0] (1.1, 1.5)");
        assert!(window.is_full());
        // More than it holds, in a chunk and in a gap.
        window.push(&received(16, &[0, 1, 2, 3, 4, 5], 0..0), &columns).unwrap();
        assert_eq!(shown(&window), "[3.0, 5.0, 7.0, 9.0, 11.0] (1.7, 2.1)");
        window.push(&received(100, &[0], 22..100), &columns).unwrap();
        assert_eq!(shown(&window), "[1.0] (10.0, 10.0)");
    }

    #[test]
    fn scales() {
        assert_eq!(ticks((0.0, 10.0), 5), (vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0], 0));
        assert_eq!(ticks((-0.11, 0.11), 4), (vec![-0.1, 0.0, 0.1], 1));
        assert_eq!(ticks((5.0, 5.0), 4), (vec![5.0], 0));
        assert_eq!(widened((3.0, 4.0)), (3.0, 4.0));
        assert_eq!(widened((0.0, 0.0)), (-0.5, 0.5));
        assert_eq!(widened((-20.0, -20.0)), (-21.0, -19.0));
        let (least, most) = widened((f64::MIN, f64::MAX));
        assert!((most - least).is_finite());
        assert_eq!([number(0.1, 1), number(-2e10, 0), number(1e-10, 10)], ["0.1", "-2.000e10", "1.000e-10"]);
    }
}
