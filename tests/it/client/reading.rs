//! The client reads: the call plan by number of versions, what is never asked for, presence.

use keyhaven::model::ItemKey;
use keyhaven::provider::ibm::Client;
use keyhaven::provider::{InstanceError, InstanceInventory, ItemReader, Presence, Readable};

use crate::kit::client::list;
use crate::kit::mock_instance::{Mock, Reply, Seen, World, id, locks_row, page, secret_row};

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
        .filter(|(_, allowed)| **allowed != keyhaven::provider::ibm::access::Allowed::Yes)
        .map(|(action, _)| action)
        .collect();
    assert_eq!(denied, ["configuration.read"]);
    assert_eq!(mock.calls().len(), 7);
}
