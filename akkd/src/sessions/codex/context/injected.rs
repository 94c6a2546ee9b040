//! What Codex itself says in the user's name: surroundings, rules, notices. Not part of what anybody asked for.

use std::borrow::Cow;

/// How such a text begins; without a closing bracket where attributes may follow. Collected from codex 0.169 and its
/// forerunners.
const BEGINNINGS: [&str; 32] = [
    "# AGENTS.md",
    "<INSTRUCTIONS",
    "<apps_instructions",
    "<collaboration_mode",
    "<compaction_summary",
    "<context_window_guidance",
    "<current_time_unavailable",
    "<environment_context",
    "<environments_instructions",
    "<git_attribution",
    "<hook_",
    "<ide_context",
    "<image name=",
    "<model_switch",
    "<multi_agent_",
    "<permissions",
    "<persistent_mode",
    "<personality_spec",
    "<plugins_instructions",
    "<realtime_conversation",
    "<recommended_plugins",
    "<rollout_budget",
    "<side_conversation",
    "<skill",
    "<subagent_",
    "<token_budget",
    "<turn_aborted",
    "<user_action",
    "<user_instructions",
    "<user_shell_command",
    "</image>",
    "Another language model started to solve this problem",
];

/// What an editor puts before a prompt, and what it writes above the prompt itself.
const EDITOR: [&str; 2] = ["# Context from my IDE setup:", "## My request for Codex:"];

/// What the user said of `text`: all of it as a rule, nothing when Codex said it.
pub(super) fn own_words(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let begins = |with: &str| text.trim_start().starts_with(with);
    if text.trim().is_empty() || BEGINNINGS.iter().any(|beginning| begins(beginning)) {
        return None;
    }
    if begins(EDITOR[0]) {
        let (_, request) = text.split_once(EDITOR[1])?;
        let request = request.trim();
        return (!request.is_empty()).then(|| Cow::Owned(request.to_owned()));
    }
    Some(text)
}

/// Whether `kind`, which newer versions note for every part of a message, says that a person wrote it.
pub(super) fn is_own_kind(kind: &str) -> bool {
    kind.starts_with("user.") || kind == "unknown"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_codex_says_in_the_users_name_is_left_out() {
        for text in [
            "<environment_context>\n  <cwd>/w</cwd>",
            "\n<user_instructions>\n\nrules",
            "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>",
            "<permissions instructions>Filesystem…",
            "<turn_aborted>\nThe user interrupted",
            "<skills_instructions>",
            "<skill>\n<name>x",
            "<collaboration_mode>",
            "<subagent_notification>{}",
            "<apps_instructions>",
            "<recommended_plugins>",
            "  \n",
        ] {
            assert_eq!(own_words(text.into()), None, "{text}");
        }
    }

    #[test]
    fn what_a_person_says_stays() {
        for text in ["fix the parser", "<div> is not closed", "what does # AGENTS.md say?", "<p>hello</p>"] {
            assert_eq!(own_words(text.into()).as_deref(), Some(text));
        }
        let from_editor = "# Context from my IDE setup:\n\n## Open tabs:\n- a.rs\n\n## My request for Codex:\nfix it\n";
        assert_eq!(own_words(from_editor.into()).as_deref(), Some("fix it"));
    }
}
