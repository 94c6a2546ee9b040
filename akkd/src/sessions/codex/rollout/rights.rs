//! What a turn was allowed to do, as its record says it.
//!
//! Observed with codex 0.169: `sandbox_policy` stands in every record, also where it is only near to what held: a
//! permission profile of the user's configuration may forbid reading, which no sandbox policy says.

use super::record::plain_text;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What a turn was allowed to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rights {
    /// Its record does not say.
    #[default]
    Unrecorded,
    /// Those of a sandbox.
    Sandbox(Sandbox),
    /// Those of a permission profile, by its name.
    Profile(String),
    /// Others, which nobody here can give again.
    Unknown,
}

/// A sandbox, with what was allowed besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sandbox {
    /// `read-only`.
    ReadOnly,
    /// `workspace-write`.
    WorkspaceWrite(Workspace),
    /// `danger-full-access`.
    FullAccess,
}

/// What `workspace-write` allows besides the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Workspace {
    /// Other folders that may be written.
    #[serde(default)]
    pub writable_roots: Vec<String>,
    /// Whether the network may be used.
    #[serde(default)]
    pub network_access: bool,
    /// Whether `$TMPDIR` may not be written.
    #[serde(default)]
    pub exclude_tmpdir_env_var: bool,
    /// Whether `/tmp` may not be written.
    #[serde(default)]
    pub exclude_slash_tmp: bool,
}

/// What a `turn_context` has of it.
#[derive(Deserialize)]
pub(super) struct Recorded<'a> {
    #[serde(borrow)]
    sandbox_policy: Option<&'a RawValue>,
    #[serde(borrow)]
    approval_policy: Option<&'a RawValue>,
    permission_profile: Option<Value>,
    active_permission_profile: Option<Value>,
}

impl Sandbox {
    /// Its name for `--sandbox`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::WorkspaceWrite(_) => "workspace-write",
            Self::FullAccess => "danger-full-access",
        }
    }
}

impl Recorded<'_> {
    pub(super) fn rights(&self) -> Rights {
        let active = match &self.active_permission_profile {
            None => None,
            Some(Value::String(name)) => Some(name.as_str()),
            Some(other) => match other.get("id").and_then(Value::as_str) {
                None => return Rights::Unknown,
                name => name,
            },
        };
        match (self.sandbox_policy, active) {
            // Those that Codex brings along (`:workspace`) are what their sandbox says.
            (None, Some(name)) => Rights::Profile(name.to_owned()),
            (Some(_), Some(name)) if !name.starts_with(':') => Rights::Profile(name.to_owned()),
            (None, None) if self.permission_profile.is_some() => Rights::Unknown,
            (None, None) => Rights::Unrecorded,
            (Some(_), _) if self.denies() => Rights::Unknown,
            (Some(policy), _) => match sandbox(policy) {
                // Every command was shown to a person first. Without one, it is much more.
                Some(Sandbox::FullAccess) if self.asks_before_everything() => Rights::Unknown,
                Some(sandbox) => Rights::Sandbox(sandbox),
                None => Rights::Unknown,
            },
        }
    }

    /// Whether a place was forbidden altogether, which no sandbox does.
    fn denies(&self) -> bool {
        let entries = self.permission_profile.as_ref().and_then(|p| p.pointer("/file_system/entries")?.as_array());
        let forbids = |e: &Value| !matches!(e.get("access").and_then(Value::as_str), Some("read" | "write"));
        entries.is_some_and(|entries| entries.iter().any(forbids))
    }

    /// Versions before 0.169 could.
    fn asks_before_everything(&self) -> bool {
        self.approval_policy.and_then(plain_text).is_some_and(|word| word == "untrusted")
    }
}

