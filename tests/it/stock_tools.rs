//! Recovery with `age`, `zstd`, `jq`, `sha256sum`, `openssl` and a shell alone, by the repository's own instructions.
//!
//! The commands are those of the `RECOVER.md` that lies in the repository, taken out of it and run as they stand, with
//! nothing else in the `PATH`. The test command installs the tools and sets `KEYHAVEN_TEST_S3`; where neither is there,
//! these tests say that they are skipped.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyhaven::model::Digest;
use keyhaven::repository::Repository;

use crate::repository_kit::{Contents, Kit};

const TOOLS: [&str; 5] = ["age", "zstd", "jq", "sha256sum", "openssl"];
const COREUTILS: [&str; 8] = ["base64", "cat", "mktemp", "od", "rm", "sort", "tail", "tr"];

/// A kv payload whose numbers and repeated names no JSON tool prints again alike.
const EXACT: &str = r#"{"id":12345678901234567890,"x":1e400,"y":1.0,"k":1,"k":2}"#;

/// A folder with links to the tools and nothing else; nothing when some are missing on a machine without the test setup.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn tools(folder: &Path) -> Option<PathBuf> {
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    for tool in TOOLS.iter().chain(&COREUTILS).chain(&["wc"]) {
        let Some(found) = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file())
        else {
            assert!(std::env::var_os("KEYHAVEN_TEST_S3").is_none(), "{tool} is not installed");
            eprintln!("SKIPPED: {tool} is not installed");
            return None;
        };
        symlink(found, bin.join(tool)).unwrap();
    }
    Some(bin)
}

