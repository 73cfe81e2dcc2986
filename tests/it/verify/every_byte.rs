//! Every byte of a small repository: whichever is flipped, a check fails with 13 and names the object, nothing else is
//! accused, and what can still be restored is restored. What is no failure stands in [`World`], each with its reason.
//!
//! The same as `keyhaven verify --level payload` does, in this process. A share of the bytes each time; every byte of every
//! object, for every host, with `KEYHAVEN_TEST_LONG=1`.

use std::collections::BTreeSet;

use bytes::Bytes;
use keyhaven::format::names;

use crate::kit::environment::is_long;
use crate::kit::small_world::{HOSTS, Host, Trial, World, try_all};

/// Who looks at an object: what only its own name decides is the same for everybody.
pub(crate) fn onlookers(name: &str) -> &'static [Host] {
    let judged = [names::LEDGER, names::TRUST].iter().any(|directory| name.starts_with(&format!("{directory}/")));
    if judged { &HOSTS } else { &[Host::Reader] }
}

/// Which bytes of an object are flipped: in a share the first and the last ones, those that make the structure of JSON,
/// and some between.
fn positions(name: &str, bytes: &[u8]) -> Vec<usize> {
    if is_long() {
        return (0..bytes.len()).collect();
    }
    let sealed = name.ends_with(".age");
    let edge = if sealed { 8 } else { 2 };
    let edges = (0..edge).chain(bytes.len() - edge..bytes.len());
    let json = name.ends_with(".json") || name.ends_with(".jsonl");
    let structure = bytes.iter().enumerate().filter(|(_, byte)| json && b"{}[]:,\"".contains(byte)).map(|(at, _)| at);
    // A prime, so that the bits vary, too.
    let some = (0..bytes.len()).step_by(if bytes.len() > 65_536 { 8_191 } else { 127 });
    edges.chain(structure).chain(some).collect::<BTreeSet<_>>().into_iter().collect()
}

#[tokio::test]
async fn nothing_is_found_in_a_whole_repository() {
    let world = World::new().await;
    for host in HOSTS {
        let report = world.verify(host, world.bucket([])).await;
        assert!(report.ok && report.warnings.is_empty(), "{host:?}: {report:#?}");
        let counts = &report.counts;
        assert_eq!((counts.entries, counts.snapshots, counts.packs, counts.payloads), (5, 3, 3, 3), "{host:?}");
        // Instructions, and of each snapshot a list, a part and a pack.
        assert_eq!(counts.objects, 1 + 3 * 3, "{host:?}");
        world.restores(host, &[]).await.unwrap();
    }
    // Else the rest would look at less than everything.
    assert_eq!(world.objects.len(), 2 + 2 + 5 + 3 * 3);
}

#[test]
fn every_byte_that_is_flipped_is_found_and_named() {
    let world = tokio::runtime::Runtime::new().unwrap().block_on(World::new());
    let trials = world.objects.iter().flat_map(|(name, whole)| {
        positions(name, whole).into_iter().flat_map(move |at| {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1 << (at % 8);
            let bytes = Bytes::from(bytes);
            let all = onlookers(name);
            let hosts = if is_long() { all } else { &all[at % all.len()..=at % all.len()] };
            hosts.iter().map(move |host| Trial {
                host: *host,
                what: format!("byte {at} of {name}"),
                changed: vec![(name.clone(), Some(bytes.clone()))],
                restores: at / 3 % 3 == 0,
            })
        })
    });
    let (tried, failed) = try_all(&world, trials);
    assert!(tried > 500 && failed > tried / 2 && failed < tried, "{failed} of {tried}");
}
