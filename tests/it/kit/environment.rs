//! What `tests/run` sets up. A test that uses it is `#[ignore]`d with what it needs, so that nothing is skipped in silence.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use keyhaven::crypto::digest::sha256;
use keyhaven::repository::S3Settings;
use secrecy::SecretString;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether everything is to be run, and not only a share.
pub(crate) fn is_long() -> bool {
    std::env::var_os("KEYHAVEN_TEST_LONG").is_some_and(|value| value == "1")
}

/// The Python that has the packages of `tests/python/requirements.txt`.
pub(crate) fn python_path() -> PathBuf {
    let python =
        std::env::var_os("KEYHAVEN_TEST_PYTHON").map_or_else(|| root().join(".venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "no Python at {}: `tests/run` makes one, or set KEYHAVEN_TEST_PYTHON", python.display());
    python
}

/// That Python, running a script of `tests/python`.
pub(crate) fn python(script: &str) -> Command {
    let mut command = Command::new(python_path());
    command.arg(root().join("tests/python").join(script)).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

/// The S3 server with the user, secret and bucket that `tests/setup/ceph.sh` makes; a prefix of its own for each test.
pub(crate) fn s3(test: &str) -> S3Settings {
    let endpoint = std::env::var("KEYHAVEN_TEST_S3").expect("KEYHAVEN_TEST_S3: tests/run starts a server and sets it");
    let secret = SecretString::from("kh-secret-of-the-test".to_owned());
    let mut settings = S3Settings::new(&endpoint, "us-east-1", "keyhaven", "kh-access", secret);
    settings.prefix = format!("{test}-{}", uuid::Uuid::new_v4());
    settings.retries = 1;
    settings.retry_for = Duration::from_secs(20);
    settings
}

/// A bucket of its own, made with these headers.
pub(crate) fn s3_bucket(test: &str, headers: &[&str]) -> S3Settings {
    let mut settings = s3(test);
    settings.bucket = format!("{test}-{}", uuid::Uuid::new_v4());
    s3_request(&settings, "PUT", "", "", headers);
    settings
}

/// One request to the gateway with the test's keys.
pub(crate) fn s3_request(settings: &S3Settings, method: &str, path: &str, body: &str, headers: &[&str]) {
    let md5 = Command::new("bash")
        .args(["-c", "printf '%s' \"$1\" | openssl md5 -binary | base64", "md5", body])
        .output()
        .unwrap();
    let md5 = format!("Content-MD5: {}", String::from_utf8(md5.stdout).unwrap().trim());
    let digest = format!("x-amz-content-sha256: {}", sha256(body.as_bytes()));
    let mut command = Command::new("curl");
    command.args(["-fsS", "--retry", "3", "--retry-all-errors", "--aws-sigv4", "aws:amz:us-east-1:s3"]);
    let xml = "content-type: application/xml";
    command.args(["--user", "kh-access:kh-secret-of-the-test", "-H", xml, "-X", method, "--data-binary", body]);
    for header in headers.iter().copied().chain([md5.as_str(), digest.as_str()]) {
        command.args(["-H", header]);
    }
    // Some servers take a slash for the key of an object.
    let slash = if path.is_empty() || path.starts_with('?') { "" } else { "/" };
    let output = command.arg(format!("{}/{}{slash}{path}", settings.endpoint, settings.bucket)).output().unwrap();
    assert!(output.status.success(), "{method} {path}: {output:?}");
}

/// From now on the bucket keeps every version.
pub(crate) fn keep_versions(settings: &S3Settings) {
    let enabled = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                   <Status>Enabled</Status></VersioningConfiguration>";
    s3_request(settings, "PUT", "?versioning=", enabled, &[]);
}
