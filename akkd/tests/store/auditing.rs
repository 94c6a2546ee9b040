//! The audit: bounded, in order, and nobody's burden.

use crate::samples::{Home, Story, at, audited, task};
use akk_proto::audit::{AuditRow, KEPT_DAYS, KEPT_ROWS, OK, UNFINISHED};
use akkd::store::Store;

async fn all(store: &Store) -> Vec<AuditRow> {
    store.audit(None, None, 1000).await.unwrap().0
}

#[tokio::test]
async fn a_call_has_one_row_from_its_begin_on_and_gets_its_result() {
    let home = Home::new();
    let begun = audited(1, at(10), "conversation.send", UNFINISHED);
    let place = home.store.audit_begin(begun.clone()).await;
    assert_eq!(all(&home.store).await, [begun]);
    let ended = audited(1, at(10), "conversation.send", OK);
    home.store.audit_end(&place, ended.clone());
    assert_eq!(all(&home.store).await, [ended]);
}

#[tokio::test]
async fn rows_are_chosen_by_conversation_and_time_and_the_newest_count() {
    let home = Home::new();
    for n in 1..=6 {
        home.store.audit_whole(audited(n % 2, at(n.into()), "conversation.send", OK)).await;
    }
    let times = async |since: Option<i64>, conversation: Option<u32>, limit| {
        let (rows, more) = home.store.audit(since.map(at), conversation.map(task), limit).await.unwrap();
        (rows.iter().map(|r| r.at.0 - at(0).0).collect::<Vec<_>>(), more)
    };
    let s = at(1).0 - at(0).0;
    assert_eq!(times(None, None, 2).await, (vec![5 * s, 6 * s], true));
    assert_eq!(times(Some(5), None, 2).await, (vec![5 * s, 6 * s], false));
    assert_eq!(times(None, Some(1), 10).await, (vec![s, 3 * s, 5 * s], false));
    assert_eq!(times(Some(2), Some(1), 1).await, (vec![5 * s], true));
    assert_eq!(times(None, Some(7), 1).await, (vec![], false));
}

#[tokio::test]
async fn the_audit_goes_on_behind_its_newest_row_and_outlives_its_conversation() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    home.store.audit_whole(audited(1, at(1), "conversation.close", OK)).await;
    story.becomes(akk_core::conversation::Phase::Closed { at: at(2), reason: "x".into() }, at(2)).await;
    home.store.delete(&task(1)).await.unwrap();
    home.store.close().await;
    let store = Store::open(&home.path()).unwrap();
    store.audit_whole(audited(1, at(3), "conversation.delete", OK)).await;
    let methods: Vec<_> = all(&store).await.into_iter().map(|r| r.method).collect();
    assert_eq!(methods, ["conversation.close", "conversation.delete"]);
}

#[tokio::test]
async fn no_more_rows_are_kept_than_are_allowed() {
    let home = Home::new();
    home.store.close().await;
    let fill = "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO audit (ord, ts, via, method, result) SELECT i, i, 'control', 'conversation.send', 'ok' FROM n";
    home.behind_its_back().execute(fill, [KEPT_ROWS]).unwrap();
    let store = Store::open(&home.path()).unwrap();
    for _ in 0..3 {
        store.audit_whole(audited(1, at(1), "conversation.send", OK)).await;
    }
    let kept = |sql: &str| -> u32 { home.behind_its_back().query_row(sql, [], |r| r.get(0)).unwrap() };
    assert_eq!(kept("SELECT count(*) FROM audit"), KEPT_ROWS);
    assert_eq!(kept("SELECT min(ord) FROM audit"), 4);
    // And by age, in portions: those of long ago go, those of today stay.
    store.audit_forget_old(at(1)).await.unwrap();
    assert_eq!(kept("SELECT count(*) FROM audit"), 3);
}

#[tokio::test]
async fn a_row_goes_when_its_time_is_over_and_not_before() {
    let home = Home::new();
    home.store.audit_whole(audited(1, at(0), "conversation.send", OK)).await;
    let over = at(0).plus_millis(i64::from(KEPT_DAYS) * 86_400_000);
    home.store.audit_forget_old(over).await.unwrap();
    assert_eq!(all(&home.store).await.len(), 1);
    home.store.audit_forget_old(over.plus_millis(1)).await.unwrap();
    assert_eq!(all(&home.store).await.len(), 0);
}

#[tokio::test]
async fn a_row_that_cannot_be_written_fails_nobody() {
    let home = Home::new();
    let mut story = Story::begin(&home.store, 1, "r").await;
    home.behind_its_back().execute_batch("DROP TABLE audit").unwrap();
    let row = audited(1, at(1), "conversation.send", UNFINISHED);
    let (place, committed, ()) = tokio::join!(
        home.store.audit_begin(row.clone()),
        story.commit(story.noticed("x")),
        home.store.audit_whole(row.clone())
    );
    committed.unwrap();
    home.store.audit_end(&place, row);
    assert!(home.store.audit(None, None, 10).await.is_err());
    story.commit(story.noticed("y")).await.unwrap();
}
