//! Buckets as they are: stores that refuse headers or leave them out, and answers that are not what their status says.

use bytes::Bytes;
use keyhaven::repository::store::ChecksumHeader;
use keyhaven::repository::{S3Settings, Store, StoreError};
use secrecy::SecretString;

use crate::kit::bucket::{Bucket, Oddity};
use crate::kit::program::Machine;
use crate::kit::repository::Kit;
use crate::kit::site::Site;

fn settings(bucket: &Bucket) -> S3Settings {
    let secret = SecretString::from("secret".to_owned());
    let mut settings = S3Settings::new(&bucket.endpoint(), "us-east-1", "backups", "access", secret);
    settings.prefix = "house".to_owned();
    settings.retries = 2;
    settings
}

fn odd(oddity: Oddity) -> (Bucket, Store) {
    let bucket = Bucket::new();
    let store = Store::s3(&settings(&bucket)).unwrap();
    bucket.is_odd(Some(oddity));
    (bucket, store)
}

/// The bucket has a runtime of its own, which no other may end.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn one() -> Bytes {
    Bytes::from_static(b"1")
}

#[test]
fn what_is_no_listing_is_never_an_empty_bucket() {
    for text in [
        "",
        "<html><body>Sign in</body></html>",
        "<ListBucketResult></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>house/packs/a</Key>",
        "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
    ] {
        let (_bucket, store) = odd(Oddity::Listing(text));
        let error = wait(store.list("packs")).unwrap_err();
        assert!(matches!(error, StoreError::NotAListing { .. }), "{text}: {error:?}");
        assert!(error.to_string().contains("repository.endpoint"), "{error}");
    }
}

#[test]
fn an_error_inside_of_a_200_is_an_error_and_one_that_passes_is_tried_again() {
    let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let (_bucket, store) = odd(Oddity::Listing(denied));
    assert!(matches!(wait(store.list("packs")), Err(StoreError::Denied { .. })));
    let (bucket, store) = odd(Oddity::ErrorInside(1));
    bucket.put("packs/a", one());
    assert_eq!(wait(store.list("packs")).unwrap().len(), 1);
}

#[test]
fn headers_that_nobody_needs_may_be_missing() {
    for oddity in [Oddity::NoEtag, Oddity::NoLength] {
        let (_bucket, store) = odd(oddity);
        wait(store.put("packs/a", Bytes::from_static(b"four"))).unwrap();
        assert_eq!(wait(store.get("packs/a", 100)).unwrap(), "four", "{oddity:?}");
        assert_eq!(wait(store.head("packs/a")).unwrap().unwrap().size, 4, "{oddity:?}");
        assert!(matches!(wait(store.get("packs/a", 3)), Err(StoreError::TooLarge { .. })), "{oddity:?}");
        assert_eq!(wait(store.head("packs/none")).unwrap(), None, "{oddity:?}");
        assert_eq!(wait(store.list("packs")).unwrap().len(), 1, "{oddity:?}");
    }
}

#[test]
fn each_checksum_header_suits_the_stores_that_want_it() {
    use ChecksumHeader::{Md5, None, Sha256};
    for (oddity, suits) in [
        (Oddity::RefusesChecksum, [false, true, true]),
        (Oddity::WantsMd5, [false, true, false]),
        (Oddity::WantsAlgorithm, [true, false, false]),
    ] {
        for (checksum, suits) in [Sha256, Md5, None].into_iter().zip(suits) {
            let bucket = Bucket::new();
            bucket.is_odd(Some(oddity));
            let store = Store::s3(&S3Settings { checksum, ..settings(&bucket) }).unwrap();
            for written in [wait(store.put("packs/a", one())), wait(store.put_new("leases/a", one())).map(drop)] {
                match written {
                    Ok(()) => assert!(suits, "{oddity:?} {checksum:?}"),
                    Err(error) => {
                        assert!(
                            !suits && matches!(error, StoreError::Checksum { .. }),
                            "{oddity:?} {checksum:?}: {error:?}"
                        );
                        assert!(error.to_string().contains("repository.checksum"), "{error}");
                    }
                }
            }
        }
    }
}

