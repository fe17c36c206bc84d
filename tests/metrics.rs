//! The text for Prometheus, read by Prometheus's own client for Python.
//!
//! Skipped, with a message, where the peer cannot be installed (tools/peer-venv.sh); under CI that is a failure.

mod peer;
mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use aqueduct::recv::heap::{HeapRingStream, RingConfig};
use aqueduct::recv::reader::BufferReader;
use aqueduct::recv::stats::{CustomStat, Mode, Stat};
use aqueduct::recv::{StreamConfig, metrics};
use aqueduct::ring::Wait;
use aqueduct::runtime::ThreadPool;
use serde_json::{Value as Json, json};

/// Every family and its samples, as JSON.
const READ: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
names = [family.name for family in families]
assert len(names) == len(set(names)), 'a metric came twice'
assert all(family.documentation for family in families)
print(json.dumps([[f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]] for f in families]))
";

fn read(python: &str, text: &str) -> Vec<Json> {
    let mut child =
        Command::new(python).args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn prometheus_reads_every_value() {
    let Some(python) = peer::python() else { return };
    let names = ["plain", "with \"quotes\" \\ and\nlines {}", "katsdp.é日"];
    let custom_stats: Vec<CustomStat> = [Mode::Counter, Mode::Counter, Mode::Maximum]
        .into_iter()
        .zip(names)
        .map(|(mode, name)| CustomStat { name: name.to_owned(), mode })
        .collect();
    let pool = Arc::new(ThreadPool::new(1, &[]).unwrap());
    let stream = |stream_id, custom_stats| {
        let config = StreamConfig { stream_id, custom_stats, ..StreamConfig::default() };
        HeapRingStream::new(&pool, config, RingConfig::default()).unwrap()
    };
    let (busy, idle) = (stream(3, custom_stats), stream(4, Vec::new()));
    let mut bytes = Vec::new();
    for cnt in 1..=5 {
        bytes.extend(support::wire::Wire::whole(cnt, vec![7; 100]).encode());
    }
    assert!(busy.stream().add_reader(Box::new(BufferReader::copy_of(&bytes))).unwrap());
    while busy.get(Wait::Forever).is_ok() {}
    busy.stream().stop().unwrap();

    let text = metrics::prometheus(&[busy.stream(), idle.stream()]).unwrap();
    // What the header tells C callers about the size of their buffer.
    assert!(metrics::prometheus(&[idle.stream()]).unwrap().len() < 16 << 10);
    let families = read(&python, &text);
    let find =
        |name: &str| families.iter().find(|f| f[0] == name).unwrap_or_else(|| panic!("{name}: {text}"));
    let snapshot = busy.stream().snapshot();
    assert_eq!(snapshot[Stat::CompleteHeaps], 5);
    for stat in Stat::ALL {
        let name = format!("aqueduct_recv_{}", stat.name());
        let (kind, sample) = match stat.mode() {
            Mode::Counter => ("counter", format!("{name}_total")),
            Mode::Maximum | Mode::Level => ("gauge", name.clone()),
        };
        let values = [("3", snapshot[stat]), ("4", 0)];
        let samples = values.map(|(id, value)| json!([sample, { "stream": id }, value]));
        assert_eq!(*find(&name), json!([name, kind, samples]));
    }
    let running = "aqueduct_recv_running";
    assert_eq!(find(running)[2], json!([[running, {"stream": "3"}, 0], [running, {"stream": "4"}, 1]]));
    let custom = "aqueduct_recv_custom_total";
    let counters = names[..2].iter().map(|name| json!([custom, {"stream": "3", "name": name}, 0]));
    assert_eq!(find("aqueduct_recv_custom")[2], counters.collect::<Json>());
    let maximum = "aqueduct_recv_custom_maximum";
    assert_eq!(find(maximum)[2], json!([[maximum, {"stream": "3", "name": names[2]}, 0]]));
    assert_eq!(families.len(), Stat::ALL.len() + 3);
}