/// The blocks of shell commands, in order.
fn blocks(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

/// A repository with two snapshots, a recovery identity in a file, and the tools.
struct World {
    kit: Kit,
    repository: Repository,
    contents: Contents,
    bin: PathBuf,
}

impl World {
    async fn new() -> Option<Self> {
        let kit = Kit::new();
        let bin = tools(kit.folder.path())?;
        let repository = kit.init().await;
        let writer = kit.writer("a", &kit.collector, repository.id());
        kit.snapshot(&repository, &writer, &[("old", "{}")]).await.unwrap();
        let contents = Contents::of(
            &kit,
            repository.id(),
            &[("exact", EXACT), ("quoted", r#"{"payload":"line\nfeed \\ \"quote\" \u0000 é 😀"}"#), ("third", "{}")],
        );
        contents.put(&repository).await.unwrap();
        let event = keyhaven::format::Event::Snapshot(Box::new(contents.event.clone()));
        repository.commit(&writer, kit.draft(event)).await.unwrap();
        std::fs::write(kit.folder.path().join("identity.txt"), kit.recovery_file.as_bytes()).unwrap();
        Some(Self { kit, repository, contents, bin })
    }

    /// The commands of the repository's own instructions but for the last block, which cleans up.
    fn instructions(&self) -> String {
        let text = std::fs::read_to_string(self.kit.place().join("RECOVER.md")).unwrap();
        let mut blocks = blocks(&text);
        assert_eq!(blocks.len(), 9);
        assert!(blocks.pop().unwrap().contains("rm -rf"));
        blocks.join("\n")
    }

    /// Runs the instructions and then `commands` in one shell, inside the repository.
    fn run(&self, commands: &str) -> Output {
        Command::new("/bin/sh")
            .args(["-eu", "-c", &format!("{}\necho '=== done ==='\n{commands}", self.instructions())])
            .current_dir(self.kit.place())
            .env_clear()
            .env("PATH", &self.bin)
            .env("REPOSITORY", self.repository.id().to_string())
            .env("IDENTITY", self.kit.folder.path().join("identity.txt"))
            .env("TMPDIR", self.kit.folder.path())
            .output()
            .unwrap()
    }

    /// What the instructions print, and what the commands behind them print.
    fn succeed(&self, commands: &str) -> (String, String) {
        let output = self.run(commands);
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stdout}\n{stderr}");
        let (before, after) = stdout.split_once("=== done ===\n").unwrap();
        (before.to_owned(), after.to_owned())
    }
}

#[tokio::test]
async fn the_instructions_lead_to_every_payload_byte_for_byte() {
    let Some(world) = World::new().await else { return };
    let (told, payload) = world.succeed("payload secret/exact");
    assert_eq!(payload, format!("{EXACT}\n"));
    assert!(told.contains("Signature Verified Successfully"), "{told}");
    assert!(!told.contains("DAMAGED") && !told.contains("DOES NOT FIT"), "{told}");
    assert_eq!(told.matches("\tgood\n").count(), 2, "both snapshots are shown: {told}");
    assert!(told.contains("kv\tname of exact\tsecret/exact\n"), "the inventory: {told}");

    let (_, all) = world.succeed("payloads");
    assert_eq!(all.lines().count(), 3);
    let (_, texts) = world.succeed("payloads | jq -r .payload");
    let expected = [EXACT, r#"{"payload":"line\nfeed \\ \"quote\" \u0000 é 😀"}"#, "{}"];
    assert_eq!(texts, expected.map(|text| format!("{text}\n")).concat());
}

#[tokio::test]
async fn an_older_snapshot_is_read_in_the_same_way() {
    let Some(world) = World::new().await else { return };
    let ledger = world.repository.read_ledger().await.unwrap();
    let older = ledger.snapshots()[0].name();
    let script = format!("ENTRY={older}\n{}", world.instructions());
    let output = Command::new("/bin/sh")
        .args(["-eu", "-c", &format!("{script}\npayloads | jq -r .key")])
        .current_dir(world.kit.place())
        .env_clear()
        .env("PATH", &world.bin)
        .env("REPOSITORY", world.repository.id().to_string())
        .env("IDENTITY", world.kit.folder.path().join("identity.txt"))
        .env("TMPDIR", world.kit.folder.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.ends_with("secret/old\nsecret/old\n"), "the inventory's line, then the payload's: {stdout}");
}

#[tokio::test]
async fn a_forged_entry_fails_the_signature_check() {
    let Some(world) = World::new().await else { return };
    let ledger = world.repository.read_ledger().await.unwrap();
    let newest = world.kit.place().join(ledger.latest_good().unwrap().name());
    let text = std::fs::read_to_string(&newest).unwrap();
    let envelope: serde_json::Value = serde_json::from_str(&text).unwrap();
    let payload = data_encoding::BASE64.decode(envelope["payload"].as_str().unwrap().as_bytes()).unwrap();
    let forged = String::from_utf8(payload).unwrap().replace("\"rounds\":2", "\"rounds\":3");
    let forged = text.replace(envelope["payload"].as_str().unwrap(), &data_encoding::BASE64.encode(forged.as_bytes()));
    assert_ne!(forged, text);
    std::fs::write(&newest, forged).unwrap();
    let output = world.run("true");
    assert!(!output.status.success(), "the shell stops at the failed check");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("Signature Verification Failure"), "{stdout}");
    assert!(stdout.contains("DAMAGED: ledger/"), "its name does not fit either: {stdout}");
}

#[tokio::test]
async fn a_damaged_pack_is_named() {
    let Some(world) = World::new().await else { return };
    let pack = format!("packs/{}.jsonl.zst.age", world.contents.pack.digest);
    let path = world.kit.place().join(&pack);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
    let stdout = String::from_utf8(world.run("true").stdout).unwrap();
    assert!(stdout.starts_with(&format!("DAMAGED: {pack}\n")), "{stdout}");
}

#[tokio::test]
async fn a_payload_under_another_items_name_does_not_fit_its_mac() {
    let Some(world) = World::new().await else { return };
    // Opened, changed and sealed again with the tools: what only the holder of the recipients can do.
    let pack = world.contents.pack.digest.to_string();
    let recipient = world.kit.recovery.recipients()[0].to_string();
    let commands = format!(
        "age -d -i \"$IDENTITY\" packs/{pack}.jsonl.zst.age | zstd -dc \
         | jq -c 'if .key == \"secret/third\" then .version = \"version-2\" else . end' \
         | zstd -q | age -r {recipient} >\"$WORK/forged\"\n\
         sum=$(sha256sum <\"$WORK/forged\"); cat \"$WORK/forged\" >packs/${{sum%% *}}.jsonl.zst.age; macs \"${{sum%% *}}\""
    );
    let (_, found) = world.succeed(&commands);
    assert_eq!(found, "DOES NOT FIT: secret/third\n");
}

#[test]
fn the_document_points_to_the_same_commands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/recover-without-keyhaven.md")).unwrap();
    let template = std::fs::read_to_string(root.join("src/repository/RECOVER.md")).unwrap();
    assert_eq!(blocks(&document), blocks(&template), "one text, in two places");
}

#[test]
fn the_digest_of_the_instructions_is_signed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kit = Kit::new();
        let repository = kit.init().await;
        let ledger = repository.read_ledger().await.unwrap();
        let bytes = std::fs::read(kit.place().join("RECOVER.md")).unwrap();
        let signed: Digest = ledger.init().unwrap().recover_md;
        assert_eq!(signed, keyhaven::crypto::digest::sha256(&bytes));
    });
}
