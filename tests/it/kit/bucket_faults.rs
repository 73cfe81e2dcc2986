//! What goes wrong between a program and a bucket now and then, drawn from a seed: the same seed plays the same faults for
//! the same requests.

use std::sync::Mutex;

/// One fault of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketFault {
    /// 503 SlowDown; nothing was done.
    Busy,
    /// A write is done and answered with 500.
    LostAnswer,
    /// Status 200, and an error that passes in the body; nothing was done.
    ErrorInside,
    /// The body ends before its length.
    CutOff,
    /// Half of the body, and a length that fits it.
    Short,
    /// An object that was just written is not there yet, or is still as it was.
    Stale,
    /// A listing lacks what was just written.
    Lagging,
    /// A listing has each object twice.
    Repeated,
    /// No ETag and no length.
    Bare,
}

const ALL: [BucketFault; 9] = [
    BucketFault::Busy,
    BucketFault::LostAnswer,
    BucketFault::ErrorInside,
    BucketFault::CutOff,
    BucketFault::Short,
    BucketFault::Stale,
    BucketFault::Lagging,
    BucketFault::Repeated,
    BucketFault::Bare,
];

/// Draws faults.
#[derive(Debug)]
pub(crate) struct BucketFaults {
    state: Mutex<u64>,
    /// One request in so many has a fault.
    one_in: u64,
}

impl BucketFaults {
    pub(crate) fn new(seed: u64, one_in: u64) -> Self {
        Self { state: Mutex::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), one_in }
    }

    /// The fault of the next request, if it has one.
    pub(crate) fn draw(&self) -> Option<BucketFault> {
        self.next().is_multiple_of(self.one_in).then(|| ALL[usize::try_from(self.next() % ALL.len() as u64).unwrap()])
    }

    /// xorshift64*.
    fn next(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
}
