//! What the benchmarks of this folder share: medians of runs that alternate between us and the peer, so that both meet the same machine, and how
//! they are told.

#![allow(dead_code, reason = "each benchmark uses its part")]

/// Measurements of each side, after one to warm up.
const RUNS: usize = 5;

/// One line of the result.
pub struct Line {
    pub name: String,
    pub ours: f64,
    pub peer: f64,
    /// Above 1: better for us.
    pub ratio: f64,
    pub unit: &'static str,
}

impl Line {
    /// Of numbers that are better when they are larger.
    pub fn rate(name: impl Into<String>, (ours, peer): (f64, f64), unit: &'static str) -> Self {
        Self { name: name.into(), ours, peer, ratio: ours / peer, unit }
    }

    /// Of numbers that are better when they are smaller.
    pub fn cost(name: impl Into<String>, (ours, peer): (f64, f64), unit: &'static str) -> Self {
        Self { name: name.into(), ours, peer, ratio: peer / ours, unit }
    }
}

/// Whether the line of this name was asked for: all are, or those that have one of the arguments in their name.
pub fn is_wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

/// Medians of alternating runs.
pub fn compare(ours: impl Fn() -> f64, peer: impl Fn() -> f64) -> (f64, f64) {
    ours();
    peer();
    let (mut of_ours, mut of_peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        of_ours.push(ours());
        of_peer.push(peer());
    }
    (median(of_ours), median(of_peer))
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Prints a table or, with the argument `--json`, a JSON list for results.py.
pub fn print(lines: &[Line]) {
    if !std::env::args().any(|argument| argument == "--json") {
        println!("{:<30} {:>14} {:>14} {:>8}  unit (medians of {RUNS})", "name", "ours", "peer", "ratio");
        for Line { name, ours, peer, ratio, unit } in lines {
            println!("{name:<30} {ours:>14.3} {peer:>14.3} {ratio:>8.2}  {unit}");
        }
        return;
    }
    let lines: Vec<_> = lines
        .iter()
        .map(|line| {
            serde_json::json!({
                "name": line.name, "ours": line.ours, "peer": line.peer,
                "ratio": line.ratio, "unit": line.unit, "runs": RUNS,
            })
        })
        .collect();
    println!("{}", serde_json::Value::from(lines));
}
