//! `aqueduct bench`: rates are tried until one is too high, every packet of each try is accounted for, and the best try is the result.

mod cli;

use cli::run;
use serde_json::Value;

/// Runs a search; the answer is its tries and its result.
fn bench(arguments: &str) -> (Vec<Value>, Value) {
    let ran = run(&format!("bench {arguments} --json"));
    assert_eq!(ran.status, 0, "{arguments}: {}", ran.stderr);
    assert!(ran.stderr.contains("highest loss-free rate: "), "{}", ran.stderr);
    let mut tries: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let result = tries.pop().unwrap();
    (tries, result)
}

fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn the_highest_rate_is_found_and_its_packets_accounted_for() {
    for transport in ["udp", "tcp", "mem"] {
        let (tries, result) = bench(&format!(
            "{transport} --heap-size 64Ki --packet-size 1400 --rate 50M --seconds 0.02 --precision 0.5"
        ));
        assert_eq!(result["transport"], transport);
        assert_eq!((&result["heap_size"], &result["packet_size"]), (&65_536.into(), &1400.into()));
        assert_eq!(number(&tries[0], "asked_bits_per_s"), 50e6);
        for of_try in &tries {
            let (sent, received) = (&of_try["sender"], &of_try["receiver"]);
            assert_eq!(of_try["ledgers_closed"], true, "{of_try}");
            // 64 KiB of 1352 bytes each: 49 packets.
            assert_eq!(number(sent, "packets"), 49.0 * number(sent, "heaps"), "{of_try}");
            let lost = number(sent, "packets_sent") - number(received, "packets_delivered");
            assert_eq!(number(of_try, "lost"), lost, "{of_try}");
            if of_try["kept"] == true {
                assert_eq!((number(sent, "heaps"), lost), (number(received, "complete_heaps"), 0.0));
                assert!(number(of_try, "bits_per_s") >= 0.98 * number(of_try, "asked_bits_per_s"));
            }
        }
        let asked = |of_try: &&Value| number(of_try, "asked_bits_per_s") as u64;
        let best = tries.iter().filter(|of_try| of_try["kept"] == true).max_by_key(asked).unwrap();
        assert_eq!(&result["highest"], best);
    }
}

#[test]
fn people_get_a_table_and_a_ledger() {
    let ran = run("bench mem --heap-size 1Mi --packet-size 8972 --seconds 0.02 --precision 0.5");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for part in
        ["rate asked", "sender CPU", "ledger at the highest rate", "packets_sent", "ledgers closed: yes"]
    {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let rows = ran.stdout.lines().skip(2).take_while(|line| !line.is_empty());
    assert!(rows.count() >= 2, "{}", ran.stdout);
}

#[test]
fn what_is_wrong_is_told() {
    for (arguments, part) in [
        ("bench", "TRANSPORT"),
        ("bench shm", "possible values: udp, tcp, mem"),
        ("bench udp --packet-size 10", "max_packet_size must be between 56"),
        ("bench udp --seconds 0", "must be a number above 0"),
        ("bench udp --seconds 1e9", "--seconds must be at most 3600"),
        ("bench udp --precision 2", "--precision must be"),
        ("bench tcp --rate -1", "must be a number from 1 upwards"),
    ] {
        let wrong = run(arguments);
        assert_eq!(wrong.status, 2, "{arguments}: {}", wrong.stderr);
        assert!(wrong.stderr.contains(part), "{arguments}: {}", wrong.stderr);
    }
    let far = run("bench udp --host 192.0.2.1");
    assert_eq!(far.status, 1);
    assert!(far.stderr.contains("192.0.2.1"), "{}", far.stderr);
}
