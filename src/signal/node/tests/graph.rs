//! Graphs: the order of starting and stopping, what is in flight, and who failed.

use super::*;
use crate::error::{Error, ErrorKind};
use crate::signal::node::converter::converter;
use crate::signal::node::graph::{Graph, GraphState};
use crate::signal::node::resizer::resizer;
use crate::signal::node::splitter::splitter;
use crate::signal::node::state::State;
use crate::sys::poll::is_readable;

/// A producer's output, and a graph of converter, resizer and keeper behind it, added in any order.
fn chain(order: usize) -> (SharedOutput, Graph, Log, [Arc<Node>; 3]) {
    chain_over([Protocol::Shm, Protocol::Inproc, Protocol::Shm], order)
}

fn chain_over(protocols: [Protocol; 3], order: usize) -> (SharedOutput, Graph, Log, [Arc<Node>; 3]) {
    let [first, second, third] = protocols.map(|protocol| output(protocol, 2));
    let convert = Arc::new(converter(input(&first), second.clone()).unwrap());
    let resize = Arc::new(resizer(input(&second), third.clone(), 3).unwrap());
    let (keep, log) = keeper(input(&third), &[0, 1]);
    let nodes = [convert, resize, Arc::new(keep)];
    let graph = Graph::new().unwrap();
    for number in 0..3 {
        let number = (number * (1 + order % 2) + order) % 3;
        graph.add(["convert", "resize", "keep"][number], nodes[number].clone()).unwrap();
    }
    (first, graph, log, nodes)
}

#[test]
fn what_is_in_flight_arrives_before_a_stop() {
    let mut protocols = vec![[Protocol::Shm, Protocol::Inproc, Protocol::Shm]; 6];
    if cfg!(feature = "zmq") {
        // What is on its way cannot be seen there.
        protocols.extend([[Protocol::Tcp; 3], [Protocol::Ipc, Protocol::Tcp, Protocol::Ipc]]);
    }
    for (order, protocols) in protocols.into_iter().enumerate() {
        let (first, graph, log, nodes) = chain_over(protocols, order);
        for output in [&first, &nodes[0].outputs()[0], &nodes[1].outputs()[0]] {
            assert!(output.wait_inputs(1, GUARD).unwrap());
        }
        let mut next = 0;
        for round in 0..20u64 {
            graph.start().unwrap();
            assert_eq!((graph.state(), graph.wait(Wait::No)), (GraphState::Running, None));
            assert!(!is_readable(graph.done_fd()));
            send(&first, next..next + 1 + round);
            next += 1 + round;
            // The first node has it: from there on it is the graph's to bring it through.
            while nodes[0].index() < next {
                std::thread::yield_now();
            }
            assert!(graph.stop(GUARD).unwrap());
            assert!(is_readable(graph.done_fd()));
            assert_eq!((graph.state(), nodes[2].index()), (GraphState::Stopped, next));
            assert!(nodes.iter().all(|node| node.state() == State::Stopped));
        }
        let found = log.chunks();
        assert!(found.windows(2).all(|pair| pair[0].0.end == pair[1].0.start && pair[1].1.is_empty()));
        assert_eq!((found[0].0.start, found.last().unwrap().0.end), (0, next));
    }
}

#[test]
fn the_first_that_fails_is_told_by_its_name() {
    let (first, second) = (output(Protocol::Inproc, 1), output(Protocol::Inproc, 1));
    let convert = converter(input(&first), second.clone()).unwrap();
    let poll =
        poll_thread(input(&second), |_: &Received| Err(Error::new(ErrorKind::Io, "no more paper"))).unwrap();
    let graph = Graph::new().unwrap();
    graph.add("convert", Arc::new(convert)).unwrap();
    graph.add("print", Arc::new(poll)).unwrap();
    graph.start().unwrap();
    send(&first, 0..1);
    let failed = GraphState::Failed("print".into(), Error::new(ErrorKind::Io, "no more paper"));
    assert_eq!(graph.wait(GUARD), Some(failed.clone()));
    assert!(is_readable(graph.done_fd()));
    assert!(graph.start().unwrap_err().message().contains("stop it first"));
    assert_eq!(graph.state(), failed);
    let error = graph.stop(GUARD).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Io, "stream graph: node \"print\": no more paper")
    );
    assert_eq!(graph.stop(GUARD), Ok(true));
    graph.start().unwrap();
    graph.stop(GUARD).unwrap();
}

#[test]
fn it_ends_when_all_sources_have() {
    let (first, graph, log, _) = chain(0);
    graph.start().unwrap();
    send(&first, 0..4);
    drop(first);
    assert_eq!(graph.wait(GUARD), Some(GraphState::Ended));
    assert!(graph.stop(GUARD).unwrap());
    assert_eq!(log.chunks(), [(0..3, 0..0), (3..4, 0..0)]);
}

