//! The pace of an instance: one rate limiter for all its clients.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Rate, in requests per second, above which timers are too coarse to space single requests.
const COARSE: f64 = 40.0;
/// Maximum timer lateness that is made up for at such rates.
const MADE_UP: Duration = Duration::from_millis(10);
/// Minimum pace after overload, as a share of the configured rate.
const SLOWEST: f64 = 1.0 / 32.0;
/// Increase of the rate after each success, as a share of the configured rate.
const RECOVERY: f64 = 1.0 / 64.0;
/// Overload reports within this time halve the pace only once: several callers see the same overload.
const SAME_OVERLOAD: Duration = Duration::from_secs(1);
/// Maximum pause that a provider can impose on all callers.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// Grants the right to send a request, never faster than the pace; clones share it.
///
/// Requests are spaced without bursts: up to 40 requests per second, any time span `T` has at most `pace × T + 1`
/// requests. Above that the spacing is finer than the system's timers, and up to 10 ms of lateness are made up for: at
/// most `pace × (T + 10 ms) + 1`.
///
/// Callers are served in order of arrival. A caller that stops waiting leaves the queue and uses no turn.
#[derive(Debug, Clone)]
pub struct Pace {
    shared: Arc<SharedPace>,
}

#[derive(Debug)]
struct SharedPace {
    /// The configured rate, in requests per second.
    full: f64,
    /// Held by the next caller while it waits.
    turn: Mutex<()>,
    state: StdMutex<PaceState>,
}

#[derive(Debug)]
struct PaceState {
    /// Current share of the full pace, 0 to 1.
    share: f64,
    /// Time at which the next request may be sent.
    next: Option<Instant>,
    /// No request is sent before this time.
    paused_until: Option<Instant>,
    /// Time at which the pace was last halved.
    halved: Option<Instant>,
}

impl Pace {
    /// Creates a limiter for a number of requests per second, clamped to 0.01 to 10,000; NaN becomes 1.
    #[must_use]
    pub fn new(requests_per_second: f64) -> Self {
        let full = if requests_per_second.is_nan() { 1.0 } else { requests_per_second.clamp(0.01, 10_000.0) };
        let state = PaceState { share: 1.0, next: None, paused_until: None, halved: None };
        Self { shared: Arc::new(SharedPace { full, turn: Mutex::new(()), state: StdMutex::new(state) }) }
    }

    /// Returns the current rate in requests per second; lower than configured after an overload of the provider.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.shared.full * self.state().share
    }

    /// Waits until a request may be sent.
    pub async fn turn(&self) {
        self.turn_when(std::future::ready(())).await;
    }

    /// As [`Pace::turn`], for a request that first needs a slow operation, which is awaited during its turn. The next
    /// turn starts after that.
    pub(super) async fn turn_when<T>(&self, needed: impl Future<Output = T>) -> T {
        let _turn = self.shared.turn.lock().await;
        self.due().await;
        let needed = needed.await;
        // A pause may have started meanwhile.
        let due = self.due().await;
        self.take(due);
        needed
    }

    /// Waits until the next request is due, and returns its due time.
    async fn due(&self) -> Option<Instant> {
        loop {
            let due = {
                let state = self.state();
                state.next.max(state.paused_until)
            };
            match due {
                // Check again after the wait: a pause may have started meanwhile.
                Some(due) if due > Instant::now() => tokio::time::sleep_until(due).await,
                due => return due,
            }
        }
    }

    /// Records a successful request.
    pub(super) fn succeeded(&self) {
        let mut state = self.state();
        state.share = (state.share + RECOVERY).min(1.0);
    }

    /// Records an overload of the provider: halves the pace for all callers, and pauses them as requested.
    pub(super) fn overloaded(&self, pause: Option<Duration>) {
        let now = Instant::now();
        let mut state = self.state();
        if state.halved.is_none_or(|then| now.duration_since(then) >= SAME_OVERLOAD) {
            state.share = (state.share / 2.0).max(SLOWEST);
            state.halved = Some(now);
        }
        if let Some(pause) = pause {
            state.paused_until = state.paused_until.max(Some(now + pause.min(LONGEST_PAUSE)));
        }
    }

    fn take(&self, due: Option<Instant>) {
        let now = Instant::now();
        let mut state = self.state();
        let rate = self.shared.full * state.share;
        let step = Duration::from_secs_f64(1.0 / rate);
        let from = match due {
            Some(due) if rate > COARSE => due.max(now.checked_sub(MADE_UP).unwrap_or(now)),
            _ => now,
        };
        state.next = Some(from + step);
    }

    fn state(&self) -> MutexGuard<'_, PaceState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tasks of a test end with its runtime")]
