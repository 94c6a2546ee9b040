//! Which model: `gpt-x`, `gpt-x/medium`, `gpt-x[medium]`, mapped to what a transport wants. Pure.
//!
//! Agents differ: some advertise models and reasoning efforts as two options, some advertise `slug[effort]` as one.
//! What is advertised word for word always wins; only then is a name split.

use super::stream::Refusal;
use akk_core::redact;
use serde_json::Value;

/// Words that are a reasoning effort after a `/`. A slash stands in names of models too (`openai/gpt-5`), so after it
/// only these count; inside brackets any word does.
const EFFORTS: [&str; 8] = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"];
/// Models that are looked at in an agent's list.
const MAX_LISTED: usize = 500;

/// A model as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// The whole name.
    pub name: &'a str,
    /// The name without the effort.
    pub model: &'a str,
    /// The reasoning effort, where the name holds one.
    pub effort: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// Splits `gpt-x/medium` and `gpt-x[medium]`.
    pub fn parse(name: &'a str) -> Self {
        let name = name.trim();
        let bracketed = name
            .strip_suffix(']')
            .and_then(|n| n.rsplit_once('['))
            .filter(|(m, e)| !m.is_empty() && !e.is_empty() && e.bytes().all(|b| b.is_ascii_alphanumeric()));
        let slashed = name.rsplit_once('/').filter(|(m, e)| !m.is_empty() && EFFORTS.contains(e));
        let (model, effort) = bracketed.or(slashed).map_or((name, None), |(m, e)| (m, Some(e)));
        Self { name, model, effort }
    }
}

/// What to ask an ACP agent for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `session/set_config_option`.
    Option {
        /// The option.
        config_id: String,
        /// Its value.
        value: String,
    },
    /// `session/set_model` of agents from before the config options.
    Model {
        /// The model.
        model_id: String,
    },
}

/// What to set for the model in a session. `session` is the newest of: the result of `session/new`, `load` or
/// `resume`; the result of a setting. None when it is the current one.
///
/// # Errors
/// The agent does not advertise it.
pub fn model_setting(wanted: &Wanted<'_>, session: &Value) -> Result<Option<Setting>, Refusal> {
    let (current, listed, option) = match select(session, "model") {
        Some(s) => (s.current, s.values, Some(s.id)),
        None => legacy(session),
    };
    let Some(value) = pick(wanted, current, &listed) else { return Err(not_advertised(wanted, &listed)) };
    if Some(value) == current {
        return Ok(None);
    }
    let value = value.to_owned();
    Ok(Some(match option {
        Some(id) => Setting::Option { config_id: id.to_owned(), value },
        None => Setting::Model { model_id: value },
    }))
}

/// What to set for the reasoning effort, after the model was set. None when the name holds no effort, when the
/// model's own id holds it, or when it is the current one.
///
/// # Errors
/// The agent does not advertise it.
pub fn effort_setting(wanted: &Wanted<'_>, session: &Value) -> Result<Option<Setting>, Refusal> {
    let Some(effort) = wanted.effort else { return Ok(None) };
    let model = select(session, "model").and_then(|s| s.current).or_else(|| legacy(session).0);
    if model.is_some_and(|m| Wanted::parse(m).effort == Some(effort) || m == wanted.name) {
        return Ok(None);
    }
    let Some(s) = select(session, "thought_level") else { return Err(not_advertised(wanted, &[])) };
    if s.current == Some(effort) {
        return Ok(None);
    }
    if !s.values.contains(&effort) {
        let offered: Vec<String> = s.values.iter().map(|e| format!("{}/{e}", wanted.model)).collect();
        let offered: Vec<&str> = offered.iter().map(String::as_str).collect();
        return Err(not_advertised(wanted, &offered));
    }
    Ok(Some(Setting::Option { config_id: s.id.to_owned(), value: effort.to_owned() }))
}

/// What to give to acpx: `--model`, and then `set KEY VALUE` where the agent has the effort apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForAcpx {
    /// `--model`.
    pub model: String,
    /// Key and value of `set`.
    pub effort: Option<(&'static str, String)>,
}

/// Maps a model for acpx and this agent of its registry. acpx compares `--model` word for word with what the agent
/// advertises; Codex' adapter advertises slugs and has the effort apart.
pub fn for_acpx(agent: &str, wanted: &Wanted<'_>) -> ForAcpx {
    match wanted.effort {
        Some(effort) if agent == "codex" => {
            ForAcpx { model: wanted.model.to_owned(), effort: Some(("reasoning_effort", effort.to_owned())) }
        }
        // Of others it is not known how they name it: `slug[effort]` is what most advertise.
        Some(effort) => ForAcpx { model: format!("{}[{effort}]", wanted.model), effort: None },
        None => ForAcpx { model: wanted.name.to_owned(), effort: None },
    }
}

