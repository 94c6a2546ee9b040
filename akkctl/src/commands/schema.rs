//! `akkctl schema`: the protocol of akkd, for those who write a client.

use crate::error::{Error, Result, exit};
use crate::output::print;

pub(super) fn run() -> Result<u8> {
    let text = serde_json::to_string_pretty(&akk_proto::schema::openrpc()).map_err(|e| Error::Output(e.into()))?;
    print(&format!("{text}\n"))?;
    Ok(exit::OK)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use std::path::Path;

    /// What stood in the tree when the version was last raised.
    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/protocol.json");

    #[test]
    fn the_protocol_changes_with_a_step_of_its_version_only() {
        let now = akk_proto::schema::openrpc();
        let kept = std::fs::read_to_string(KEPT).ok().map(|text| serde_json::from_str::<Value>(&text).unwrap());
        if kept.as_ref() == Some(&now) {
            return;
        }
        let version = |v: &Value| v["info"]["version"].clone();
        let stepped = kept.as_ref().is_none_or(|kept| version(kept) != version(&now));
        assert!(
            stepped,
            "what is on the wire changed, and its version did not. In proto/src/version.rs raise REVISION for what was \
             added, or PROTOCOL where a client of before would misread an answer; then run this test with \
             AKK_WRITE_PROTOCOL=1. The first differences:\n{}",
            differences(&kept.unwrap_or_default(), &now, "").into_iter().take(10).collect::<Vec<_>>().join("\n")
        );
        assert!(std::env::var_os("AKK_WRITE_PROTOCOL").is_some(), "run this test with AKK_WRITE_PROTOCOL=1 to keep it");
        let text = format!("{}\n", serde_json::to_string_pretty(&now).unwrap());
        std::fs::write(Path::new(KEPT), text).unwrap();
    }

    fn differences(a: &Value, b: &Value, at: &str) -> Vec<String> {
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
                let none = Value::Null;
                let value =
                    |of: &serde_json::Map<String, Value>, key: &str| of.get(key).cloned().unwrap_or(none.clone());
                keys.into_iter().flat_map(|k| differences(&value(a, k), &value(b, k), &format!("{at}/{k}"))).collect()
            }
            (a, b) if a == b => Vec::new(),
            (a, b) => vec![format!("{at}: {} -> {}", short(a), short(b))],
        }
    }

    fn short(value: &Value) -> String {
        value.to_string().chars().take(100).collect()
    }

    #[test]
    fn a_difference_is_found_where_it_is() {
        let (a, b) = (serde_json::json!({"x": {"y": 1, "z": 2}}), serde_json::json!({"x": {"y": 1, "z": 3, "w": 4}}));
        assert_eq!(differences(&a, &b, ""), ["/x/w: null -> 4", "/x/z: 2 -> 3"]);
        assert!(differences(&a, &a, "").is_empty());
    }
}
