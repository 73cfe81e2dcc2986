//! A store in memory with a clock of its own, and actors that take turns at every operation on it by a seeded dice.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use keyhaven::model::{Clock, Timestamp};
use keyhaven::repository::store::{Backend, Cause};
use keyhaven::repository::{ObjectInfo, Retention, Store, StoreError};

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const START: i64 = 1_800_000_000_000;

/// A dice that always falls the same way for a seed (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    /// A time between nothing and `most` milliseconds.
    pub(crate) fn millis(&mut self, most: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(most).unwrap() + 1)).unwrap()
    }
}

/// An object, and what listings show of it while they lag behind.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) modified: Timestamp,
    /// Listings show it from then on.
    pub(crate) shown: Timestamp,
    /// It is gone since then; listings show it until the second.
    pub(crate) gone: Option<(Timestamp, Timestamp)>,
}

/// How the listings of a store misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paging {
    Whole,
    /// The last page is lost.
    DropLast,
    /// The last page of the ledger is lost, and nothing else.
    DropLastOfLedger,
    /// The page with this number, counted from 0, is lost each time.
    DropSame(usize),
    /// Some page is lost, another one each time.
    DropSome,
    /// Nothing is lost, but it comes in no order and some of it twice.
    Shuffled,
    /// Nothing is lost and nothing lags, whatever the store does to others.
    Prompt,
}

/// The store: what is there, and the time.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<String, Stored>,
    pub(crate) now: Timestamp,
    pub(crate) dice: Dice,
    /// Listings lag behind by at most this.
    pub(crate) lag: i64,
    pub(crate) page: usize,
    pub(crate) ledger_changed: bool,
    pub(crate) deletes: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Sim(pub(crate) Arc<Mutex<World>>);

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            objects: BTreeMap::new(),
            now: Timestamp::from_millis(START),
            dice: Dice(seed),
            lag: 0,
            page: 1_000,
            ledger_changed: true,
            deletes: 0,
        })))
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.with(|world| world.now = world.now.plus_millis(millis));
    }

    /// A store for a process that is never interrupted.
    pub(crate) fn store(&self) -> Store {
        self.client(&Turn::free(), Paging::Prompt)
    }

    pub(crate) fn client(&self, turn: &Turn, paging: Paging) -> Store {
        Store::with_backend(Arc::new(Client { sim: self.clone(), turn: turn.clone(), paging }))
    }

    /// The files below a directory as they really are.
    pub(crate) fn files_in(&self, directory: &str) -> Vec<(String, Bytes)> {
        let prefix = format!("{directory}/");
        self.with(|world| {
            let there =
                world.objects.iter().filter(|(path, stored)| path.starts_with(&prefix) && stored.gone.is_none());
            there.map(|(path, stored)| (path.clone(), stored.bytes.clone())).collect()
        })
    }

    pub(crate) fn bytes(&self, path: &str) -> Option<Bytes> {
        self.with(|world| {
            let stored = world.objects.get(path).filter(|stored| stored.gone.is_none())?;
            Some(stored.bytes.clone())
        })
    }

    pub(crate) fn paths(&self, folder: &str) -> Vec<String> {
        let prefix = format!("{folder}/");
        self.with(|world| {
            let there =
                world.objects.iter().filter(|(path, stored)| path.starts_with(&prefix) && stored.gone.is_none());
            there.map(|(path, _)| path.clone()).collect()
        })
    }

    pub(crate) fn edit(&self, path: &str, edit: impl FnOnce(&mut Stored)) {
        self.with(|world| {
            edit(world.objects.get_mut(path).unwrap());
            world.ledger_changed = true;
        });
    }

    pub(crate) fn remove(&self, path: &str) {
        self.with(|world| drop(world.objects.remove(path).unwrap()));
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        self.with(|world| world.put(path, Bytes::copy_from_slice(bytes)));
    }
}

impl Clock for Sim {
    fn now(&self) -> Timestamp {
        self.with(|world| world.now)
    }
}

