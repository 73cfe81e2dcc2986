//! Webhooks that are ready to use.

/// Settings of a preset; a target may override each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preset {
    /// Its name.
    pub(super) name: &'static str,
    /// URL, if it is the same for all users.
    pub(super) url: Option<&'static str>,
    /// The type of the body.
    pub(super) content_type: &'static str,
    /// The body as a template; without one, all fields as a JSON object.
    pub(super) body: Option<&'static str>,
    /// Headers with placeholders.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// True if it cannot do without a token.
    pub(super) needs_token: bool,
}

/// All of them; the first is the one without a name.
pub(super) const PRESETS: &[Preset] = &[
    Preset { name: "json", url: None, content_type: "application/json", body: None, headers: &[], needs_token: false },
    Preset {
        name: "slack",
        url: None,
        content_type: "application/json",
        body: Some(r#"{"text":"*{{title}}*\n{{text}}"}"#),
        headers: &[],
        needs_token: false,
    },
    Preset {
        name: "ntfy",
        url: None,
        content_type: "text/plain; charset=utf-8",
        body: Some("{{text}}"),
        headers: &[("Title", "{{title}}"), ("Priority", "{{priority}}"), ("Tags", "{{tags}}")],
        needs_token: false,
    },
    // Events API v2: one incident per job of a repository, closed by the recovery.
    Preset {
        name: "pagerduty",
        url: Some("https://events.pagerduty.com/v2/enqueue"),
        content_type: "application/json",
        body: Some(concat!(
            r#"{"routing_key":"{{token}}","event_action":"{{action}}","dedup_key":"{{key}}","#,
            r#""payload":{"summary":"{{title}}","source":"keyhaven {{host}}","severity":"{{severity}}","#,
            r#""timestamp":"{{time}}","component":"{{job}}","group":"{{instance}}","class":"{{event}}","#,
            r#""custom_details":{"ending":"{{ending}}","exit":"{{exit}}","hint":"{{hint}}","why":"{{why}}","#,
            r#""snapshot":"{{snapshot}}","run":"{{run}}"}}}"#
        )),
        headers: &[],
        needs_token: true,
    },
];
