//! What the embedded instance issues, looked at with `openssl`, and what of it survives the data file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyhaven::model::json::{JsonObject, as_str, raw};
use keyhaven::model::{Clock, Timestamp};
use keyhaven::provider::embedded::{EmbeddedInstance, InstanceClock, Options, Reply, Server, Switches, Verb};

const ROOT: &str = "private_cert_configuration_root_ca";
const INTERMEDIATE: &str = "private_cert_configuration_intermediate_ca";
const TEMPLATE: &str = "private_cert_configuration_template";
const REVOKE: &str = r#"{"action_type":"private_cert_action_revoke_certificate"}"#;

/// `openssl` in a folder of its own.
struct OpenSsl(tempfile::TempDir);

impl OpenSsl {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs it on arguments parted by blanks, inside the folder.
    fn run(&self, arguments: &str) -> Output {
        let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(self.folder()).output();
        output.unwrap()
    }

    /// The same, and it has to work; its output.
    fn good(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "openssl {arguments}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

/// An instance, its paths shortened.
struct Peer(EmbeddedInstance);

impl Peer {
    fn new() -> Self {
        let options = Options { ids: Some(11), clock: InstanceClock::manual(start()), ..Options::default() };
        Self(EmbeddedInstance::new(options))
    }

    fn send(&self, verb: Verb, path: &str, body: &str) -> Reply {
        self.0.call(verb, &format!("/api/v2/{path}"), body)
    }

    fn get(&self, path: &str) -> JsonObject {
        let reply = self.send(Verb::Get, path, "");
        assert_eq!(reply.status, 200, "{path}: {}", *reply.body);
        JsonObject::parse(&reply.body).unwrap()
    }

    fn post(&self, path: &str, body: &str) -> JsonObject {
        let reply = self.send(Verb::Post, path, body);
        assert_eq!(reply.status, 201, "{path} {body}: {}", *reply.body);
        JsonObject::parse(&reply.body).unwrap()
    }

    fn configure(&self, config_type: &str, name: &str, members: &str) -> JsonObject {
        self.post("configurations", &format!(r#"{{"config_type":"{config_type}","name":"{name}",{members}}}"#))
    }

    fn act(&self, name: &str, action: &str, members: &str) -> JsonObject {
        let body = format!(r#"{{"action_type":"private_cert_configuration_action_{action}"{members}}}"#);
        self.post(&format!("configurations/{name}/actions"), &body)
    }

    fn create(&self, secret_type: &str, name: &str, members: &str) -> JsonObject {
        self.post("secrets", &format!(r#"{{"secret_type":"{secret_type}","name":"{name}",{members}}}"#))
    }

    /// A root, an intermediate that it signed, and a template for `example.com`, all with this kind of key.
    fn chain(&self, key: &str) {
        self.configure(
            ROOT,
            "root",
            &format!(r#""common_name":"Root","organization":["Acme"],"max_ttl":"87600h",{key}"#),
        );
        let members =
            format!(r#""common_name":"Issuing","max_ttl":"43800h","signing_method":"internal","issuer":"root",{key}"#);
        self.configure(INTERMEDIATE, "ca", &members);
        self.act("root", "sign_intermediate", r#","intermediate_certificate_authority":"ca","max_path_length":0"#);
        let members = format!(
            r#""certificate_authority":"ca","allowed_domains":["example.com"],"allow_subdomains":true,"allowed_uri_sans":["*"],"allowed_other_sans":["*"],"max_ttl":"90d",{key}"#
        );
        self.configure(TEMPLATE, "web", &members);
    }

    fn data(&self, name: &str) -> JsonObject {
        self.get(&format!("configurations/{name}")).object("data").unwrap()
    }
}

/// 2026-11-22T14:00:00Z
fn start() -> Timestamp {
    Timestamp::from_millis(1_795_356_000_000)
}

/// `openssl verify` at the time of the instance.
fn verify(tool: &OpenSsl, more: &str, leaf: &str) -> Output {
    tool.run(&format!("verify -attime 1795356060 -CAfile root.pem -untrusted ca.pem {more} {leaf}"))
}

#[test]
fn a_chain_of_every_kind_of_key_passes() {
    let tool = OpenSsl::new();
    for (key, signed_with) in [
        (r#""key_type":"rsa""#, "sha256WithRSAEncryption"),
        (r#""key_type":"ec""#, "ecdsa-with-SHA256"),
        (r#""key_type":"ec","key_bits":384"#, "ecdsa-with-SHA384"),
        (r#""key_type":"ec","key_bits":521"#, "ecdsa-with-SHA512"),
    ] {
        let peer = Peer::new();
        peer.chain(key);
        tool.file("root.pem", &peer.data("root").str("certificate").unwrap());
        tool.file("ca.pem", &peer.data("ca").str("certificate").unwrap());
        for format in ["der", "pkcs8"] {
            let members = format!(
                r#""certificate_template":"web","common_name":"a.example.com","alt_names":["b.example.com"],"ip_sans":"10.0.0.7","uri_sans":"spiffe://x/y","other_sans":["1.3.6.1.4.1.311.20.2.3;UTF8:ops@x"],"ttl":"30d","private_key_format":"{format}""#
            );
            let leaf = peer.create("private_cert", &format!("leaf-{format}"), &members);
            tool.file("leaf.pem", &leaf.str("certificate").unwrap());
            tool.file("key.pem", &leaf.str("private_key").unwrap());
            let checked = verify(&tool, "-x509_strict -purpose sslserver -verify_hostname b.example.com", "leaf.pem");
            assert!(checked.status.success(), "{key}: {}", String::from_utf8_lossy(&checked.stderr));
            assert!(verify(&tool, "-purpose sslclient -verify_ip 10.0.0.7", "leaf.pem").status.success());
            assert!(!verify(&tool, "-verify_hostname c.example.com", "leaf.pem").status.success());
            assert_eq!(tool.good("pkey -in key.pem -pubout"), tool.good("x509 -in leaf.pem -noout -pubkey"));
        }
        let text = tool.good("x509 -in leaf.pem -noout -text");
        for part in [
            signed_with,
            "URI:spiffe://x/y",
            "othername",
            "CN = Issuing",
            "Digital Signature, Key Encipherment, Key Agreement",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = tool.good("x509 -in ca.pem -noout -text");
        assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign, CRL Sign"), "{text}");
        // Serial numbers and dates are those that the answers show.
        let shown = peer.get("configurations/ca").str("serial_number").unwrap().replace(':', "").to_uppercase();
        assert_eq!(tool.good("x509 -in ca.pem -noout -serial").trim(), format!("serial={shown}"));
        let end = peer.get("configurations/ca").str("expiration_date").unwrap();
        assert_eq!(
            tool.good("x509 -in ca.pem -noout -enddate -dateopt iso_8601").trim(),
            format!("notAfter={}", end.replace('T', " "))
        );
    }
}

#[test]
fn a_revoked_certificate_and_a_revoked_authority_fail() {
    let tool = OpenSsl::new();
    let peer = Peer::new();
    peer.chain(r#""key_type":"ec""#);
    tool.file("root.pem", &peer.data("root").str("certificate").unwrap());
    tool.file("ca.pem", &peer.data("ca").str("certificate").unwrap());
    let leaf = peer.create("private_cert", "leaf", r#""certificate_template":"web","common_name":"a.example.com""#);
    tool.file("leaf.pem", &leaf.str("certificate").unwrap());
    let lists = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Without a token: they are for everybody.
            let server = Server::start(peer.0.clone(), ([127, 0, 0, 1], 0).into()).await.unwrap();
            let mut both = String::new();
            for name in ["root", "ca"] {
                let base = "v1/ibmcloud/private_cert/config/certificate_authorities";
                let url = format!("{}/{base}/{name}/crl/pem", server.base_url());
                let answer = reqwest::get(url).await.unwrap();
                assert_eq!(answer.status(), 200);
                assert_eq!(answer.headers()["content-type"], "application/x-pem-file");
                both.push_str(&answer.text().await.unwrap());
            }
            let missing = reqwest::get(format!("{}/v1/ibmcloud/kv/data/x", server.base_url())).await.unwrap();
            assert_eq!(missing.status(), 401);
            tool.file("lists.pem", &both);
        });
    };
    lists();
    assert!(tool.good("crl -in lists.pem -CAfile root.pem -noout -text").contains("No Revoked Certificates"));
    let all = "-crl_check_all -CRLfile lists.pem";
    let checked = verify(&tool, all, "leaf.pem");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    peer.post(&format!("secrets/{}/actions", leaf.str("id").unwrap()), REVOKE);
    lists();
    let checked = verify(&tool, all, "leaf.pem");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("0 depth lookup: certificate revoked"), "{said}");
    let fresh = peer.create("private_cert", "fresh", r#""certificate_template":"web","common_name":"b.example.com""#);
    tool.file("fresh.pem", &fresh.str("certificate").unwrap());
    assert!(verify(&tool, all, "fresh.pem").status.success());
    peer.act("ca", "revoke_ca_certificate", "");
    lists();
    let said = String::from_utf8_lossy(&verify(&tool, all, "fresh.pem").stderr).into_owned();
    assert!(said.contains("1 depth lookup: certificate revoked"), "{said}");
}

#[test]
fn a_root_that_openssl_holds_signs_an_intermediate_that_then_issues() {
    let tool = OpenSsl::new();
    let options = Options { ids: Some(12), ..Options::default() };
    let peer = Peer(EmbeddedInstance::new(options));
    tool.good("req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -subj /CN=Offline -days 3650");
    let members = r#""common_name":"Issuing","max_ttl":"1000h","signing_method":"external","key_type":"ec","organization":["Acme"]"#;
    let csr = peer.configure(INTERMEDIATE, "ca", members).object("data").unwrap().str("csr").unwrap();
    tool.file("ca.csr", &csr);
    let text = tool.good("req -in ca.csr -noout -text -verify");
    assert!(text.contains("O = Acme, CN = Issuing") && text.contains("CA:TRUE"), "{text}");
    tool.file("ca.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n");
    tool.good(
        "x509 -req -in ca.csr -CA root.pem -CAkey root.key -CAcreateserial -days 365 -extfile ca.ext -out ca.pem",
    );
    let certificate = std::fs::read_to_string(tool.folder().join("ca.pem")).unwrap();
    peer.act("ca", "set_signed", &format!(r#","certificate":{}"#, raw(&certificate).get()));
    peer.configure(TEMPLATE, "web", r#""certificate_authority":"ca","allow_any_name":true,"key_type":"ec""#);
    // A customer's own request, with names and a key that never were here.
    tool.good("req -new -newkey rsa:2048 -nodes -keyout own.key -out own.csr -subj /CN=own.example.com -addext subjectAltName=DNS:alt.example.com");
    let csr = std::fs::read_to_string(tool.folder().join("own.csr")).unwrap();
    let members = format!(r#""certificate_template":"web","common_name":"x.example.com","csr":{}"#, raw(&csr).get());
    let leaf = peer.create("private_cert", "own", &members);
    assert!(leaf.get("private_key").is_none());
    tool.file("leaf.pem", &leaf.str("certificate").unwrap());
    tool.good("verify -CAfile root.pem -untrusted ca.pem -verify_hostname alt.example.com leaf.pem");
    assert_eq!(tool.good("pkey -in own.key -pubout"), tool.good("x509 -in leaf.pem -noout -pubkey"));
    let refused = peer.act_refused("ca", &certificate.replacen("MII", "MIJ", 1));
    assert_eq!(refused.status, 400, "{}", *refused.body);
}

impl Peer {
    fn act_refused(&self, name: &str, certificate: &str) -> Reply {
        let body = format!(
            r#"{{"action_type":"private_cert_configuration_action_set_signed","certificate":{}}}"#,
            raw(certificate).get()
        );
        self.send(Verb::Post, &format!("configurations/{name}/actions"), &body)
    }
}

#[test]
fn a_public_certificate_is_real_and_the_same_authority_signs_everywhere() {
    let tool = OpenSsl::new();
    let mut issuers = Vec::new();
    for (seed, bundle) in [(1, true), (2, false)] {
        let switches = Switches { order_seconds: 3, ..Switches::default() };
        let clock = InstanceClock::manual(start());
        let peer = Peer(EmbeddedInstance::new(Options {
            ids: Some(seed),
            clock: clock.clone(),
            switches,
            ..Options::default()
        }));
        let ca = r#""lets_encrypt_environment":"production","lets_encrypt_private_key":"k""#;
        peer.configure("public_cert_configuration_ca_lets_encrypt", "acme", ca);
        let dns = r#""classic_infrastructure_username":"u","classic_infrastructure_password":"p""#;
        peer.configure("public_cert_configuration_dns_classic_infrastructure", "dns", dns);
        let members = format!(r#""common_name":"*.example.com","ca":"acme","dns":"dns","bundle_certs":{bundle}"#);
        let id = peer.create("public_cert", "wild", &members).str("id").unwrap();
        clock.advance(3_000);
        let got = peer.get(&format!("secrets/{id}"));
        assert_eq!(got.str("key_algorithm").as_deref(), Some("RSA2048"));
        tool.file("leaf.pem", &got.str("certificate").unwrap());
        tool.file("key.pem", &got.str("private_key").unwrap());
        let issuer = got.str("intermediate").unwrap();
        tool.file("issuer.pem", &issuer);
        tool.good(
            "verify -attime 1795356060 -partial_chain -CAfile issuer.pem -verify_hostname w.example.com leaf.pem",
        );
        assert_eq!(tool.good("pkey -in key.pem -pubout"), tool.good("x509 -in leaf.pem -noout -pubkey"));
        assert_eq!(got.str("certificate").unwrap().matches("BEGIN CERTIFICATE").count(), if bundle { 2 } else { 1 });
        issuers.push(issuer);
    }
    assert_eq!(issuers[0], issuers[1]);
}

#[test]
fn everything_goes_on_after_a_restart_from_the_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.jsonl");
    let peer = Peer::new();
    peer.chain(r#""key_type":"ec","key_bits":384"#);
    let leaf = peer.create("private_cert", "leaf", r#""certificate_template":"web","common_name":"a.example.com","uri_sans":"spiffe://x/y","rotation":{"auto_rotate":true,"interval":5,"unit":"day"}"#);
    let first = leaf.str("serial_number").unwrap();
    let id = leaf.str("id").unwrap();
    peer.post(&format!("secrets/{id}/actions"), REVOKE);
    peer.post(&format!("secrets/{id}/versions"), "{}");
    peer.configure(
        "public_cert_configuration_ca_lets_encrypt",
        "acme",
        r#""lets_encrypt_environment":"staging","lets_encrypt_private_key":"k""#,
    );
    let manual = peer.create(
        "public_cert",
        "manual",
        r#""common_name":"www.example.com","ca":"acme","dns":"manual","key_algorithm":"ECDSA256""#,
    );
    let managed =
        peer.create("imported_cert", "managed", r#""managed_csr":{"common_name":"shop.example.com","key_type":"ec"}"#);
    peer.0.save(&path).unwrap();

    let clock = InstanceClock::manual(peer.0.clock().now());
    let again = Peer(
        EmbeddedInstance::load(Options { ids: Some(99), clock: clock.clone(), ..Options::default() }, &path).unwrap(),
    );
    for item in ["configurations/root", "configurations/ca", "configurations/web", &format!("secrets/{id}/metadata")] {
        assert_eq!(peer.get(item).to_raw().get(), again.get(item).to_raw().get(), "{item}");
    }
    // The key of the authority, the template, and how the certificate was asked for are still there.
    clock.advance(5 * 86_400_000);
    let rotated = again.get(&format!("secrets/{id}"));
    assert_eq!(rotated.u64("versions_total"), Some(3));
    assert_ne!(rotated.str("serial_number").unwrap(), first);
    let pem = |text: &str| String::from_utf8_lossy(&base64(text)).into_owned();
    assert!(pem(&rotated.str("certificate").unwrap()).contains("spiffe://x/y"));
    // Its list goes on where it was.
    again.act("ca", "rotate_crl", "");
    // The order and the signing request wait for the same as before.
    let order = manual.str("id").unwrap();
    again.post(&format!("secrets/{order}/actions"), r#"{"action_type":"public_cert_action_validate_dns_challenge"}"#);
    clock.advance(5_000);
    assert_eq!(again.get(&format!("secrets/{order}")).u64("state"), Some(1));
    let id = managed.str("id").unwrap();
    let csr = managed.get("csr").unwrap().get().to_owned();
    let signed = again.act("root", "sign_csr", &format!(r#","csr":{csr}"#)).object("data").unwrap();
    let certificate = signed.get("certificate").unwrap();
    assert!(as_str(certificate).is_some());
    again.post(&format!("secrets/{id}/versions"), &format!(r#"{{"certificate":{}}}"#, certificate.get()));
    let key = managed.object("managed_csr").unwrap().str("private_key");
    assert_eq!(again.get(&format!("secrets/{id}")).str("private_key"), key);
}

/// The bytes inside a PEM text.
fn base64(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    data_encoding::BASE64.decode(body.as_bytes()).unwrap()
}

#[test]
fn a_seed_gives_the_same_authorities_and_certificates_on_curves() {
    let everything = || {
        let peer = Peer::new();
        peer.chain(r#""key_type":"ec""#);
        let leaf = peer.create("private_cert", "leaf", r#""certificate_template":"web","common_name":"a.example.com""#);
        (
            peer.data("root").to_raw().get().to_owned(),
            peer.data("ca").to_raw().get().to_owned(),
            leaf.to_raw().get().to_owned(),
        )
    };
    assert_eq!(everything(), everything());
}