impl World {
    fn put(&mut self, path: &str, bytes: Bytes) {
        // What is not listed at once stops a backup before its entry, so most objects are; entries lag as they like.
        let lags = path.starts_with("ledger/") || self.dice.one_in(8);
        // Whole seconds, as HTTP writes them.
        let modified = Timestamp::from_millis(self.now.millis() - self.now.millis().rem_euclid(1_000));
        let shown = self.now.plus_millis(if lags { self.dice.millis(self.lag) } else { 0 });
        self.ledger_changed |= path.starts_with("ledger/");
        self.objects.insert(path.to_owned(), Stored { bytes, modified, shown, gone: None });
    }

    fn delete(&mut self, path: &str) {
        let (now, lag) = (self.now, self.dice.millis(self.lag));
        if let Some(stored) = self.objects.get_mut(path).filter(|stored| stored.gone.is_none()) {
            stored.gone = Some((now, now.plus_millis(lag)));
            self.deletes += 1;
        }
    }

    pub(crate) fn there(&self, path: &str) -> Option<&Stored> {
        self.objects.get(path).filter(|stored| stored.gone.is_none())
    }

    fn listing(&mut self, folder: &str, after: Option<&str>, paging: Paging) -> Vec<ObjectInfo> {
        let (prefix, now) = (format!("{folder}/"), self.now);
        let prompt = paging == Paging::Prompt;
        let shown = |stored: &Stored| match stored.gone {
            gone if prompt => gone.is_none(),
            gone => stored.shown <= now && gone.is_none_or(|(_, until)| until > now),
        };
        let inside = |path: &str| path.starts_with(&prefix) && after.is_none_or(|after| path > after);
        let all: Vec<ObjectInfo> = self
            .objects
            .iter()
            .filter(|(path, stored)| inside(path) && shown(stored))
            .map(|(path, stored)| info(path, stored))
            .collect();
        let mut pages: Vec<Vec<ObjectInfo>> = all.chunks(self.page).map(<[ObjectInfo]>::to_vec).collect();
        let lost = match paging {
            Paging::Whole | Paging::Shuffled | Paging::Prompt => None,
            Paging::DropLast => pages.len().checked_sub(1),
            Paging::DropLastOfLedger if folder == "ledger" => pages.len().checked_sub(1),
            Paging::DropLastOfLedger => None,
            Paging::DropSame(number) => Some(number),
            Paging::DropSome => (!pages.is_empty())
                .then(|| usize::try_from(self.dice.below(u64::try_from(pages.len()).unwrap())).unwrap()),
        };
        if let Some(lost) = lost.filter(|lost| *lost < pages.len()) {
            pages.remove(lost);
        }
        let mut listed = pages.concat();
        if paging == Paging::Shuffled {
            for at in 0..listed.len() {
                let other = usize::try_from(self.dice.below(u64::try_from(listed.len()).unwrap())).unwrap();
                listed.swap(at, other);
            }
            let again: Vec<_> = listed.iter().step_by(3).cloned().collect();
            listed.extend(again);
        }
        listed
    }
}

fn info(path: &str, stored: &Stored) -> ObjectInfo {
    ObjectInfo { path: path.to_owned(), size: stored.bytes.len() as u64, modified: stored.modified }
}

/// Whose turn it is: an actor may do one operation on the store a turn.
#[derive(Debug, Clone)]
pub(crate) struct Turn(Arc<Mutex<TurnState>>);

#[derive(Debug, Default)]
struct TurnState {
    free: bool,
    token: bool,
    waiting: bool,
    dead: bool,
    /// One operation in so many kills the actor, and one in so many loses its answer; never when 0.
    deadly: u64,
}

impl Turn {
    pub(crate) fn free() -> Self {
        Self(Arc::new(Mutex::new(TurnState { free: true, ..TurnState::default() })))
    }

    fn taking(deadly: u64) -> Self {
        Self(Arc::new(Mutex::new(TurnState { deadly, ..TurnState::default() })))
    }

