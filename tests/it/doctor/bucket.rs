//! `keyhaven doctor` over real buckets: what protects them, and rights that are missing.

use keyhaven::repository::{S3Settings, Store};
use serde_json::Value;

use crate::kit::environment::{keep_versions, s3_bucket, s3_request};
use crate::kit::site::Site;

/// Every new object is kept for a day, unless somebody with the right to it says otherwise.
const LOCKED: &str = "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                      <ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>GOVERNANCE</Mode>\
                      <Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";

/// Puts the repository of a site into a bucket, byte for byte.
fn move_into(site: &Site, settings: &S3Settings) {
    let store = Store::s3(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for path in site.stored("") {
        let name = path.strip_prefix(site.repository()).unwrap().display().to_string();
        runtime.block_on(store.put(&name, std::fs::read(&path).unwrap().into())).unwrap();
    }
}

/// What doctor says of the repository in a bucket, as the user `name` of the gateway; the exit code first.
fn doctor(site: &Site, settings: &S3Settings, name: &str, secret: &str) -> (i32, Vec<(String, Value)>) {
    site.machine.write("s3-id", name);
    site.machine.write("s3-secret", secret);
    let environment = [
        ("KEYHAVEN_REPOSITORY_URL", format!("s3://{}/{}", settings.bucket, settings.prefix)),
        ("KEYHAVEN_REPOSITORY_ENDPOINT", settings.endpoint.clone()),
        ("KEYHAVEN_REPOSITORY_REGION", settings.region.clone()),
        ("KEYHAVEN_REPOSITORY_ACCESS_KEY_ID", "file:s3-id".to_owned()),
        ("KEYHAVEN_REPOSITORY_SECRET_ACCESS_KEY", "file:s3-secret".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = site.machine.run_with(&environment, &["doctor", "--json"]);
    assert!(!run.out.contains(secret) && !run.err.contains(secret), "the secret is shown");
    let table = run.json(run.code);
    let rows = table["checks"].as_array().unwrap().iter().filter(|row| row["group"] == "Repository");
    (run.code, rows.map(|row| (row["what"].as_str().unwrap().to_owned(), row.clone())).collect())
}

/// The owner of the buckets.
fn as_owner(site: &Site, settings: &S3Settings) -> Vec<(String, Value)> {
    let (code, rows) = doctor(site, settings, "kh-access", "kh-secret-of-the-test");
    assert_eq!(code, 0, "{rows:#?}");
    rows
}

/// Another user, who has the rights that the bucket's policy gives.
fn as_guest(site: &Site, settings: &S3Settings, actions: &[&str]) -> (i32, Vec<(String, Value)>) {
    let bucket = &settings.bucket;
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam:::user/small"]},
        "Action": actions, "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")],
    }]});
    s3_request(settings, "PUT", "?policy=", &policy.to_string(), &[]);
    doctor(site, settings, "kh-small-access", "kh-small-secret")
}

/// Says that a line came out so, with these words of what was found and of how to mend it.
fn says(rows: &[(String, Value)], what: &str, verdict: &str, found: &str, mend: &str) {
    let (_, row) = rows.iter().find(|(name, _)| name == what).unwrap_or_else(|| panic!("no {what}: {rows:#?}"));
    let text = |member: &str| row[member].as_str().unwrap_or_default().to_owned();
    assert!(row["verdict"] == verdict && text("found").contains(found) && text("hint").contains(mend), "{row:#}");
}

#[test]
#[ignore = "needs an S3 server: tests/run"]
fn what_protects_a_bucket_is_seen() {
    let plain = s3_bucket("doctor-plain", &[]);
    let versioned = s3_bucket("doctor-versioned", &[]);
    keep_versions(&versioned);
    let locked = s3_bucket("doctor-locked", &["x-amz-bucket-object-lock-enabled: true"]);
    s3_request(&locked, "PUT", "?object-lock=", LOCKED, &[]);
    let site = Site::seeded();
    for (settings, verdict, found, mend) in [
        (&plain, "warning", "neither versions nor a retention date", "versioning, Object Lock"),
        (&versioned, "good", "the bucket keeps versions", ""),
        (&locked, "good", "the newest snapshot's entry is locked until 20", ""),
    ] {
        move_into(&site, settings);
        let rows = as_owner(&site, settings);
        says(&rows, "protection", verdict, found, mend);
        says(&rows, "clock and store", "good", "agree", "");
        says(&rows, "writing", "good", "written again with its own bytes", "");
        says(&rows, "ledger", "good", "whole", "");
    }
}

#[test]
#[ignore = "needs an S3 server: tests/run"]
fn rights_that_a_bucket_does_not_give_are_named() {
    let settings = s3_bucket("doctor-rights", &[]);
    let site = Site::seeded();
    move_into(&site, &settings);
    let (code, rows) = as_guest(&site, &settings, &["s3:ListBucket", "s3:GetObject", "s3:PutObject"]);
    assert_eq!(code, 0, "{rows:#?}");
    says(&rows, "writing", "good", "deleting was not tried", "");
    let (code, rows) = as_guest(&site, &settings, &["s3:ListBucket", "s3:GetObject"]);
    assert_eq!(code, 1, "{rows:#?}");
    says(&rows, "writing", "bad", "not allowed", "Object Writer");
    let (code, rows) = as_guest(&site, &settings, &["s3:GetObject", "s3:PutObject"]);
    assert_eq!(code, 1, "{rows:#?}");
    // Policy and ledger are listed side by side: either may fail first.
    says(&rows, "repository", "bad", "cannot list ", "its right to list and read");
    says(&rows, "repository", "bad", "not allowed; give this user the right", "");
    let (code, rows) = doctor(&site, &settings, "kh-access", "not-the-secret");
    assert_eq!(code, 1, "{rows:#?}");
    says(&rows, "repository", "bad", "the credentials are not accepted", "the access key");
    let gone = S3Settings { bucket: "no-such-bucket".to_owned(), ..settings };
    let (code, rows) = doctor(&site, &gone, "kh-access", "kh-secret-of-the-test");
    assert_eq!(code, 10, "{rows:#?}");
    says(&rows, "repository", "bad", "there is no such bucket", "repository.url");
}
