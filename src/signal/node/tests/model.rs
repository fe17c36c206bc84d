//! Any chunks and gaps through resizer, converter and splitter, against what a list says.

use super::*;
use crate::signal::node::converter::converter;
use crate::signal::node::graph::Graph;
use crate::signal::node::resizer::resizer;
use crate::signal::node::splitter::splitter;
use proptest::prelude::*;

/// Exact chunks of these frames, each with the gap before it.
fn model(sent: &[Range<u64>], frames: u64) -> Vec<(Range<u64>, Range<u64>)> {
    // Runs of frames that follow each other.
    let mut runs: Vec<Range<u64>> = Vec::new();
    for chunk in sent {
        match runs.last_mut() {
            Some(run) if run.end == chunk.start => run.end = chunk.end,
            _ => runs.push(chunk.clone()),
        }
    }
    let mut found = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        let gap = if number == 0 { 0..0 } else { runs[number - 1].end..run.start };
        for start in run.clone().step_by(frames as usize) {
            let gap = if start == run.start { gap.clone() } else { 0..0 };
            found.push((start..run.end.min(start + frames), gap));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_chain_of_three(
        chunks in prop::collection::vec((prop_oneof![3 => Just(0u64), 1 => 1u64..9], 1u64..30), 1..30),
        frames in 1u64..20,
        selections in prop::collection::vec(prop::collection::vec(0usize..4, 1..6), 1..4),
        protocols in prop::collection::vec(any::<bool>(), 3),
    ) {
        let protocol = |number: usize| if protocols[number] { Protocol::Shm } else { Protocol::Inproc };
        let (first, second, third) = (output(protocol(0), 4), output(protocol(1), 4), output(protocol(2), 4));
        let graph = Graph::new().unwrap();
        graph.add("resize", Arc::new(resizer(input(&first), second.clone(), frames as usize).unwrap())).unwrap();
        graph.add("convert", Arc::new(converter(input(&second), third.clone()).unwrap())).unwrap();
        let (mut outputs, mut logs) = (Vec::new(), Vec::new());
        for (number, channels) in selections.iter().enumerate() {
            let selection = select(channels);
            let out = output(protocol(number % 3), channels.len() as i64);
            let (node, log) = keeper(input(&out), channels);
            graph.add(&format!("keep {number}"), Arc::new(node)).unwrap();
            logs.push(log);
            outputs.push((selection, out));
        }
        graph.add("split", Arc::new(splitter(input(&third), outputs).unwrap())).unwrap();
        graph.start().unwrap();
        let mut at = 0;
        let mut sent = Vec::new();
        for (gap, count) in chunks {
            sent.push(at + gap..at + gap + count);
            at += gap + count;
            send(&first, sent[sent.len() - 1].clone());
        }
        drop(first);
        graph.wait(GUARD).unwrap();
        prop_assert!(graph.stop(GUARD).unwrap());
        let expected = model(&sent, frames);
        for log in logs {
            prop_assert_eq!(log.chunks(), &expected[..]);
        }
    }
}
