//! What can be set in a session, and what is. Pure.

use crate::executor::model::Setting;
use akk_core::redact;
use serde_json::{Value, json};

/// The parts of an answer that say what can be set.
pub(super) fn settings(answer: &Value) -> Value {
    let mut settings = serde_json::Map::new();
    for key in ["configOptions", "models"] {
        if let Some(value) = answer.get(key).filter(|v| !v.is_null()) {
            settings.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(settings)
}

/// What is set after `setting` was answered.
pub(super) fn take_setting(settings: &mut Value, setting: &Setting, answer: &Value) {
    if let Some(options) = answer.get("configOptions").filter(|o| o.is_array()) {
        settings["configOptions"] = options.clone();
        return;
    }
    match setting {
        Setting::Option { config_id, value } => {
            let options = settings.get_mut("configOptions").and_then(Value::as_array_mut).into_iter().flatten();
            for option in options.filter(|o| o.get("id").and_then(Value::as_str) == Some(config_id)) {
                option["currentValue"] = json!(value);
            }
        }
        Setting::Model { model_id } => settings["models"]["currentModelId"] = json!(model_id),
    }
}

/// The model in use, where the agent says it.
pub(super) fn current_model(settings: &Value) -> Option<String> {
    let options = settings.get("configOptions").and_then(Value::as_array).into_iter().flatten();
    let is_model = |o: &&Value| o.get("category").or_else(|| o.get("id")).and_then(Value::as_str) == Some("model");
    let option = options.filter(is_model).find_map(|o| o.get("currentValue").and_then(Value::as_str));
    let legacy = || settings.get("models").and_then(|m| m.get("currentModelId")).and_then(Value::as_str);
    option.or_else(legacy).map(|m| redact::cut(m, 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_takes_effect_also_where_the_answer_says_nothing() {
        let mut s = settings(&json!({
            "sessionId": "s", "models": { "currentModelId": "a" },
            "configOptions": [{ "id": "model", "category": "model", "currentValue": "a" }, { "id": "effort", "currentValue": "low" }],
        }));
        assert!(s.get("sessionId").is_none());
        let option = |id: &str, value: &str| Setting::Option { config_id: id.into(), value: value.into() };
        take_setting(&mut s, &option("model", "b"), &Value::Null);
        assert_eq!(current_model(&s).as_deref(), Some("b"));
        let told = json!({ "configOptions": [{ "id": "model", "category": "model", "currentValue": "c" }] });
        take_setting(&mut s, &option("effort", "high"), &told);
        assert_eq!(current_model(&s).as_deref(), Some("c"));
        let mut old = settings(&json!({ "models": { "currentModelId": "a" } }));
        take_setting(&mut old, &Setting::Model { model_id: "z".into() }, &json!({}));
        assert_eq!(current_model(&old).as_deref(), Some("z"));
        assert_eq!(current_model(&settings(&Value::Null)), None);
    }
}
