//! A short soak in every run of the tests; the long one is `target/debug/soak`.

use akk_tests::soak::{Victim, soak};

#[tokio::test]
async fn thirty_deaths_of_akkd_in_mid_turn_lose_and_repeat_nothing() {
    let figures = soak(Victim::Akkd, 30, 11).await;
    assert!(figures.are_clean() && figures.kills == 30, "{figures}");
}

#[tokio::test]
async fn agents_that_die_in_mid_turn_are_told_of_and_their_messages_go_on() {
    let figures = soak(Victim::Agents, 15, 11).await;
    assert!(figures.are_clean() && figures.asked > 0, "{figures}");
}