    /// Waits for the next turn.
    async fn next(&self) {
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if state.free || std::mem::take(&mut state.token) {
                return Poll::Ready(());
            }
            state.waiting = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// The way of one process to the store.
#[derive(Debug)]
struct Client {
    sim: Sim,
    turn: Turn,
    paging: Paging,
}

impl Client {
    /// One operation in its turn; now and then the process dies before or after it, or never hears the answer.
    async fn operate<T>(&self, work: impl FnOnce(&mut World) -> T) -> Result<T, StoreError> {
        self.turn.next().await;
        let deadly = self.turn.0.lock().unwrap().deadly;
        let (done, dies, lost) = self.sim.with(|world| {
            // Now and then a process is slow; mostly it is not.
            let pause = match world.dice.below(200) {
                0 => world.dice.millis(2 * HOUR),
                1..=9 => world.dice.millis(600_000),
                _ => world.dice.millis(2_000),
            };
            world.now = world.now.plus_millis(pause);
            let fate = if deadly == 0 { u64::MAX } else { world.dice.below(deadly) };
            match fate {
                0 => (None, true, true),
                1 => (Some(work(world)), true, true),
                2 => (Some(work(world)), false, true),
                _ => (Some(work(world)), false, false),
            }
        });
        if dies {
            self.turn.0.lock().unwrap().dead = true;
        }
        match done.filter(|_| !lost) {
            Some(done) => Ok(done),
            None => Err(StoreError::Unreachable {
                what: "operate".to_owned(),
                place: self.place(),
                source: Cause::new("planned"),
            }),
        }
    }
}

#[async_trait]
impl Backend for Client {
    async fn get(&self, path: &str, _limit: usize) -> Result<Bytes, StoreError> {
        let found = self.operate(|world| world.there(path).map(|stored| stored.bytes.clone())).await?;
        found.ok_or_else(|| StoreError::NotFound { path: path.to_owned(), place: self.place() })
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.operate(|world| world.put(path, bytes)).await
    }

    async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<ObjectInfo>, StoreError> {
        self.operate(|world| world.listing(folder, after, self.paging)).await
    }

    async fn delete(&self, path: &str) -> Result<(), StoreError> {
        self.operate(|world| world.delete(path)).await
    }

    async fn retention(&self, path: &str) -> Result<Option<Retention>, StoreError> {
        Ok(self.head(path).await?.map(Retention::none))
    }

    async fn head(&self, path: &str) -> Result<Option<ObjectInfo>, StoreError> {
        self.operate(|world| world.there(path).map(|stored| info(path, stored))).await
    }

    fn clock(&self) -> Option<Timestamp> {
        Some(self.sim.now())
    }

    fn shares_clock(&self) -> bool {
        false
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// Something that runs in turns with others.
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) turn: Turn,
    work: Pin<Box<dyn Future<Output = String>>>,
}

/// What one turn came to.
pub(crate) enum Step {
    Goes,
    Died,
    Ended(String),
}

impl Actor {
    /// An actor that dies in one operation of so many, and loses an answer in one of so many; never with 0.
    pub(crate) fn new<F: Future<Output = String> + 'static>(
        name: impl Into<String>,
        deadly: u64,
        work: impl FnOnce(Turn) -> F,
    ) -> Self {
        let turn = Turn::taking(deadly);
        Self { name: name.into(), turn: turn.clone(), work: Box::pin(work(turn)) }
    }

    /// Lets it do one operation, and all that it does without the store until it wants the next one.
    pub(crate) async fn step(&mut self) -> Step {
        {
            let mut state = self.turn.0.lock().unwrap();
            (state.token, state.waiting) = (true, false);
        }
        poll_fn(|context| {
            let polled = self.work.as_mut().poll(context);
            let state = self.turn.0.lock().unwrap();
            match polled {
                _ if state.dead => Poll::Ready(Step::Died),
                Poll::Ready(said) => Poll::Ready(Step::Ended(said)),
                Poll::Pending if state.waiting && !state.token => Poll::Ready(Step::Goes),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
