//! The recovery instructions in every repository.

use bytes::Bytes;

use crate::format::SourceName;

/// The template; `docs/recover-without-keyhaven.md` points to it, and a test runs its commands.
const TEMPLATE: &str = include_str!("RECOVER.md");

/// Returns `RECOVER.md` for the repository of an instance.
#[must_use]
pub fn recover_md(source: &SourceName) -> Bytes {
    // Instance names come from a configuration. Remove line breaks, so that none adds a line that people might copy.
    let plain = |text: &str| text.replace(|c: char| c.is_control() || c == '`', "?");
    let region = source.region.as_deref().unwrap_or("not known");
    TEMPLATE.replace("{{SOURCE}}", &plain(&source.instance)).replace("{{REGION}}", &plain(region)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_named_and_cannot_forge_a_line() {
        let source = SourceName {
            provider: "fake".to_owned(),
            instance: "fake:here:a\n```sh\nrm -rf /\n```".to_owned(),
            region: Some("eu-de".to_owned()),
        };
        let text = String::from_utf8(recover_md(&source).to_vec()).unwrap();
        assert!(text.contains("    fake:here:a????sh?rm -rf /????\n"), "{text}");
        assert!(text.contains("`eu-de`") && !text.contains("{{"));
    }
}