#[test]
fn a_node_that_cannot_be_started_stops_the_others() {
    let (_first, graph, _, nodes) = chain(0);
    let held = nodes[1].input();
    let lock = held.lock();
    let error = graph.start().unwrap_err();
    assert!(error.message().contains("node \"resize\": ") && error.kind() == ErrorKind::State, "{error}");
    drop(lock);
    assert!(nodes.iter().all(|node| node.state() == State::Stopped));
    assert_eq!(graph.state(), GraphState::Stopped);
    graph.start().unwrap();
}

#[test]
fn circles_and_doubles_are_refused() {
    let (first, second) = (output(Protocol::Inproc, 1), output(Protocol::Inproc, 1));
    let forth = Arc::new(converter(input(&first), second.clone()).unwrap());
    let back = Arc::new(converter(input(&second), first.clone()).unwrap());
    let graph = Graph::new().unwrap();
    graph.add("forth", forth.clone()).unwrap();
    let error = graph.add("forth", back.clone()).unwrap_err();
    assert!(error.message().contains("name must be new (got \"forth\")"));
    graph.add("back", back).unwrap();
    assert_eq!(Graph::new().unwrap().add("x", forth.clone()).unwrap_err().kind(), ErrorKind::State);
    let error = graph.start().unwrap_err();
    assert!(error.message().contains("circle (got [\"forth\", \"back\"])"), "{error}");
    assert_eq!(graph.link("forth", "nobody").unwrap_err().kind(), ErrorKind::NotFound);
    drop(graph);
    // Nodes outlive it, and may go elsewhere.
    Graph::new().unwrap().add("x", forth).unwrap();
}

#[test]
fn links_tell_what_addresses_do_not() {
    let first = output(Protocol::Inproc, 1);
    let second = output(Protocol::Inproc, 1);
    let unseen = output(Protocol::Inproc, 1);
    let (keep, _) = keeper(input(&unseen), &[0]);
    let graph = Graph::new().unwrap();
    graph.add("keep", Arc::new(keep)).unwrap();
    graph.add("convert", Arc::new(converter(input(&first), second).unwrap())).unwrap();
    graph.link("convert", "keep").unwrap();
    graph.link("keep", "convert").unwrap();
    assert!(graph.start().unwrap_err().message().contains("circle"));
}

#[test]
fn a_stop_with_a_stuck_consumer_ends_in_its_time() {
    let (first, second) = (inproc(1, Overflow::Block, 100), inproc(1, Overflow::Block, 1));
    let stuck = input(&second);
    let graph = Graph::new().unwrap();
    graph.add("convert", Arc::new(converter(input(&first), second.clone()).unwrap())).unwrap();
    for index in 0..5 {
        send(&first, index..index + 1);
    }
    graph.start().unwrap();
    // One is with the stuck input, the next is waited for.
    while (second.stats().published_frames, second.stats().waiting_frames) != (1, 1) {
        std::thread::yield_now();
    }
    assert_eq!(graph.stop(Wait::For(Duration::from_millis(20))), Ok(false));
    graph.start().unwrap();
    let found: Vec<_> = (0..5).map(|_| next(&stuck, &[0])).collect();
    assert_eq!(found.last(), Some(&(4..5, 0..0)));
    assert_eq!(graph.stop(GUARD), Ok(true));
}

#[test]
fn a_graph_is_not_stopped_from_within() {
    let out = output(Protocol::Inproc, 1);
    let graph = Arc::new(Graph::new().unwrap());
    let (told, found) = std::sync::mpsc::channel();
    let own = Arc::downgrade(&graph);
    let node = poll_thread(input(&out), move |_: &Received| {
        let graph = own.upgrade().unwrap();
        told.send((graph.stop(Wait::Forever).unwrap_err(), graph.start().unwrap_err())).unwrap();
        Ok(())
    });
    graph.add("poll", Arc::new(node.unwrap())).unwrap();
    graph.start().unwrap();
    send(&out, 0..1);
    let (stop, start) = found.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!((stop.kind(), start.kind()), (ErrorKind::State, ErrorKind::State));
    assert!(stop.message().contains("callback of its node \"poll\""), "{stop}");
    graph.stop(GUARD).unwrap();
}

#[test]
fn a_tree() {
    let first = output(Protocol::Inproc, 3);
    let graph = Graph::new().unwrap();
    let (mut outputs, mut logs) = (Vec::new(), Vec::new());
    for channel in 0..3 {
        let out = output(Protocol::Inproc, 1);
        let (node, log) = keeper(input(&out), &[channel]);
        logs.push(log);
        graph.add(&format!("keep {channel}"), Arc::new(node)).unwrap();
        outputs.push((select(&[channel]), out));
    }
    graph.add("split", Arc::new(splitter(input(&first), outputs).unwrap())).unwrap();
    graph.start().unwrap();
    send(&first, 0..10);
    drop(first);
    graph.wait(GUARD).unwrap();
    assert!(graph.stop(GUARD).unwrap());
    assert!(logs.iter().all(|log| log.chunks() == [(0..10, 0..0)]));
}
