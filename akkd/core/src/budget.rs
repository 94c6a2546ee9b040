//! Rounds: levels, their thresholds, and what an agent is told at each.

use akk_proto::conversation::BudgetLevel;
use akk_proto::error::{ErrorKind, Failure};

/// The level for `used` rounds. The share of the soft limit is rounded up to whole percents.
pub fn level(used: u32, soft_limit: u32, hard_limit: u32) -> BudgetLevel {
    let (used, soft) = (u64::from(used), u64::from(soft_limit.max(1)));
    let percent = (used * 100).div_ceil(soft);
    if used >= u64::from(hard_limit) {
        BudgetLevel::HardStop
    } else if percent >= 100 {
        BudgetLevel::SoftStop
    } else if percent >= 80 {
        BudgetLevel::Warning
    } else if percent >= 60 {
        BudgetLevel::Converge
    } else {
        BudgetLevel::Normal
    }
}

/// What the agent is told when a level is reached; none for levels at which nothing is prompted.
pub fn control_text(level: BudgetLevel, used: u32, soft_limit: u32) -> Option<String> {
    let left = soft_limit.saturating_sub(used);
    match level {
        BudgetLevel::Normal => None,
        BudgetLevel::Converge => Some(format!(
            "Budget: {used} of {soft_limit} rounds are used. Converge now: list what is left to do, drop what is not \
             needed, and take the shortest way to a finished state. {left} rounds are left."
        )),
        BudgetLevel::Warning | BudgetLevel::SoftStop | BudgetLevel::HardStop => Some(format!(
            "Budget: {used} of {soft_limit} rounds are used. Finish before the limit: complete the work, or deliver a \
             reduced version and say what is missing, or explain why it cannot be done. {left} rounds are left."
        )),
    }
}

/// Checks limits that somebody asked for.
///
/// # Errors
/// `invalid_params` unless 1 ≤ soft ≤ hard.
pub fn check_limits(soft_limit: u32, hard_limit: u32) -> Result<(), Failure> {
    if soft_limit >= 1 && soft_limit <= hard_limit {
        return Ok(());
    }
    Err(Failure::new(
        ErrorKind::InvalidParams,
        format!("soft limit {soft_limit} and hard limit {hard_limit} do not fit"),
        "Choose limits with 1 ≤ soft limit ≤ hard limit.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_from_used_over_soft_rounded_up() {
        use BudgetLevel::{Converge, HardStop, Normal, SoftStop, Warning};
        for (used, soft, hard, expected) in [
            (0, 50, 100, Normal),
            (29, 50, 100, Normal),
            (30, 50, 100, Converge),
            (39, 50, 100, Converge),
            (40, 50, 100, Warning),
            (49, 50, 100, Warning),
            (50, 50, 100, SoftStop),
            (99, 50, 100, SoftStop),
            (100, 50, 100, HardStop),
            (1, 1, 2, SoftStop),
            (1, 1, 1, HardStop),
            // 25 of 42 is 59.52 %: rounded up it is 60.
            (25, 42, 100, Converge),
            (u32::MAX, u32::MAX, u32::MAX, HardStop),
        ] {
            assert_eq!(level(used, soft, hard), expected, "{used}/{soft}/{hard}");
        }
    }

    #[test]
    fn limits_must_fit() {
        assert!(check_limits(1, 1).is_ok());
        assert!(check_limits(0, 1).is_err());
        assert!(check_limits(3, 2).is_err());
    }
}
