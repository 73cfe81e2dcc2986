//! The client against an instance that misbehaves on demand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyhaven::instance::ibm::api::Which;
use keyhaven::instance::ibm::{Body, Client, Filter};
use keyhaven::instance::{InstanceError, Listed, Listing, Presence, Readable, Sink, Source};
use keyhaven::model::json::Object;
use keyhaven::model::{ItemKey, Payload};
use zeroize::Zeroizing;

use crate::mock_instance::{API_KEY, CA, Mock, Reply, Seen, World, id, locks_row, page, secret_row};

/// Takes everything in and can start over.
#[derive(Default)]
struct Inventory {
    items: Vec<Listed>,
    restarts: usize,
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
    fn keys(&self) -> Vec<String> {
        self.items.iter().map(|listed| listed.item.key.to_string()).collect()
    }

    fn secret(&self, n: usize) -> &Listed {
        self.items.iter().find(|listed| listed.item.key.id() == id(n)).unwrap()
    }
}

async fn list(client: &Client) -> (Result<Listing, InstanceError>, Inventory) {
    let mut inventory = Inventory::default();
    (client.list(&mut inventory).await, inventory)
}

fn object(text: &str) -> Object {
    Object::parse(text).unwrap()
}

fn body(text: &str) -> Body {
    Body::new(&object(text))
}

fn payload(text: &str) -> Payload {
    Payload::new(Zeroizing::new(text.to_owned()))
}

/// Answers by the world, but the n-th matching request (from 0) by something else.
fn but_nth(world: World, call: &'static str, nth: usize, reply: Reply) -> impl Fn(&Seen) -> Reply + Send + Sync {
    let count = AtomicUsize::new(0);
    move |seen| {
        if seen.call() == call && count.fetch_add(1, Ordering::Relaxed) == nth {
            reply.clone()
        } else {
            world.answer(seen)
        }
    }
}

// Tokens.

