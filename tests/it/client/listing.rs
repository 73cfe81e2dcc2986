//! The client lists: pages that add up or are refused, revisions, what rows show and is cut out.

use keyhaven::provider::{InstanceError, InstanceInventory, Listed, Readable};

use crate::kit::client::{but_nth, list};
use crate::kit::mock_instance::{Mock, Reply, World, id, locks_row, page, secret_row};

#[tokio::test]
async fn a_listing_is_whole_in_key_order_and_costs_what_it_must() {
    let mut world = World::of(2_300);
    world.registration = Some(r#"{"event_notifications_instance_crn":"crn:en"}"#.to_owned());
    world.groups.push(r#"{"id":"1234","name":"a","updated_at":"2026-01-01T00:00:00Z"}"#.to_owned());
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let client = mock.client();
    let (listing, inventory) = list(&client).await;
    let listing = listing.unwrap();
    assert!(listing.steady);
    assert_eq!(listing.items, 2_304);
    assert_eq!(listing.instance.as_deref(), Some("crn:v1:bluemix:public:secrets-manager:eu-de:a/1:inst::"));
    assert!(listing.started <= listing.ended && client.provider_now().unwrap() >= listing.ended);
    let keys = inventory.keys();
    assert_eq!(keys.len(), 2_304);
    assert_eq!(keys[0], "configuration/public_cert_configuration_ca_lets_encrypt/le");
    assert_eq!(keys[1..4], ["group/1234", "group/default", "registration"]);
    assert_eq!(keys[4], format!("secret/{}", id(0)));
    let requests = client.requests();
    assert_eq!((requests.listing, requests.reading, requests.retried), (3 + 3 + 3, 0, 0));
    assert!(mock.requests().iter().filter(|seen| seen.path == "/secrets").all(|seen| seen.query["sort"] == "id"));
    let listed = inventory.secret(7);
    assert_eq!((listed.item.name.as_str(), listed.item.group.as_deref()), ("s7", Some("default")));
    assert_eq!(listed.item.docs.keys().collect::<Vec<_>>(), ["locks_row", "row"]);
    assert_eq!(listed.item.docs["row"].get(), secret_row(7, "arbitrary", 1, ""));
    assert_eq!(listed.readable, Readable::Payloads);
}

#[tokio::test]
async fn the_list_of_locks_may_come_in_any_order() {
    let mut world = World::of(4_500);
    world.locks.reverse();
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let (listing, inventory) = list(&mock.client()).await;
    assert!(listing.unwrap().steady);
    for n in 0..4_500 {
        assert_eq!(inventory.items[n + 2].item.docs["locks_row"].get(), locks_row(n, 1, ""));
    }
}

/// Pages that do not add up, each answered to the second page of secrets (1,500 secrets).
fn broken_pages() -> Vec<(&'static str, String)> {
    let rows: Vec<String> = (0..1_500).map(|n| secret_row(n, "arbitrary", 1, "")).collect();
    let page = |total: &str, offset: usize, rows: &[String]| {
        format!(r#"{{"total_count":{total},"limit":1000,"offset":{offset},"secrets":[{}]}}"#, rows.join(","))
    };
    let mut swapped = rows[1_000..].to_vec();
    swapped.swap(3, 4);
    let mut doubled = rows[1_000..].to_vec();
    doubled[10] = doubled[9].clone();
    vec![
        ("the first page again", page("1500", 0, &rows[..1_000])),
        ("the first page again, as if it were the second", page("1500", 1_000, &rows[..500])),
        ("one row repeated from the page before", page("1500", 1_000, &rows[999..1_499])),
        ("a row missing", page("1500", 1_000, &rows[1_001..])),
        ("empty", page("1500", 1_000, &[])),
        ("a total of zero with rows", page("0", 1_000, &rows[1_000..])),
        ("a total that is no number", page("\"1500\"", 1_000, &rows[1_000..])),
        ("not sorted", page("1500", 1_000, &swapped)),
        ("a row twice", page("1500", 1_000, &doubled)),
        ("no list", r#"{"total_count":1500,"limit":1000,"offset":1000}"#.to_owned()),
        ("a list that is none", r#"{"total_count":1500,"limit":1000,"offset":1000,"secrets":{}}"#.to_owned()),
        ("rows that are none", page("1500", 1_000, &vec!["7".to_owned(); 500])),
        ("an error with status 200", r#"{"errors":[]}"#.to_owned()),
        ("a list", "[]".to_owned()),
    ]
}

#[tokio::test]
async fn pages_that_do_not_add_up_are_never_a_shorter_list() {
    for (name, broken) in broken_pages() {
        let (world, reply) = (World::of(1_500), Reply::ok(broken));
        let mock = Mock::start(move |seen| {
            let second = seen.path == "/secrets" && seen.number("offset") > 0;
            if second { reply.clone() } else { world.answer(seen) }
        })
        .await;
        let (listing, inventory) = list(&mock.client()).await;
        let error = listing.unwrap_err();
        match error {
            InstanceError::Incomplete { .. } => assert_eq!(inventory.restarts, 2, "{name}"),
            InstanceError::Malformed { .. } => {}
            other => panic!("{name}: {other}"),
        }
    }
}

#[tokio::test]
async fn a_listing_that_slipped_once_starts_over_if_the_sink_can() {
    let rows: Vec<String> = (999..1_499).map(|n| secret_row(n, "arbitrary", 1, "")).collect();
    let slipped = format!(r#"{{"total_count":1500,"limit":1000,"offset":1000,"secrets":[{}]}}"#, rows.join(","));
    let mock = Mock::start(but_nth(World::of(1_500), "GET /secrets", 1, Reply::ok(slipped.clone()))).await;
    let (listing, inventory) = list(&mock.client()).await;
    assert!(listing.unwrap().steady);
    assert_eq!((inventory.items.len(), inventory.restarts), (1_502, 1));

    let mock = Mock::start(but_nth(World::of(1_500), "GET /secrets", 1, Reply::ok(slipped))).await;
    let mut taken = 0;
    let error = mock.client().list(&mut |_: Listed| taken += 1).await.unwrap_err();
    assert!(matches!(error, InstanceError::Incomplete { .. }), "a closure cannot forget: {error}");
}

#[tokio::test]
async fn rows_that_slip_because_the_total_moved_are_passed_over_and_told() {
    // A secret is created in front between the two pages.
    let (before, after) = (World::of(1_500), World::of(1_501));
    let mock = Mock::start(move |seen| {
        let mut seen = seen.clone();
        if seen.path == "/secrets" && seen.number("offset") == 0 {
            // The first page shows what comes after the new one.
            let rows: Vec<String> = (1..1_501).map(|n| secret_row(n, "arbitrary", 1, "")).collect();
            return page("secrets", &rows, &seen);
        }
        if seen.path == "/secrets" {
            return after.answer(&seen);
        }
        seen.query.remove("x");
        before.answer(&seen)
    })
    .await;
    let (listing, inventory) = list(&mock.client()).await;
    assert!(!listing.unwrap().steady);
    assert_eq!(inventory.items.len(), 2 + 1_500, "the new one was missed, which the next listing will show");
}

#[tokio::test]
async fn a_secret_without_its_row_of_locks_makes_the_listing_unsteady() {
    let mut world = World::of(5);
    world.locks.remove(2);
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let (listing, inventory) = list(&mock.client()).await;
    assert!(!listing.unwrap().steady);
    assert!(!inventory.secret(2).item.docs.contains_key("locks_row"));
    assert_eq!(inventory.secret(2).settled, None, "without it, updated_at is the only sign of a new version");

    let mut world = World::of(5);
    world.locks.push(locks_row(9, 1, ""));
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    assert!(!list(&mock.client()).await.0.unwrap().steady, "a row without its secret");

    let mut world = World::of(5);
    world.locks[4] = world.locks[3].clone();
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    assert!(matches!(list(&mock.client()).await.0, Err(InstanceError::Incomplete { .. })), "a row twice");
}

#[tokio::test]
async fn an_item_whose_updated_at_cannot_be_read_counts_as_young_as_the_answer() {
    let mut world = World::of(2);
    world.secrets[0] = world.secrets[0].replacen(r#""updated_at":""#, r#""updated_at":"about "#, 1);
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let (listing, inventory) = list(&mock.client()).await;
    let (listing, young) = (listing.unwrap(), inventory.secret(0).updated_at.unwrap());
    assert!((listing.started..=listing.ended).contains(&young), "{young}");
    assert!(inventory.secret(1).updated_at.unwrap() < listing.started);
}

#[tokio::test]
async fn secrets_of_two_instances_are_no_listing() {
    let mut world = World::of(2);
    world.secrets[1] = world.secrets[1].replace(":inst:", ":other:");
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    assert!(matches!(list(&mock.client()).await.0, Err(InstanceError::Incomplete { .. })));
}

#[tokio::test]
async fn groups_whose_total_does_not_fit_are_refused() {
    let world = World::of(1);
    let mock = Mock::start(move |seen| match seen.path.as_str() {
        "/secret_groups" => Reply::ok(r#"{"secret_groups":[{"id":"default"}],"total_count":2}"#),
        _ => world.answer(seen),
    })
    .await;
    assert!(matches!(mock.client().groups().await, Err(InstanceError::Incomplete { .. })));
}

#[tokio::test]
async fn an_empty_instance_is_an_empty_listing() {
    let mock = Mock::start(|seen| World::of(0).answer(seen)).await;
    let (listing, inventory) = list(&mock.client()).await;
    let listing = listing.unwrap();
    assert!(listing.steady && listing.instance.is_none());
    assert_eq!(inventory.keys().len(), 2);
}

#[tokio::test]
async fn revisions_follow_changes_and_not_our_own_reads() {
    let read = secret_row(0, "arbitrary", 1, r#","retrieved_at":"2026-02-02T00:00:00Z""#)
        .replace(r#""downloaded":false"#, r#""downloaded":true"#);
    let touched = read.replace("2026-01-01", "2026-01-02");
    let labelled = secret_row(0, "arbitrary", 1, r#","labels":["x"]"#);
    let mut found = Vec::new();
    for row in [secret_row(0, "arbitrary", 1, ""), read, touched, labelled] {
        let mut world = World::of(1);
        world.secrets[0] = row;
        let mock = Mock::start(move |seen| world.answer(seen)).await;
        let (_, inventory) = list(&mock.client()).await;
        found.push((inventory.secret(0).revision, inventory.secret(0).settled.unwrap()));
    }
    assert_eq!(found[0], found[1]);
    assert_ne!(found[1].0, found[2].0);
    assert_eq!(found[1].1, found[2].1, "only updated_at moved");
    assert!(found[3].0 != found[0].0 && found[3].1 != found[0].1);
    let mut world = World::of(1);
    world.locks[0] = locks_row(0, 1, r#""l""#);
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let (_, inventory) = list(&mock.client()).await;
    assert_ne!(inventory.secret(0).revision, found[0].0, "a lock");
}

#[tokio::test]
async fn keys_that_rows_show_are_cut_out_and_kept_apart() {
    let mut world = World::of(2);
    let more = r#","managed_csr":{"csr":"C","private_key":"canary-key"}"#;
    world.secrets[0] = secret_row(0, "imported_cert", 1, more);
    world.secrets[1] = secret_row(1, "quantum_token", 1, r#","payload":"canary-payload","spin":0.5"#);
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let (_, inventory) = list(&mock.client()).await;
    let certificate = inventory.secret(0);
    assert!(certificate.item.docs["row"].get().contains(r#""managed_csr":{"csr":"C"}"#));
    assert_eq!(certificate.withheld.as_ref().unwrap().expose(), r#"{"row/managed_csr/private_key":"canary-key"}"#);
    let unknown = inventory.secret(1);
    assert!(unknown.item.docs["row"].get().contains(r#""spin":0.5"#));
    assert_eq!(unknown.withheld.as_ref().unwrap().expose(), r#"{"row/payload":"canary-payload"}"#);
    assert_eq!(unknown.readable, Readable::MetadataOnly);
    assert_eq!(unknown.item.class.as_str(), "definition_only");
    assert!(!format!("{:?}", inventory.items).contains("canary-"), "not even in debug output");
}

// Reading.