/// A select option of a session.
struct Select<'a> {
    id: &'a str,
    current: Option<&'a str>,
    values: Vec<&'a str>,
}

/// The option of this category, else the one that is called so.
fn select<'a>(session: &'a Value, category: &str) -> Option<Select<'a>> {
    let options = session.get("configOptions")?.as_array()?;
    let names: &[&str] = if category == "model" { &["model"] } else { &["reasoning_effort", "effort", category] };
    let of = |key: &str, name: &str| options.iter().find(|o| text(o, key) == Some(name));
    let option = names
        .iter()
        .find_map(|name| of("id", name).filter(|o| text(o, "category").is_none_or(|c| c == category)))
        .or_else(|| of("category", category))?;
    let mut values = Vec::new();
    for entry in option.get("options").and_then(Value::as_array).into_iter().flatten() {
        // Groups hold options of their own.
        let grouped = entry.get("options").and_then(Value::as_array).into_iter().flatten();
        values.extend(text(entry, "value").into_iter().chain(grouped.filter_map(|o| text(o, "value"))));
    }
    values.truncate(MAX_LISTED);
    Some(Select { id: text(option, "id")?, current: text(option, "currentValue"), values })
}

/// Current model and models of agents from before the config options.
fn legacy(session: &Value) -> (Option<&str>, Vec<&str>, Option<&str>) {
    let models = session.get("models");
    let list = models.and_then(|m| m.get("availableModels")).and_then(Value::as_array);
    let ids = list.into_iter().flatten().filter_map(|m| text(m, "modelId")).take(MAX_LISTED).collect();
    (models.and_then(|m| text(m, "currentModelId")), ids, None)
}

/// The advertised value that is meant.
fn pick<'a>(wanted: &Wanted<'_>, current: Option<&'a str>, listed: &[&'a str]) -> Option<&'a str> {
    let exact = |name: &str| listed.iter().copied().find(|l| *l == name);
    if let Some(value) = exact(wanted.name) {
        return Some(value);
    }
    let same_model = |l: &&&'a str| Wanted::parse(l).model == wanted.model;
    if let Some(effort) = wanted.effort {
        let other_form = listed.iter().find(|l| same_model(l) && Wanted::parse(l).effort == Some(effort));
        return other_form.copied().or_else(|| exact(wanted.model));
    }
    // Only `slug[effort]` is advertised and no effort was asked for: stay with the current one, else the usual one.
    let efforts: Vec<&'a str> = listed.iter().filter(same_model).copied().collect();
    current
        .filter(|c| efforts.contains(c))
        .or_else(|| efforts.iter().copied().find(|l| Wanted::parse(l).effort == Some("medium")))
        .or_else(|| efforts.first().copied())
}