#[tokio::test]
async fn the_key_is_exchanged_once_and_the_token_sent() {
    let mock = Mock::start(|seen| World::of(3).answer(seen)).await;
    let client = mock.client();
    list(&client).await.0.unwrap();
    let exchanges = mock.exchanges();
    assert_eq!(exchanges.len(), 1);
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(exchanges[0].body.as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ibm:params:oauth:grant-type:apikey");
    assert_eq!(form["apikey"], API_KEY);
    assert_eq!(form["response_type"], "cloud_iam");
    assert_eq!(exchanges[0].headers["content-type"], "application/x-www-form-urlencoded");
    assert!(mock.requests().iter().all(|seen| seen.headers["authorization"] == "Bearer head.body.1"));
    assert_eq!(client.requests().tokens, 1);
}

#[tokio::test]
async fn a_refused_key_says_so_and_is_not_shown() {
    let refusal = format!(r#"{{"errorCode":"BXNIM0415E","errorMessage":"key {API_KEY} could not be found."}}"#);
    let mock = Mock::start(move |_| Reply::Is(400, refusal.clone())).await;
    let error = mock.client().groups().await.unwrap_err();
    assert!(matches!(error, InstanceError::Unauthenticated { .. }), "{error}");
    assert!(error.to_string().contains("BXNIM0415E") && !error.to_string().contains(API_KEY), "{error}");
    assert_eq!((mock.exchanges().len(), mock.calls().len()), (1, 0));
}

#[tokio::test]
async fn a_401_costs_a_new_token_and_a_retry_and_three_of_them_in_vain_are_a_failure() {
    let mock = Mock::start(but_nth(World::of(1), "GET /secret_groups", 0, Reply::error(401))).await;
    let client = mock.client();
    client.groups().await.unwrap();
    assert_eq!((mock.exchanges().len(), client.requests().retried), (2, 1));
    assert_eq!(mock.requests()[1].headers["authorization"], "Bearer head.body.3");

    // A token may die twice by chance while one request is on its way.
    let (world, asked) = (World::of(1), AtomicUsize::new(0));
    let mock = Mock::start(move |seen| match seen.call().as_str() {
        "GET /secret_groups" if asked.fetch_add(1, Ordering::Relaxed) < 2 => Reply::error(401),
        _ => world.answer(seen),
    })
    .await;
    let client = mock.client();
    client.groups().await.unwrap();
    assert_eq!((mock.exchanges().len(), client.requests().retried), (3, 2));

    let mock = Mock::start(|seen| if seen.method == "GET" { Reply::error(401) } else { Reply::error(404) }).await;
    let error = mock.client().groups().await.unwrap_err();
    assert!(matches!(&error, InstanceError::Unauthenticated { message, .. } if message.contains("said no")), "{error}");
    assert_eq!((mock.exchanges().len(), mock.calls().len()), (4, 4), "and no more: a refused identity is no loop");
}

// Refusals and lost answers.

#[tokio::test]
async fn every_refusal_of_every_list_fails_the_listing_by_its_own_name() {
    for call in ["GET /configurations", "GET /secret_groups", "GET /secrets_locks", "GET /secrets"] {
        for status in [302, 400, 401, 403, 404, 409, 412, 429, 500, 503] {
            let world = World::of(5);
            let mock =
                Mock::start(move |seen| if seen.call() == call { Reply::error(status) } else { world.answer(seen) })
                    .await;
            let error = list(&mock.client()).await.0.unwrap_err();
            let fits = match status {
                401 => matches!(error, InstanceError::Unauthenticated { .. }),
                403 => matches!(error, InstanceError::Forbidden { .. }),
                404 => matches!(error, InstanceError::Gone { .. }),
                429 | 500 | 503 => {
                    matches!(error, InstanceError::Overloaded { status: s, attempts: 3, .. } if s == status)
                }
                _ => matches!(error, InstanceError::Refused { status: s, .. } if s == status),
            };
            assert!(fits, "{call} {status}: {error}");
            assert_eq!(error.kind(), keyhaven::model::FailureKind::Instance);
            let asked = mock.calls().iter().filter(|asked| *asked == call).count();
            let wanted = match status {
                401 => 4,
                429 | 500 | 503 => 3,
                _ => 1,
            };
            assert_eq!(asked, wanted, "{call} {status}");
        }
    }
}

#[tokio::test]
async fn a_read_survives_one_bad_answer_and_not_three() {
    let bad = [
        Reply::error(429),
        Reply::error(503),
        Reply::ok(""),
        Reply::ok("{\"secrets\":["),
        Reply::Cut(r#"{"total_count":0,"secrets":[]}"#.to_owned()),
        Reply::Drop,
    ];
    for reply in bad {
        let mock = Mock::start(but_nth(World::of(4), "GET /secrets", 0, reply.clone())).await;
        let client = mock.client();
        let (listing, inventory) = list(&client).await;
        assert!(listing.unwrap().steady, "{reply:?}");
        assert_eq!(inventory.items.len(), 6);
        assert_eq!(client.requests().retried, 1, "{reply:?}");

        let (world, always) = (World::of(4), reply.clone());
        let mock =
            Mock::start(move |seen| if seen.call() == "GET /secrets" { always.clone() } else { world.answer(seen) })
                .await;
        let error = list(&mock.client()).await.0.unwrap_err();
        let fits = match reply {
            Reply::Is(200, _) => matches!(error, InstanceError::Malformed { .. }),
            Reply::Is(..) => matches!(error, InstanceError::Overloaded { .. }),
            _ => matches!(error, InstanceError::Unreachable { .. }),
        };
        assert!(fits, "{reply:?}: {error}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_time_out() {
    let mock = Mock::start(|seen| if seen.method == "GET" { Reply::Silence } else { Reply::error(404) }).await;
    let mut settings = mock.settings();
    settings.timeouts.read = Duration::from_millis(50);
    settings.retry.attempts = 2;
    let error = Client::new(settings).unwrap().groups().await.unwrap_err();
    assert!(matches!(error, InstanceError::Unreachable { .. }), "{error}");
    assert_eq!(mock.calls().len(), 2);
}

#[tokio::test]
async fn nobody_there_is_unreachable_with_the_host() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mock = Mock::start(|_| Reply::error(404)).await;
    let mut settings = mock.settings();
    settings.base_url = format!("http://{address}");
    let error = Client::new(settings).unwrap().groups().await.unwrap_err();
    assert!(matches!(&error, InstanceError::Unreachable { host, .. } if *host == address.to_string()), "{error}");
}

#[tokio::test]
async fn tls_trusts_the_configured_authority_and_no_unknown_one() {
    let mock = Mock::start_tls(|seen| World::of(1).answer(seen)).await;
    let error = mock.client().groups().await.unwrap_err();
    assert!(matches!(error, InstanceError::Unreachable { .. }), "{error}");
    assert!(mock.exchanges().is_empty(), "the API key was shown to somebody unknown");
    let mut settings = mock.settings();
    settings.ca_pem = Some(CA.to_vec());
    assert_eq!(Client::new(settings).unwrap().groups().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Mock::start(|_| Reply::ok("{}")).await;
    let target: &'static str = Box::leak(format!("{}/api/v2/secret_groups", elsewhere.url).into_boxed_str());
    let mock = Mock::start(move |seen| match seen.method.as_str() {
        "GET" => Reply::With(307, "Location", target, String::new()),
        _ => Reply::error(404),
    })
    .await;
    let error = mock.client().groups().await.unwrap_err();
    assert!(matches!(error, InstanceError::Refused { status: 307, .. }), "{error}");
    assert!(elsewhere.calls().is_empty(), "the token went elsewhere");
}

#[tokio::test]
async fn overload_slows_all_clients_of_the_instance_and_retry_after_holds_them() {
    let reply = Reply::With(429, "Retry-After", "1", String::new());
    let mock = Mock::start(but_nth(World::of(1), "GET /secret_groups", 0, reply)).await;
    let one = mock.client();
    let other = Client::with_pace(mock.settings(), one.pace()).unwrap();
    let begin = std::time::Instant::now();
    let first = tokio::spawn(async move { one.groups().await });
    while mock.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    first.await.unwrap().unwrap();
    other.registration().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "asked to wait a second");
    assert!(other.pace().rate() < 10_000.0, "the other goes slower too");
}

// Writes.

#[tokio::test]
async fn a_post_is_never_sent_twice_unless_it_certainly_was_not_taken() {
    let unknown =
        [Reply::error(500), Reply::error(502), Reply::error(504), Reply::Drop, Reply::ok(""), Reply::Cut("{}".into())];
    for reply in unknown {
        let always = reply.clone();
        let mock = Mock::start(move |seen| match seen.path.as_str() {
            "/secrets" => always.clone(),
            _ => Reply::error(404),
        })
        .await;
        let error = mock.client().create_secret(&body(r#"{"name":"n"}"#)).await.unwrap_err();
        assert!(matches!(error, InstanceError::Unanswered { .. }), "{reply:?}: {error}");
        assert_eq!(mock.calls(), ["POST /secrets"], "{reply:?}");
    }
    let taken = AtomicUsize::new(0);
    let mock = Mock::start(move |seen| match seen.path.as_str() {
        "/secrets" if taken.fetch_add(1, Ordering::Relaxed) < 2 => Reply::error(429),
        "/secrets" => Reply::Is(201, r#"{"id":"1","secret_type":"kv","data":{"x":1e400}}"#.to_owned()),
        _ => Reply::error(404),
    })
    .await;
    let created = mock.client().create_secret(&body(r#"{"name":"n"}"#)).await.unwrap();
    assert_eq!(created.metadata.to_raw().get(), r#"{"id":"1","secret_type":"kv"}"#);
    assert_eq!(created.payload.unwrap().expose(), r#"{"data":{"x":1e400}}"#);
    assert_eq!(mock.calls().len(), 3);
}

#[tokio::test]
async fn patches_and_deletes_are_sent_again() {
    let count = AtomicUsize::new(0);
    let mock = Mock::start(move |seen| match seen.method.as_str() {
        "POST" => Reply::error(404),
        _ if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) => Reply::error(503),
        "DELETE" => Reply::Is(204, String::new()),
        _ => Reply::ok(r#"{"id":"1","secret_type":"kv"}"#),
    })
    .await;
    let client = mock.client();
    client.update_secret_metadata("1", &body(r#"{"description":null}"#)).await.unwrap();
    client.delete_secret("1").await.unwrap();
    let calls = ["PATCH /secrets/1/metadata", "PATCH /secrets/1/metadata", "DELETE /secrets/1", "DELETE /secrets/1"];
    assert_eq!(mock.calls(), calls);
    let seen = &mock.requests()[0];
    assert_eq!(seen.headers["content-type"], "application/merge-patch+json");
    assert_eq!(seen.body, r#"{"description":null}"#);
    assert_eq!((client.requests().writing, client.requests().retried), (4, 2));
}

#[tokio::test]
async fn every_write_goes_to_its_place_digit_for_digit() {
    let mock = Mock::start(|seen| match seen.method.as_str() {
        "DELETE" if seen.path.ends_with("locks_bulk") => Reply::ok("{}"),
        "DELETE" => Reply::Is(204, String::new()),
        _ if seen.path == "/identity/token" => Reply::error(404),
        _ => Reply::Is(201, "{}".to_owned()),
    })
    .await;
    let client = mock.client();
    let any = body("{}");
    client.create_group(&any).await.unwrap();
    client.update_group("g", &any).await.unwrap();
    client.delete_group("g").await.unwrap();
    client.create_version("s", &Body::with_payload(&object("{}"), &payload(r#"{"payload":"x"}"#))).await.unwrap();
    client.update_version_metadata("s", Which::Id("v"), &any).await.unwrap();
    client.add_locks("s", None, &any).await.unwrap();
    client.add_locks("s", Some(Which::Previous), &any).await.unwrap();
    client.remove_locks("s", Some(Which::Current), &["a", "b"]).await.unwrap();
    client.create_configuration(&any).await.unwrap();
    client.update_configuration("na/me", "type", &any).await.unwrap();
    client.delete_configuration("name", "type").await.unwrap();
    client.create_registration(&any).await.unwrap();
    client.delete_registration().await.unwrap();
    let wanted = [
        "POST /secret_groups",
        "PATCH /secret_groups/g",
        "DELETE /secret_groups/g",
        "POST /secrets/s/versions",
        "PATCH /secrets/s/versions/v/metadata",
        "POST /secrets/s/locks_bulk",
        "POST /secrets/s/versions/previous/locks_bulk",
        "DELETE /secrets/s/versions/current/locks_bulk",
        "POST /configurations",
        "PATCH /configurations/na%2Fme",
        "DELETE /configurations/name",
        "POST /notifications/registration",
        "DELETE /notifications/registration",
    ];
    assert_eq!(mock.calls(), wanted);
    let seen = mock.requests();
    assert_eq!(seen[3].body, r#"{"payload":"x"}"#);
    assert_eq!(seen[7].query["name"], "a,b");
    assert!(seen.iter().all(|seen| !seen.query.contains_key("mode")), "a lock mode can destroy a version");
    assert_eq!(seen[9].headers["x-sm-accept-configuration-type"], "type");
}

#[tokio::test]
async fn requests_that_would_hit_more_than_meant_are_not_sent() {
    let mock = Mock::start(|_| Reply::error(404)).await;
    let client = mock.client();
    for error in [
        client.remove_locks("s", None, &[]).await.map(|_| ()).unwrap_err(),
        client.remove_locks("s", None, &[""]).await.map(|_| ()).unwrap_err(),
        client.delete_secret("").await.unwrap_err(),
        client.delete_secret("..").await.unwrap_err(),
        client.delete_group(".").await.unwrap_err(),
    ] {
        assert!(matches!(error, InstanceError::Unsafe { .. }), "{error}");
    }
    assert!(mock.calls().is_empty());
}

#[tokio::test]
async fn a_refusal_that_repeats_the_payload_is_withheld() {
    let mock = Mock::start(|seen| match seen.path.as_str() {
        "/secrets" => Reply::Is(400, r#"{"errors":[{"code":"c","message":"`hunter2secret` is no PEM"}]}"#.to_owned()),
        _ => Reply::error(404),
    })
    .await;
    let body = Body::with_payload(&object(r#"{"name":"n"}"#), &payload(r#"{"payload":"hunter2secret"}"#));
    let error = mock.client().create_secret(&body).await.unwrap_err();
    assert!(matches!(error, InstanceError::Refused { status: 400, .. }), "{error}");
    assert!(!format!("{error} {error:?} {body:?}").contains("hunter2"), "{error:?}");
}

// Listing.

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

/// A secret with versions `v1` to `vN`, of which the last two have a payload.
fn versions_world(secret_type: &'static str, versions: usize, more: &'static str, locks: &'static str) -> World {
    let mut world = World::of(1);
    world.secrets[0] = secret_row(0, secret_type, versions, more);
    world.locks[0] = locks_row(0, versions, locks);
    world
}

fn version(n: usize, of: usize, payload: bool) -> String {
    let alias = match of - n {
        0 => r#","alias":"current""#,
        1 => r#","alias":"previous""#,
        _ => "",
    };
    let payload = if payload { format!(r#","payload":"p{n}""#) } else { String::new() };
    format!(
        r#"{{"id":"v{n}","secret_type":"arbitrary"{alias},"payload_available":{},"version_custom_metadata":{{"n":1.0}}{payload}}}"#,
        of - n < 2
    )
}

fn versions_answer(world: &World, versions: usize, seen: &Seen) -> Reply {
    let base = format!("/secrets/{}/versions", id(0));
    let Some(rest) = seen.path.strip_prefix(&base) else { return world.answer(seen) };
    let n = match rest.trim_start_matches('/') {
        "" => {
            let list: Vec<_> = (1..=versions).map(|n| version(n, versions, false)).collect();
            return Reply::ok(format!(r#"{{"versions":[{}],"total_count":{versions}}}"#, list.join(",")));
        }
        "current" => versions,
        "previous" => versions - 1,
        named => named.trim_start_matches('v').parse().unwrap(),
    };
    Reply::ok(version(n, versions, true))
}

#[tokio::test]
async fn the_call_plan_follows_the_number_of_versions() {
    for (versions, wanted) in [
        (1, vec!["versions/current"]),
        (2, vec!["versions/current", "versions/previous"]),
        (3, vec!["versions", "versions/v3", "versions/v2"]),
        (50, vec!["versions", "versions/v50", "versions/v49"]),
    ] {
        let world = versions_world("arbitrary", versions, "", "");
        let mock = Mock::start(move |seen| versions_answer(&world, versions, seen)).await;
        let client = mock.client();
        let (_, inventory) = list(&client).await;
        let reading = client.read(inventory.secret(0), None).await.unwrap();
        let wanted: Vec<String> = wanted.iter().map(|path| format!("GET /secrets/{}/{path}", id(0))).collect();
        let calls = mock.calls();
        assert_eq!(calls[calls.len() - wanted.len()..], wanted);
        assert_eq!(client.requests().reading, wanted.len() as u64);
        let payloads: Vec<_> = reading
            .payloads
            .iter()
            .map(|(slot, payload)| (slot.as_str().to_owned(), payload.expose().to_owned()))
            .collect();
        let newest = (format!("v{versions}"), format!(r#"{{"payload":"p{versions}"}}"#));
        assert_eq!(payloads[0], newest);
        assert_eq!(payloads.len(), versions.min(2));
        let listed = reading.docs["versions"].get();
        assert_eq!(listed.matches("version_custom_metadata").count(), versions);
        assert!(!listed.contains("\"payload\""), "{listed}");
        assert_eq!(reading.docs.keys().collect::<Vec<_>>(), ["locks_row", "row", "versions"]);
    }
}

#[tokio::test]
async fn a_rotation_between_or_since_is_seen() {
    // Both aliases name one version: rotated between the two reads.
    let world = versions_world("arbitrary", 2, "", "");
    let mock = Mock::start(move |seen| {
        if seen.path.ends_with("/previous") { Reply::ok(version(2, 2, true)) } else { versions_answer(&world, 2, seen) }
    })
    .await;
    let client = mock.client();
    let (_, inventory) = list(&client).await;
    let error = client.read(inventory.secret(0), None).await.unwrap_err();
    assert!(matches!(error, InstanceError::Moved { .. }), "{error}");
    // Rotated after the listing, before the read: for one, two and more versions.
    for versions in [1, 2, 3] {
        let world = versions_world("arbitrary", versions, "", "");
        let mock = Mock::start(move |seen| versions_answer(&world, versions + 1, seen)).await;
        let client = mock.client();
        let (_, inventory) = list(&client).await;
        let error = client.read(inventory.secret(0), None).await.unwrap_err();
        assert!(matches!(error, InstanceError::Moved { .. }), "{versions}: {error}");
    }
}

#[tokio::test]
async fn a_deleted_secret_is_gone() {
    for versions in [1, 2, 3] {
        let world = versions_world("arbitrary", versions, "", "");
        let mock = Mock::start(move |seen| world.answer(seen)).await;
        let client = mock.client();
        let (_, inventory) = list(&client).await;
        let error = client.read(inventory.secret(0), None).await.unwrap_err();
        assert!(matches!(error, InstanceError::Gone { .. }), "{versions}: {error}");
    }
}

#[tokio::test]
async fn a_version_that_lost_its_payload_is_listed_and_not_read() {
    let world = versions_world("arbitrary", 2, "", "");
    let list_of_two = format!(
        r#"{{"versions":[{},{}],"total_count":2}}"#,
        version(2, 2, false),
        version(1, 2, false).replace(r#""payload_available":true"#, r#""payload_available":false"#)
    );
    let mock = Mock::start(move |seen| match seen.path.rsplit('/').next().unwrap() {
        "previous" => Reply::error(400),
        "versions" => Reply::ok(list_of_two.clone()),
        _ => versions_answer(&world, 2, seen),
    })
    .await;
    let client = mock.client();
    let (_, inventory) = list(&client).await;
    let reading = client.read(inventory.secret(0), None).await.unwrap();
    assert_eq!(reading.payloads.len(), 1);
    assert_eq!(reading.docs["versions"].get().matches("\"id\"").count(), 2);
}

#[tokio::test]
async fn a_version_that_does_not_say_whether_it_has_a_payload_is_read_and_never_passed_over() {
    for (versions, shows) in [(1, true), (1, false), (2, true), (3, true), (3, false)] {
        let world = versions_world("arbitrary", versions, "", "");
        let mock = Mock::start(move |seen| {
            let payload = shows || seen.path.ends_with("/versions");
            let Reply::Is(status, body) = versions_answer(&world, versions, seen) else { return Reply::error(500) };
            let body = body.replace(r#","payload_available":true"#, "").replace(r#","payload_available":false"#, "");
            Reply::Is(status, if payload { body } else { body.replace(r#","payload":"p"#, r#","other":"p"#) })
        })
        .await;
        let client = mock.client();
        let (_, inventory) = list(&client).await;
        let read = client.read(inventory.secret(0), None).await;
        match shows {
            true => assert_eq!(read.unwrap().payloads.len(), versions.min(2), "{versions} versions"),
            false => assert!(matches!(read, Err(InstanceError::Malformed { .. })), "{versions} versions"),
        }
    }
}

#[tokio::test]
async fn payloads_whose_read_would_destroy_them_are_never_asked_for() {
    for (secret_type, more) in [
        ("iam_credentials", r#","reuse_api_key":false"#),
        ("iam_credentials", ""),
        ("quantum_token", ""),
        ("arbitrary", r#","state":5"#),
    ] {
        let world = versions_world(secret_type, 2, more, "");
        let own = format!(r#""secret_type":"{secret_type}""#);
        let mock = Mock::start(move |seen| match versions_answer(&world, 2, seen) {
            Reply::Is(status, body) => Reply::Is(status, body.replace(r#""secret_type":"arbitrary""#, &own)),
            other => other,
        })
        .await;
        let client = mock.client();
        let (_, inventory) = list(&client).await;
        let mut listed = inventory.secret(0).clone();
        assert_eq!(listed.readable, Readable::MetadataOnly, "{secret_type} {more}");
        let reading = client.read(&listed, None).await.unwrap();
        assert!(reading.payloads.is_empty());
        assert_eq!(mock.calls().last().unwrap(), &format!("GET /secrets/{}/versions", id(0)));
        if secret_type != "arbitrary" {
            // A caller who gets it wrong is stopped before the request.
            listed.readable = Readable::Payloads;
            let before = mock.calls().len();
            let error = client.read(&listed, None).await.unwrap_err();
            assert!(matches!(error, InstanceError::Unsafe { .. }), "{error}");
            assert_eq!(mock.calls().len(), before);
        }
        assert!(!mock.calls().iter().any(|call| call.contains("current") || call.contains("previous")));
    }
    let world = versions_world("iam_credentials", 1, r#","reuse_api_key":true"#, "");
    let mock = Mock::start(move |seen| versions_answer(&world, 1, seen)).await;
    let client = mock.client();
    let (_, inventory) = list(&client).await;
    assert_eq!(inventory.secret(0).readable, Readable::Payloads);
}

#[tokio::test]
async fn a_type_that_the_operator_vouched_for_is_read_whole_into_the_payload() {
    let world = versions_world("quantum_token", 1, "", "");
    let mock = Mock::start(move |seen| {
        if seen.path.ends_with("/current") {
            return Reply::ok(
                r#"{"id":"v1","secret_type":"quantum_token","payload_available":true,"entangled":"canary"}"#,
            );
        }
        world.answer(seen)
    })
    .await;
    let mut settings = mock.settings();
    settings.read_unknown_types = vec!["quantum_token".to_owned()];
    let client = Client::new(settings).unwrap();
    let (_, inventory) = list(&client).await;
    let reading = client.read(inventory.secret(0), None).await.unwrap();
    assert_eq!(reading.payloads[0].1.expose(), r#"{"entangled":"canary"}"#);
    assert!(!reading.docs["versions"].get().contains("canary"));
}

#[tokio::test]
async fn locks_are_read_when_their_row_moved_and_taken_over_when_not() {
    let lock = r#"{"name":"l","secret_version_id":"v1","attributes":{"a":1.0}}"#;
    let world = versions_world("arbitrary", 1, "", r#""l""#);
    let mock = Mock::start(move |seen| {
        if seen.path.ends_with("/locks") {
            page("locks", &[lock.to_owned()], seen)
        } else {
            versions_answer(&world, 1, seen)
        }
    })
    .await;
    let client = mock.client();
    let (_, inventory) = list(&client).await;
    let listed = inventory.secret(0);
    let reading = client.read(listed, None).await.unwrap();
    assert_eq!(reading.docs["locks"].get(), format!("[{lock}]"));
    assert_eq!(client.requests().reading, 2);
    let before = keyhaven::model::Item { docs: reading.docs, ..listed.item.clone() };
    let again = client.read(listed, Some(&before)).await.unwrap();
    assert_eq!(again.docs["locks"].get(), format!("[{lock}]"));
    assert_eq!(client.requests().reading, 3, "the locks were not asked for again");
    let mut moved = listed.clone();
    moved.item.docs.insert(
        "locks_row".to_owned(),
        serde_json::value::RawValue::from_string(locks_row(0, 1, r#""l","m""#)).unwrap(),
    );
    let error = client.read(&moved, Some(&before)).await.unwrap_err();
    assert!(matches!(error, InstanceError::Moved { .. }), "the locks are not those of the row: {error}");
}

#[tokio::test]
async fn a_configuration_is_read_with_its_type_and_split() {
    let world = World::of(0);
    let mock = Mock::start(move |seen| match seen.path.as_str() {
        "/configurations/le" => Reply::ok(
            r#"{"name":"le","config_type":"public_cert_configuration_ca_lets_encrypt","lets_encrypt_private_key":"canary","lets_encrypt_environment":"staging"}"#,
        ),
        _ => world.answer(seen),
    })
    .await;
    let client = mock.client();
    let (_, inventory) = list(&client).await;
    let listed = &inventory.items[0];
    assert_eq!((listed.readable, listed.settled), (Readable::Payloads, None));
    let reading = client.read(listed, None).await.unwrap();
    let seen = mock.requests().pop().unwrap();
    assert_eq!(seen.headers["x-sm-accept-configuration-type"], "public_cert_configuration_ca_lets_encrypt");
    assert_eq!(reading.payloads[0].0.as_str(), "value");
    assert_eq!(reading.payloads[0].1.expose(), r#"{"lets_encrypt_private_key":"canary"}"#);
    assert!(reading.docs["value"].get().contains("staging") && !reading.docs["value"].get().contains("canary"));
    let group = client.read(&inventory.items[1], None).await.unwrap();
    assert_eq!(group.docs.len(), 1);
    assert_eq!(client.requests().reading, 1, "a group is all in its row");
}

#[tokio::test]
async fn every_refusal_of_a_read_is_told_apart() {
    for (status, fits) in [
        (401, (|error| matches!(error, InstanceError::Unauthenticated { .. })) as fn(&InstanceError) -> bool),
        (403, |error| matches!(error, InstanceError::Forbidden { .. })),
        (404, |error| matches!(error, InstanceError::Gone { .. })),
        (429, |error| matches!(error, InstanceError::Overloaded { status: 429, .. })),
        (500, |error| matches!(error, InstanceError::Overloaded { status: 500, .. })),
        (412, |error| matches!(error, InstanceError::Refused { status: 412, .. })),
    ] {
        for versions in [1, 2, 3] {
            let world = versions_world("arbitrary", versions, "", "");
            let mock =
                Mock::start(
                    move |seen| {
                        if seen.path.contains("/versions") { Reply::error(status) } else { world.answer(seen) }
                    },
                )
                .await;
            let client = mock.client();
            let (_, inventory) = list(&client).await;
            let error = client.read(inventory.secret(0), None).await.unwrap_err();
            assert!(fits(&error), "{status} {versions}: {error}");
        }
    }
}

// The rest.

#[tokio::test]
async fn presence_tells_deleted_from_hidden_and_never_reads_a_payload() {
    let keys: Vec<ItemKey> =
        ["secret/1", "group/1", "registration", "configuration/t/n"].map(|key| key.parse().unwrap()).into();
    for (status, wanted) in [(404, Presence::Gone), (403, Presence::Hidden), (401, Presence::Hidden)] {
        let mock = Mock::start(
            move |seen| {
                if seen.path == "/identity/token" { Reply::error(404) } else { Reply::error(status) }
            },
        )
        .await;
        let client = mock.client();
        for key in &keys {
            assert_eq!(client.presence(key).await.unwrap(), wanted, "{key} {status}");
        }
        assert!(mock.calls().iter().all(|call| call != "GET /secrets/1" && !call.contains("versions")));
        assert!(mock.calls().contains(&"GET /secrets/1/metadata".to_owned()));
    }
    let mut world = World::of(0);
    world.configurations = vec![r#"{"name":"n","config_type":"t"}"#.to_owned()];
    let mock = Mock::start(move |seen| world.answer(seen)).await;
    let client = mock.client();
    assert_eq!(client.presence(&keys[3]).await.unwrap(), Presence::Present);
    let other = "configuration/other/n".parse().unwrap();
    assert_eq!(client.presence(&other).await.unwrap(), Presence::Gone, "the same name, another type");
    // A list without a row may be one that we do not see.
    let known = "configuration/iam_credentials_configuration/n".parse().unwrap();
    let answer = r#"{"name":"n","config_type":"iam_credentials_configuration","api_key":"k"}"#;
    for (by_name, wanted) in [
        (Reply::error(404), Presence::Gone),
        (Reply::error(403), Presence::Hidden),
        (Reply::ok(answer.to_owned()), Presence::Hidden),
    ] {
        let world = World { configurations: Vec::new(), ..World::of(0) };
        let mock = Mock::start(move |seen| match seen.path.as_str() {
            "/configurations/n" => by_name.clone(),
            _ => world.answer(seen),
        })
        .await;
        let client = mock.client();
        assert_eq!(client.presence(&known).await.unwrap(), wanted);
        assert_eq!(client.presence(&keys[3]).await.unwrap(), Presence::Gone, "an unknown type is not read");
    }
    let mock =
        Mock::start(|seen| if seen.path == "/identity/token" { Reply::error(404) } else { Reply::error(500) }).await;
    assert!(mock.client().presence(&keys[0]).await.is_err(), "a failure is no answer");
}

#[tokio::test]
async fn access_is_found_out_without_a_payload() {
    let world = World::of(3);
    let mock = Mock::start(move |seen| match seen.path.as_str() {
        path if path.starts_with("/configurations/") => Reply::error(403),
        _ => world.answer(seen),
    })
    .await;
    let access = mock.client().check_access().await.unwrap();
    let denied: Vec<&str> = access
        .actions()
        .into_iter()
        .filter(|(_, allowed)| **allowed != keyhaven::instance::ibm::access::Allowed::Yes)
        .map(|(action, _)| action)
        .collect();
    assert_eq!(denied, ["configuration.read"]);
    assert_eq!(mock.calls().len(), 7);
}

#[tokio::test]
async fn filters_go_out_as_comma_lists() {
    let mock = Mock::start(|seen| World::of(0).answer(seen)).await;
    let filter = Filter {
        groups: vec!["default".to_owned(), "g".to_owned()],
        secret_types: vec!["kv".to_owned()],
        labels: vec!["a".to_owned(), "b".to_owned()],
        search: Some("x y".to_owned()),
    };
    mock.client().secrets(&filter).await.unwrap();
    let seen = mock.requests().pop().unwrap();
    assert_eq!(seen.query["groups"], "default,g");
    assert_eq!(seen.query["secret_types"], "kv");
    assert_eq!(seen.query["match_all_labels"], "a,b");
    assert_eq!(seen.query["search"], "x y");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_a_request() {
    let mock = Mock::start(|_| Reply::error(404)).await;
    type Change = fn(&mut keyhaven::instance::ibm::Settings);
    let changes: [(&str, Change); 6] = [
        ("base_url", |settings| settings.base_url = "http://10.1.2.3".to_owned()),
        ("iam_url", |settings| settings.iam_url = "http://iam.cloud.ibm.com".to_owned()),
        ("api_key", |settings| settings.api_key = "  ".into()),
        ("requests_per_second", |settings| settings.requests_per_second = 0.0),
        ("requests_per_second", |settings| settings.requests_per_second = f64::NAN),
        ("ca_file", |settings| settings.ca_pem = Some(b"no certificate".to_vec())),
    ];
    for (name, change) in changes {
        let mut settings = mock.settings();
        change(&mut settings);
        let error = Client::new(settings).unwrap_err();
        assert!(matches!(&error, InstanceError::Settings { what, .. } if what.contains(name)), "{name}: {error}");
        assert_eq!(error.kind(), keyhaven::model::FailureKind::Usage);
    }
}
