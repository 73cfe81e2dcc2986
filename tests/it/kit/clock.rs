//! Clocks, and the context of a job that has nothing to say and is never cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use keyhaven::job::Context;
use keyhaven::job::event::Silent;
use keyhaven::model::{Clock, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) fn context(clock: Arc<dyn Clock>) -> Context {
    Context { clock, observer: Arc::new(Silent), cancel: CancellationToken::new() }
}

/// One with the clock of this machine.
pub(crate) fn system_context() -> Context {
    context(Arc::new(SystemClock))
}

/// The clock of this machine.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        chrono::Utc::now().into()
    }
}

/// A clock that goes on by a second whenever it is asked.
#[derive(Debug)]
pub(crate) struct TickingClock(AtomicI64);

impl TickingClock {
    pub(crate) fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(start.millis())))
    }
}

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.fetch_add(1_000, Ordering::SeqCst))
    }
}

/// A clock that differs from another by so many milliseconds.
#[derive(Debug)]
pub(crate) struct SkewedClock<C>(pub(crate) C, pub(crate) i64);

impl<C: Clock> Clock for SkewedClock<C> {
    fn now(&self) -> Timestamp {
        self.0.now().plus_millis(self.1)
    }
}

/// Wall time: a start, the time that tokio says has passed, and what somebody set the clock by.
#[derive(Debug)]
pub(crate) struct SimulatedClock {
    start: Timestamp,
    from: Instant,
    set_by: AtomicI64,
}

impl SimulatedClock {
    pub(crate) fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, from: Instant::now(), set_by: AtomicI64::new(0) })
    }

    /// Sets the wall clock on (or back), as NTP or a wake from sleep does.
    pub(crate) fn jump(&self, millis: i64) {
        self.set_by.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.from.elapsed().as_millis()).unwrap();
        self.start.plus_millis(passed + self.set_by.load(Ordering::SeqCst))
    }
}