fn not_advertised(wanted: &Wanted<'_>, listed: &[&str]) -> Refusal {
    let why = if listed.is_empty() { "offers no choice of it" } else { "does not advertise it" };
    Refusal {
        attempted: Some(wanted.name.to_owned()),
        available: listed.iter().take(100).map(|s| (*s).to_owned()).collect(),
        reason: redact::preview(&format!("the model {:?} cannot be set: the agent {why}", wanted.name), 400),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn apart() -> Value {
        json!({"configOptions": [
            {"id": "mode", "category": "mode", "currentValue": "agent", "options": [{"value": "agent"}]},
            {"id": "model", "category": "model", "currentValue": "gpt-x", "options": [
                {"value": "gpt-x"}, {"group": "more", "options": [{"value": "gpt-y"}, {"value": "openai/o"}]}]},
            {"id": "reasoning_effort", "category": "thought_level", "currentValue": "medium",
             "options": [{"value": "low"}, {"value": "medium"}]}]})
    }

    fn together() -> Value {
        json!({"models": {"currentModelId": "gpt-x[high]", "availableModels": [
            {"modelId": "gpt-x[low]"}, {"modelId": "gpt-x[high]"}, {"modelId": "gpt-y[low]"}, {"modelId": "gpt-y[medium]"}]}})
    }

    fn option(id: &str, value: &str) -> Setting {
        Setting::Option { config_id: id.into(), value: value.into() }
    }

    fn model(id: &str) -> Setting {
        Setting::Model { model_id: id.into() }
    }

    #[test]
    fn a_name_splits_into_model_and_effort() {
        for (name, model, effort) in [
            ("gpt-x", "gpt-x", None),
            ("gpt-x/medium", "gpt-x", Some("medium")),
            ("gpt-x[medium]", "gpt-x", Some("medium")),
            ("gpt-x[turbo9]", "gpt-x", Some("turbo9")),
            ("openai/gpt-x", "openai/gpt-x", None),
            ("openai/gpt-x/high", "openai/gpt-x", Some("high")),
            (" gpt-x ", "gpt-x", None),
            ("/medium", "/medium", None),
            ("[medium]", "[medium]", None),
            ("gpt[]", "gpt[]", None),
            ("a[b][c]", "a[b]", Some("c")),
            ("claude[effort=high,context=1m]", "claude[effort=high,context=1m]", None),
        ] {
            let w = Wanted::parse(name);
            assert_eq!((w.model, w.effort), (model, effort), "{name}");
        }
    }

    #[test]
    fn model_and_effort_are_set_as_the_agent_advertises_them() {
        for (session, name, first, second) in [
            (apart(), "gpt-x", None, None),
            (apart(), "gpt-y", Some(option("model", "gpt-y")), None),
            (apart(), "openai/o", Some(option("model", "openai/o")), None),
            (apart(), "gpt-x/medium", None, None),
            (apart(), "gpt-x[low]", None, Some(option("reasoning_effort", "low"))),
            (apart(), "gpt-y/low", Some(option("model", "gpt-y")), Some(option("reasoning_effort", "low"))),
            (together(), "gpt-x[high]", None, None),
            (together(), "gpt-x/low", Some(model("gpt-x[low]")), None),
            (together(), "gpt-x", None, None),
            (together(), "gpt-y", Some(model("gpt-y[medium]")), None),
        ] {
            let wanted = Wanted::parse(name);
            assert_eq!(model_setting(&wanted, &session), Ok(first.clone()), "{name}");
            // What the agent says once the model is set.
            let mut after = session;
            match first {
                Some(Setting::Option { value, .. }) => after["configOptions"][1]["currentValue"] = json!(value),
                Some(Setting::Model { model_id }) => after["models"]["currentModelId"] = json!(model_id),
                None => {}
            }
            assert_eq!(effort_setting(&wanted, &after), Ok(second), "{name}");
        }
    }

    #[test]
    fn what_is_not_advertised_is_refused_with_what_is() {
        let r = model_setting(&Wanted::parse("nope/high"), &apart()).unwrap_err();
        assert_eq!(r.attempted.as_deref(), Some("nope/high"));
        assert_eq!(r.available, ["gpt-x", "gpt-y", "openai/o"]);
        assert!(r.reason.contains("does not advertise"), "{}", r.reason);
        let r = effort_setting(&Wanted::parse("gpt-x/high"), &apart()).unwrap_err();
        assert_eq!(r.available, ["gpt-x/low", "gpt-x/medium"]);
        let r = model_setting(&Wanted::parse("any"), &json!({})).unwrap_err();
        assert!(r.available.is_empty() && r.reason.contains("no choice"));
        assert!(model_setting(&Wanted::parse("gpt-z"), &together()).is_err());
    }

    #[test]
    fn an_advertised_name_is_never_split() {
        let session = json!({"configOptions": [{"id": "model", "category": "model", "currentValue": "a",
            "options": [{"value": "a"}, {"value": "gpt-x[low]"}, {"value": "gpt-x"}]}]});
        let wanted = Wanted::parse("gpt-x[low]");
        assert_eq!(model_setting(&wanted, &session), Ok(Some(option("model", "gpt-x[low]"))));
        let mut after = session;
        after["configOptions"][0]["currentValue"] = json!("gpt-x[low]");
        assert_eq!(effort_setting(&wanted, &after), Ok(None));
    }

    #[test]
    fn acpx_gets_what_the_agent_advertises() {
        let of = |agent, name| for_acpx(agent, &Wanted::parse(name));
        for name in ["gpt-x/medium", "gpt-x[medium]"] {
            let wanted = ForAcpx { model: "gpt-x".into(), effort: Some(("reasoning_effort", "medium".into())) };
            assert_eq!(of("codex", name), wanted);
        }
        assert_eq!(of("codex", "gpt-x"), ForAcpx { model: "gpt-x".into(), effort: None });
        assert_eq!(of("cursor", "m/high"), ForAcpx { model: "m[high]".into(), effort: None });
        assert_eq!(of("claude", "opus"), ForAcpx { model: "opus".into(), effort: None });
    }
}