mod tests {
    use super::*;

    /// Sends as fast as the pace allows from `callers` tasks. Returns the time of each request.
    async fn saturate(pace: &Pace, callers: usize, each: usize) -> Vec<Instant> {
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let pace = pace.clone();
                tokio::spawn(async move {
                    let mut sent = Vec::new();
                    for _ in 0..each {
                        pace.turn().await;
                        sent.push(Instant::now());
                    }
                    sent
                })
            })
            .collect();
        let mut sent = Vec::new();
        for task in tasks {
            sent.extend(task.await.unwrap());
        }
        sent.sort();
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_than_the_pace_and_it_is_used() {
        for rate in [1.0, 5.0, 7.3, 20.0] {
            let sent = saturate(&Pace::new(rate), 8, 25).await;
            for (index, first) in sent.iter().enumerate() {
                for (more, last) in sent[index..].iter().enumerate() {
                    let allowed = rate * last.duration_since(*first).as_secs_f64() + 1.0;
                    assert!((more + 1) as f64 <= allowed + 1e-9, "{} in {:?} at {rate}", more + 1, *last - *first);
                }
            }
            let span = sent.last().unwrap().duration_since(sent[0]).as_secs_f64();
            assert!((sent.len() - 1) as f64 / span >= 0.95 * rate, "{rate}: {} in {span}", sent.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_pace_makes_up_for_coarse_timers_and_no_more() {
        let rate = 500.0;
        let sent = saturate(&Pace::new(rate), 8, 250).await;
        for (index, first) in sent.iter().enumerate().step_by(7) {
            for (more, last) in sent[index..].iter().enumerate() {
                let allowed = rate * (last.duration_since(*first).as_secs_f64() + 0.010) + 1.0;
                assert!((more + 1) as f64 <= allowed + 1e-9, "{} in {:?}", more + 1, *last - *first);
            }
        }
        let span = sent.last().unwrap().duration_since(sent[0]).as_secs_f64();
        assert!((sent.len() - 1) as f64 / span >= 0.95 * rate, "{} in {span}", sent.len());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_time_saves_nothing_up() {
        let pace = Pace::new(10.0);
        pace.turn().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let sent = saturate(&pace, 1, 3).await;
        assert!(sent[2].duration_since(sent[0]) >= Duration::from_millis(200));
    }

    #[tokio::test(start_paused = true)]
    async fn overload_halves_once_for_all_who_see_it_and_recovers() {
        let pace = Pace::new(16.0);
        pace.overloaded(None);
        pace.overloaded(None);
        assert!((pace.rate() - 8.0).abs() < 1e-9, "{}", pace.rate());
        tokio::time::advance(Duration::from_secs(2)).await;
        pace.overloaded(None);
        assert!((pace.rate() - 4.0).abs() < 1e-9);
        for _ in 0..48 {
            pace.succeeded();
        }
        assert!((pace.rate() - 16.0).abs() < 1e-9);
        for _ in 0..100 {
            tokio::time::advance(Duration::from_secs(2)).await;
            pace.overloaded(None);
        }
        assert!(pace.rate() > 0.4, "it never stands still: {}", pace.rate());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_even_those_already_waiting() {
        let pace = Pace::new(10.0);
        pace.turn().await;
        let begin = Instant::now();
        let waiting = tokio::spawn({
            let pace = pace.clone();
            async move {
                pace.turn().await;
                Instant::now()
            }
        });
        tokio::task::yield_now().await;
        pace.overloaded(Some(Duration::from_secs(7)));
        assert!(waiting.await.unwrap().duration_since(begin) >= Duration::from_secs(7));
        pace.overloaded(Some(Duration::from_secs(100_000)));
        let begin = Instant::now();
        pace.turn().await;
        assert!(begin.elapsed() <= LONGEST_PAUSE + Duration::from_secs(1), "a pause is bounded");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_request_needs_first_holds_the_next_ones_back_and_bunches_nothing() {
        let pace = Pace::new(1.0);
        let slow = pace.turn_when(tokio::time::sleep(Duration::from_secs(30)));
        let ((), sent) = tokio::join!(slow, saturate(&pace, 4, 1));
        assert!(sent.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= Duration::from_secs(1)), "{sent:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_uses_nothing() {
        let pace = Pace::new(1.0);
        pace.turn().await;
        let begin = Instant::now();
        for _ in 0..50 {
            let waiting = tokio::time::timeout(Duration::from_millis(1), pace.turn());
            assert!(waiting.await.is_err());
        }
        pace.turn().await;
        assert!(begin.elapsed() <= Duration::from_millis(1_010), "{:?}", begin.elapsed());
    }
}
