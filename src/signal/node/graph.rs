//! A graph of nodes that feed each other: started with those first that nobody takes from, so that nothing is missed, and stopped in the reverse order, so that
//! nothing is lost on its way.
//!
//! Which node takes from which is seen from addresses: an input that was connected by the params of a node's output. Where these were changed on the way (another
//! name of the same host, say), it is told by [`Graph::link`]. Invariant: links make no circle. Any thread may call any function; starting and stopping
//! wait for each other, and are errors in the callback of a node of the graph.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::state::State;
use super::stop::Drain;
use super::thread::Node;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::Wait;
use crate::signal::deadline::Deadline;
use crate::signal::params::{Params, Protocol};
use crate::signal::shared::SharedOutput;
use crate::sys::eventfd::EventFd;

/// Where a graph is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphState {
    /// Not started yet, or stopped.
    Stopped,
    /// All nodes run, or have ended while others still get chunks from outside.
    Running,
    /// All nodes that get chunks from outside have ended. Those behind them may still be at work, until the graph is stopped.
    Ended,
    /// This node could not go on, before any other; the others run until the graph is stopped.
    Failed(String, Error),
}

/// What nodes tell when they end.
struct Bell {
    inner: Mutex<Told>,
    changed: Condvar,
    /// Raised while the graph does not run.
    done: EventFd,
}

struct Told {
    state: GraphState,
    /// Nodes that get chunks from outside, and have not ended.
    sources: BTreeSet<usize>,
}

impl Bell {
    fn ring(&self, number: usize, name: &str, state: &State) {
        let mut told = self.inner.lock();
        if told.state != GraphState::Running {
            return;
        }
        match state {
            State::Failed(error) => told.state = GraphState::Failed(name.to_owned(), error.clone()),
            _ => {
                told.sources.remove(&number);
                if !told.sources.is_empty() {
                    return;
                }
                told.state = GraphState::Ended;
            }
        }
        self.done.raise();
        self.changed.notify_all();
    }

    fn set(&self, state: GraphState, sources: BTreeSet<usize>) {
        let mut told = self.inner.lock();
        if state == GraphState::Running {
            self.done.lower();
        } else {
            self.done.raise();
        }
        *told = Told { state, sources };
        self.changed.notify_all();
    }
}

struct Member {
    name: String,
    node: Arc<Node>,
    /// Nodes that it takes from, as was told.
    links: BTreeSet<usize>,
}

/// A node at its place in the order.
struct Place {
    name: String,
    node: Arc<Node>,
    /// Whether it takes from a node of the graph; and which output that is, if that is known.
    is_fed: bool,
    from: Option<SharedOutput>,
}

/// See the module.
pub struct Graph {
    members: Mutex<Vec<Member>>,
    bell: Arc<Bell>,
    /// Held while the graph is changed, started or stopped.
    change: Mutex<()>,
}

impl Graph {
    /// Without nodes.
    pub fn new() -> Result<Self> {
        let done = EventFd::new().map_err(|e| Error::io("stream graph: eventfd", &e))?;
        done.raise();
        let told = Told { state: GraphState::Stopped, sources: BTreeSet::new() };
        let bell = Bell { inner: Mutex::new(told), changed: Condvar::new(), done };
        Ok(Self { members: Mutex::default(), bell: Arc::new(bell), change: Mutex::new(()) })
    }

    /// Adds a node, by a name of its own.
    ///
    /// # Errors
    /// `Invalid`: there is a node of that name. `State`: the node is in a graph already, or this one runs.
    pub fn add(&self, name: &str, node: Arc<Node>) -> Result<()> {
        let _change = self.change()?;
        let mut members = self.members.lock();
        if members.iter().any(|member| member.name == name) {
            return Err(Error::invalid(format!("stream graph: name must be new (got {name:?})")));
        }
        let (bell, number, owned) = (self.bell.clone(), members.len(), name.to_owned());
        node.progress().watch(Arc::new(move |state| bell.ring(number, &owned, state)))?;
        members.push(Member { name: name.to_owned(), node, links: BTreeSet::new() });
        Ok(())
    }

    /// Tells that the node `to` takes what the node `from` sends, where that cannot be seen from addresses.
    ///
    /// # Errors
    /// `NotFound`: there is no node of that name. `State`: the graph runs.
    pub fn link(&self, from: &str, to: &str) -> Result<()> {
        let _change = self.change()?;
        let mut members = self.members.lock();
        let find = |name: &str| {
            let unknown =
                || Error::new(ErrorKind::NotFound, format!("stream graph: there is no node {name:?}"));
            members.iter().position(|member| member.name == name).ok_or_else(unknown)
        };
        let (from, to) = (find(from)?, find(to)?);
        members[to].links.insert(from);
        Ok(())
    }

    /// Starts all nodes: each before those that it takes from.
    ///
    /// # Errors
    /// That of the first node that cannot be started, with its name: none is left running. `Invalid`: nodes take from each other in a circle. `State`: the graph was
    /// started before, and not stopped.
    pub fn start(&self) -> Result<()> {
        let _change = self.change()?;
        let order = self.order()?;
        let sources = order.iter().filter(|(_, place)| !place.is_fed).map(|(number, _)| *number).collect();
        self.bell.set(GraphState::Running, sources);
        for (done, (_, place)) in order.iter().enumerate() {
            let Err(error) = place.node.start() else { continue };
            for (_, place) in order[..done].iter().rev() {
                // The error that is told is that of the start.
                let _ = place.node.stop();
            }
            self.bell.set(GraphState::Stopped, BTreeSet::new());
            return Err(named(&place.name, &error));
        }
        Ok(())
    }