#[test]
fn another_region_is_named() {
    for oddity in [Oddity::OtherRegion, Oddity::Redirect] {
        let (_bucket, store) = odd(oddity);
        for error in [
            wait(store.list("packs")).unwrap_err(),
            wait(store.get("packs/a", 10)).unwrap_err(),
            wait(store.put("packs/a", one())).unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(matches!(error, StoreError::Region { .. }), "{oddity:?}: {error:?}");
            assert!(said.contains("eu-gb") && said.contains("repository.region"), "{oddity:?}: {said}");
        }
    }
}

#[test]
fn an_archived_object_is_not_a_missing_right() {
    let (bucket, store) = odd(Oddity::Archived("packs/"));
    bucket.put("packs/a", one());
    let error = wait(store.get("packs/a", 10)).unwrap_err();
    assert!(matches!(error, StoreError::Archived { .. }) && error.to_string().contains("restore-object"), "{error}");
}

#[test]
fn what_a_listing_lacks_is_asked_for_by_name_before_it_is_missing() {
    let bucket = Bucket::new();
    let kit = Kit::new();
    let repository = wait(kit.init_in(Store::s3(&settings(&bucket)).unwrap()));
    let writer = kit.writer("a", &kit.collector, repository.id());
    wait(kit.snapshot(&repository, &writer, &[("a", "1")])).unwrap();
    bucket.is_odd(Some(Oddity::ListingLags));
    let second = wait(kit.snapshot(&repository, &writer, &[("a", "2")])).unwrap();
    bucket.is_odd(None);
    let ledger = wait(repository.read_ledger()).unwrap();
    assert_eq!(ledger.latest_good().map(|entry| entry.digest), Some(second.digest));
}

#[test]
fn a_proxy_is_never_asked_for_a_bucket_on_this_host() {
    let (bucket, site) = (Bucket::new(), Site::seeded());
    bucket.fill(&site.repository());
    let environment = bucket.environment(&site.machine, "access", "secret");
    let mut environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        environment.push((name, "http://127.0.0.1:1"));
    }
    site.machine.run_with(&environment, &["verify", "--level", "objects", "--json"]).json(0);
}

/// The program's words, with the setting that fixes it.
#[test]
fn the_program_names_the_setting() {
    let (bucket, site) = (Bucket::new(), Site::seeded());
    bucket.fill(&site.repository());
    let environment = bucket.environment(&site.machine, "access", "secret");
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let run = |machine: &Machine, arguments: &[&str]| machine.run_with(&environment, arguments);
    bucket.is_odd(Some(Oddity::RefusesChecksum));
    run(&site.machine, &["backup", "--full"]).fails(1, &["checksum", "repository.checksum", "md5"]);
    let mut with = environment.clone();
    with.push(("KEYHAVEN_REPOSITORY_CHECKSUM", "none"));
    site.machine.run_with(&with, &["backup", "--full", "--json"]).json(0);
    bucket.is_odd(Some(Oddity::Listing("<html>Sign in</html>")));
    for command in ["snapshots", "backup", "verify"] {
        run(&site.machine, &[command]).fails(1, &["no listing", "repository.endpoint"]);
    }
    let status = run(&site.machine, &["status"]);
    assert!(status.code == 1 && status.out.contains("no listing of a bucket"), "{status:?}");
    bucket.is_odd(Some(Oddity::OtherRegion));
    run(&site.machine, &["snapshots"]).fails(1, &["eu-gb", "repository.region"]);
    bucket.is_odd(Some(Oddity::Archived("packs/")));
    let identity = ["verify", "--level", "payload", "--identity", "kit/recovery-identity.txt"];
    run(&site.machine, &identity).fails(1, &["archived", "restore-object"]);
}
