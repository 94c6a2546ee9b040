//! akkd is never started by an agent.

use akk_proto::error::{ErrorKind, Failure};

/// Refuses to go on in the environment of an agent. Its sandbox may have a pid namespace of its own, where every
/// process that akkd knows looks dead, and an akkd that an agent started dies with the agent's process group.
///
/// # Errors
/// When `AKK_CONVERSATION` is set; `env` reads the environment.
pub fn refuse_inside_agent(env: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
    let Some(conversation) = env("AKK_CONVERSATION") else { return Ok(()) };
    let conversation: String = conversation.chars().filter(|c| !c.is_control()).take(60).collect();
    let message = format!("akkd does not start inside of an agent (AKK_CONVERSATION is {conversation})");
    let hint = "Start it from a shell of your own with `akkctl daemon start`; reports wait until it runs.";
    Err(Failure::new(ErrorKind::WrongStatus, message, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_environment_is_refused_by_name() {
        assert!(refuse_inside_agent(|_| None).is_ok());
        let env = |name: &str| (name == "AKK_CONVERSATION").then(|| "task-1".to_owned());
        let failure = refuse_inside_agent(env).unwrap_err();
        assert!(failure.message.contains("AKK_CONVERSATION is task-1"), "{}", failure.message);
    }
}