    /// Stops all nodes: each behind those that it takes from, when it has dealt with what these have sent. Those that get chunks from outside stop first, and what waits
    /// for them stays there. False: the time was over before all that was dealt with; the rest was kept where it was. Nothing happens if the graph was not started.
    ///
    /// # Errors
    /// That of the first node that failed since the start, with its name: all are stopped nevertheless. `State`: it is called in a callback of one of them.
    pub fn stop(&self, wait: Wait) -> Result<bool> {
        self.refuse_inside()?;
        let _change = self.change.lock();
        if self.state() == GraphState::Stopped {
            return Ok(true);
        }
        let deadline = Deadline::new(wait);
        let mut all = true;
        for (_, place) in self.order()?.iter().rev() {
            let deadline = deadline.left().end();
            let target = place.from.as_ref().map(|output| output.stats().index);
            // Its error, if there is one, is with the bell.
            all &= place.node.stop_after(Drain { input: place.is_fed, target, deadline }).unwrap_or(true);
        }
        let state = self.state();
        self.bell.set(GraphState::Stopped, BTreeSet::new());
        match state {
            GraphState::Failed(name, error) => Err(named(&name, &error)),
            _ => Ok(all),
        }
    }

    /// Where it is in its life.
    pub fn state(&self) -> GraphState {
        self.bell.inner.lock().state.clone()
    }

    /// Waits until it does not run. `None`: it still does.
    pub fn wait(&self, wait: Wait) -> Option<GraphState> {
        let deadline = Deadline::new(wait);
        let mut told = self.bell.inner.lock();
        while told.state == GraphState::Running {
            match deadline.left() {
                Wait::No => return None,
                Wait::For(time) => drop(self.bell.changed.wait_for(&mut told, time)),
                Wait::Forever => self.bell.changed.wait(&mut told),
            }
        }
        Some(told.state.clone())
    }

    /// Readable, level-triggered, while it does not run.
    pub fn done_fd(&self) -> BorrowedFd<'_> {
        self.bell.done.as_fd()
    }

    /// To change the graph, which must be stopped.
    fn change(&self) -> Result<MutexGuard<'_, ()>> {
        self.refuse_inside()?;
        let change = self.change.lock();
        if self.state() != GraphState::Stopped {
            return Err(Error::state("stream graph: it was started; stop it first"));
        }
        Ok(change)
    }

    /// An error in a callback of one of its nodes.
    pub fn refuse_inside(&self) -> Result<()> {
        match self.members.lock().iter().find(|member| member.node.is_inside()) {
            None => Ok(()),
            Some(Member { name, .. }) => Err(Error::state(format!(
                "stream graph: it cannot be changed, started or stopped from a callback of its node {name:?}"
            ))),
        }
    }

    /// All nodes with their numbers, each before those that it takes from, otherwise the last added first.
    fn order(&self) -> Result<Vec<(usize, Place)>> {
        let members = self.members.lock();
        let places: Vec<Place> = members.iter().map(|member| place(member, &members)).collect();
        let mut feeds: Vec<BTreeSet<usize>> =
            members.iter().map(|member| sources(member, &members)).collect();
        drop(members);
        // From the sources on; then turned round.
        let mut left: BTreeSet<usize> = (0..places.len()).collect();
        let mut numbers = Vec::new();
        while let Some(&next) = left.iter().find(|&&number| feeds[number].is_empty()) {
            left.remove(&next);
            numbers.push(next);
            for from in &mut feeds {
                from.remove(&next);
            }
        }
        if !left.is_empty() {
            let names: Vec<&str> = left.iter().map(|&number| &*places[number].name).collect();
            return Err(Error::invalid(format!(
                "stream graph: nodes must not take from each other in a circle (got {names:?})"
            )));
        }
        let mut places: Vec<Option<Place>> = places.into_iter().map(Some).collect();
        numbers.reverse();
        Ok(numbers.into_iter().filter_map(|number| Some((number, places[number].take()?))).collect())
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.refuse_inside().is_err() {
            self.members.lock().iter().for_each(|member| member.node.ask_to_stop());
        } else {
            let _ = self.stop(Wait::No);
        }
        self.members.lock().iter().for_each(|member| member.node.progress().unwatch());
    }
}

/// An error of the node of that name.
pub fn named(name: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("stream graph: node {name:?}: {}", error.message()))
}

/// The nodes that one takes from.
fn sources(member: &Member, members: &[Member]) -> BTreeSet<usize> {
    let input = member.node.input().params();
    let feeds = |other: &Member| other.node.outputs().iter().any(|output| leads_to(&output.params(), &input));
    let seen = members.iter().enumerate().filter(|(_, other)| feeds(other)).map(|(number, _)| number);
    seen.chain(member.links.iter().copied()).collect()
}

fn place(member: &Member, members: &[Member]) -> Place {
    let input = member.node.input().params();
    let all = || sources(member, members).into_iter().flat_map(|number| members[number].node.outputs());
    let from = all().find(|output| leads_to(&output.params(), &input)).cloned();
    // Of a node that has one output only, it is known which.
    let only = || all().next().filter(|_| all().count() == 1).cloned();
    Place {
        name: member.name.clone(),
        node: member.node.clone(),
        is_fed: !sources(member, members).is_empty(),
        from: from.or_else(only),
    }
}

/// Whether an input of these params is connected to that output.
fn leads_to(output: &Params, input: &Params) -> bool {
    let everywhere = ["0.0.0.0", "::", "[::]", "*"].contains(&&*output.interface);
    output.protocol == input.protocol
        && match output.protocol {
            Protocol::Tcp => output.port == input.port && (everywhere || output.interface == input.interface),
            _ => output.interface == input.interface,
        }
}
