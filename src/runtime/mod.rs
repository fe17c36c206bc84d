//! Worker threads that wait for readiness and run tasks; nothing here knows what a packet is.
//!
//! A [`Task`] is a state machine that lives on one worker: only that worker ever runs it, so it needs no lock. It is run
//! when it is spawned, when a descriptor that it watches becomes readable, when its waker is woken, and again at once
//! when it said that it has more to do. It never blocks: where it cannot go on, it leaves its waker where the change will
//! come from and returns, and the other tasks of the worker go on.

mod pool;
mod task;
mod worker;

pub use pool::ThreadPool;
pub use task::{Context, MAX_REST, Progress, Task, TaskHandle};
