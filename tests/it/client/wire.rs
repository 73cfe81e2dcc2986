//! The client on the wire: tokens, refusals, retries, pace, writes, settings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyhaven::provider::ibm::api::Which;
use keyhaven::provider::ibm::{Client, Filter};
use keyhaven::provider::{InstanceError, InstanceInventory, RequestBody};

use crate::kit::client::{body, but_nth, list, object, payload};
use crate::kit::mock_instance::{API_KEY, CA, Mock, Reply, World};

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

/// What a token exchange answers; the token lives so many seconds.
fn token(seconds: u64) -> Reply {
    Reply::ok(format!(r#"{{"access_token":"head.body.x","expires_in":{seconds}}}"#))
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_turn_that_outlasts_the_token_costs_one_token_a_request_and_no_more() {
    let world = World::of(1);
    let mock = Mock::start(move |seen| match seen.path.as_str() {
        // Dead ten seconds before it expires, so it can be sent for one second.
        "/identity/token" => token(11),
        _ => world.answer(seen),
    })
    .await;
    let mut settings = mock.settings();
    settings.requests_per_second = 0.5;
    let client = Client::new(settings).unwrap();
    let all = futures_util::future::join_all((0..8).map(|_| client.groups()));
    let all = tokio::time::timeout(Duration::from_secs(3_600), all).await.expect("it sends what it has a turn for");
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!((mock.calls().len(), client.requests().retried), (8, 0));
    assert!(mock.exchanges().len() <= 8, "{} tokens for 8 requests", mock.exchanges().len());
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_turn_costs_nothing_of_the_time_for_retries() {
    // The third request has waited for 200 seconds when it is sent and refused.
    let mock = Mock::start(but_nth(World::of(1), "GET /secret_groups", 2, Reply::error(503))).await;
    let mut settings = mock.settings();
    settings.requests_per_second = 0.01;
    let client = Client::new(settings).unwrap();
    let all = futures_util::future::join_all((0..3).map(|_| client.groups())).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!((mock.calls().len(), client.requests().retried), (4, 1));
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
    client.create_version("s", &RequestBody::with_payload(object("{}"), payload(r#"{"payload":"x"}"#))).await.unwrap();
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
    let body = RequestBody::with_payload(object(r#"{"name":"n"}"#), payload(r#"{"payload":"hunter2secret"}"#));
    let error = mock.client().create_secret(&body).await.unwrap_err();
    assert!(matches!(error, InstanceError::Refused { status: 400, .. }), "{error}");
    assert!(!format!("{error} {error:?} {body:?}").contains("hunter2"), "{error:?}");
}

// Listing.

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
    type Change = fn(&mut keyhaven::provider::ibm::ClientSettings);
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
