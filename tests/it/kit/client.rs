//! What the tests of the client share: a sink, bodies, and a provider that gives one answer wrongly.

use std::sync::atomic::{AtomicUsize, Ordering};

use keyhaven::model::Payload;
use keyhaven::model::json::JsonObject;
use keyhaven::provider::ibm::Client;
use keyhaven::provider::{CompleteListing, InstanceError, InstanceInventory, Listed, RequestBody, Sink};
use zeroize::Zeroizing;

use super::mock_instance::{Reply, Seen, World, id};

/// Takes everything in and can start over.
#[derive(Default)]
pub(crate) struct Inventory {
    pub(crate) items: Vec<Listed>,
    pub(crate) restarts: usize,
}

impl Sink for Inventory {
    fn take(&mut self, listed: Listed) {
        if let Some(last) = self.items.last() {
            assert!(last.item.key < listed.item.key, "{} after {}", listed.item.key, last.item.key);
        }
        self.items.push(listed);
    }

    fn restart(&mut self) -> bool {
        self.items.clear();
        self.restarts += 1;
        true
    }
}

impl Inventory {
    pub(crate) fn keys(&self) -> Vec<String> {
        self.items.iter().map(|listed| listed.item.key.to_string()).collect()
    }

    pub(crate) fn secret(&self, n: usize) -> &Listed {
        self.items.iter().find(|listed| listed.item.key.id() == id(n)).unwrap()
    }
}

pub(crate) async fn list(client: &Client) -> (Result<CompleteListing, InstanceError>, Inventory) {
    let mut inventory = Inventory::default();
    (client.list(&mut inventory).await, inventory)
}

pub(crate) fn object(text: &str) -> JsonObject {
    JsonObject::parse(text).unwrap()
}

pub(crate) fn body(text: &str) -> RequestBody {
    RequestBody::new(object(text))
}

pub(crate) fn payload(text: &str) -> Payload {
    Payload::new(Zeroizing::new(text.to_owned()))
}

/// Answers by the world, but the n-th matching request (from 0) by something else.
pub(crate) fn but_nth(
    world: World,
    call: &'static str,
    nth: usize,
    reply: Reply,
) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let count = AtomicUsize::new(0);
    move |seen| {
        if seen.call() == call && count.fetch_add(1, Ordering::Relaxed) == nth {
            reply.clone()
        } else {
            world.answer(seen)
        }
    }
}