/// `{"type":"read-only"}`; older versions wrote `{"mode":…}`, or the word alone. None when it is another one.
fn sandbox(policy: &RawValue) -> Option<Sandbox> {
    #[derive(Deserialize)]
    struct Policy {
        #[serde(rename = "type")]
        kind: Option<String>,
        mode: Option<String>,
        #[serde(flatten)]
        workspace: Value,
    }
    let (word, workspace) = if let Some(word) = plain_text(policy) {
        (word.into_owned(), Value::Object(serde_json::Map::new()))
    } else {
        let policy: Policy = serde_json::from_str(policy.get()).ok()?;
        (policy.kind.or(policy.mode)?, policy.workspace)
    };
    match word.as_str() {
        "read-only" => Some(Sandbox::ReadOnly),
        "workspace-write" => Some(Sandbox::WorkspaceWrite(serde_json::from_value(workspace).ok()?)),
        "danger-full-access" => Some(Sandbox::FullAccess),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(record: &str) -> Rights {
        serde_json::from_str::<Recorded<'_>>(record).unwrap().rights()
    }

    #[test]
    fn a_sandbox_is_read_with_all_that_it_allows() {
        let workspace = Workspace {
            writable_roots: vec!["/opt".into()],
            network_access: true,
            exclude_tmpdir_env_var: true,
            exclude_slash_tmp: false,
        };
        let full = r#"{"sandbox_policy":{"type":"workspace-write","writable_roots":["/opt"],"network_access":true,"exclude_tmpdir_env_var":true,"exclude_slash_tmp":false},"active_permission_profile":null}"#;
        assert_eq!(rights(full), Rights::Sandbox(Sandbox::WorkspaceWrite(workspace)));
        let plain = Rights::Sandbox(Sandbox::WorkspaceWrite(Workspace::default()));
        for bare in [r#""workspace-write""#, r#"{"mode":"workspace-write"}"#, r#"{"type":"workspace-write"}"#] {
            let built_in = format!(r#"{{"sandbox_policy":{bare},"active_permission_profile":{{"id":":workspace"}}}}"#);
            assert_eq!(rights(&built_in), plain, "{bare}");
        }
        assert_eq!(rights(r#"{"sandbox_policy":{"type":"read-only"}}"#), Rights::Sandbox(Sandbox::ReadOnly));
        let full = r#"{"sandbox_policy":{"type":"danger-full-access"},"approval_policy":"on-request"}"#;
        assert_eq!(rights(full), Rights::Sandbox(Sandbox::FullAccess));
        assert_eq!(rights("{}"), Rights::Unrecorded);
    }

    #[test]
    fn a_profile_of_the_users_own_is_more_than_its_sandbox() {
        let own = r#"{"sandbox_policy":{"type":"workspace-write"},"active_permission_profile":{"id":"mine"},"permission_profile":{"type":"managed","file_system":{"entries":[{"access":"deny"}]}}}"#;
        assert_eq!(rights(own), Rights::Profile("mine".into()));
        assert_eq!(
            rights(r#"{"active_permission_profile":{"id":":workspace"}}"#),
            Rights::Profile(":workspace".into())
        );
    }

    #[test]
    fn what_nobody_here_knows_is_not_taken_for_less() {
        for record in [
            r#"{"sandbox_policy":{"type":"external-sandbox","network_access":"enabled"}}"#,
            r#"{"sandbox_policy":{"type":"workspace-write","network_access":"sometimes"}}"#,
            r#"{"sandbox_policy":7}"#,
            r#"{"sandbox_policy":{"type":"danger-full-access"},"approval_policy":"untrusted"}"#,
            r#"{"sandbox_policy":{"type":"read-only"},"permission_profile":{"file_system":{"entries":[{"access":"deny"}]}}}"#,
            r#"{"permission_profile":{"type":"managed"}}"#,
            r#"{"sandbox_policy":{"type":"read-only"},"active_permission_profile":{"name":"new"}}"#,
        ] {
            assert_eq!(rights(record), Rights::Unknown, "{record}");
        }
    }
}
