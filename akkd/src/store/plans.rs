//! Plans to end a process that holds a native session: made by a look, carried out once, kept for a day.

use super::error::StoreError;
use super::{Store, commit};
use akk_proto::{RequestId, Timestamp};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

/// How long a plan that is used or too old is kept, so that a late confirmation is told what became of it.
const KEPT_MS: i64 = 86_400_000;
/// Plans that are kept at most. A client that asks for plans in a loop costs the oldest ones, nothing else.
const MOST: u32 = 1000;

const PLAN: &str = "SELECT id, agent, session, pid, created_at, expires_at, used_at, used_by, plan, steps FROM plans";

/// A plan to end a process.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRow {
    /// Its id.
    pub plan_id: String,
    /// The provider of the session.
    pub agent: String,
    /// The session.
    pub session_id: String,
    /// The process that is to be ended.
    pub pid: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// How it was used, once it was.
    pub used: Option<PlanUse>,
    /// What was seen and is to be done, as the takeover room wrote it.
    pub plan: Value,
}

/// How a plan was used.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanUse {
    /// When.
    pub at: Timestamp,
    /// By which repeat-safe call.
    pub request_id: Option<RequestId>,
    /// What was done, as the takeover room wrote it.
    pub steps: Value,
}

impl PlanRow {
    /// Whether it may still be used. A clock that was set back before its making does not make it good for longer.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.used.is_none() && self.created_at <= now && now < self.expires_at
    }
}

impl Store {
    /// Keeps a new plan. Forgets those that nobody can need any more.
    pub async fn plan_put(&self, row: PlanRow) -> Result<(), StoreError> {
        let plan = commit::json(&row.plan)?;
        self.write(move |tx, _| {
            tx.prepare_cached("DELETE FROM plans WHERE expires_at < ?1")?.execute([row.created_at.0 - KEPT_MS])?;
            tx.prepare_cached(
                "INSERT INTO plans (id, agent, session, pid, created_at, expires_at, plan) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute((
                &row.plan_id,
                &row.agent,
                &row.session_id,
                row.pid,
                row.created_at.0,
                row.expires_at.0,
                &plan,
            ))?;
            tx.prepare_cached(
                "DELETE FROM plans WHERE ord <= (SELECT ord FROM plans ORDER BY ord DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute([MOST])?;
            Ok(())
        })
        .await
    }

    /// The plan of this id, used or not; none when there is none, or none any more.
    pub async fn plan(&self, plan_id: &str) -> Result<Option<PlanRow>, StoreError> {
        let plan_id = plan_id.to_owned();
        self.read(move |conn| one(conn, "WHERE id = ?1", [plan_id])).await
    }

    /// The newest plan for this session and process that may still be used.
    pub async fn newest_plan(
        &self,
        agent: &str,
        session_id: &str,
        pid: u32,
        now: Timestamp,
    ) -> Result<Option<PlanRow>, StoreError> {
        let (agent, session_id) = (agent.to_owned(), session_id.to_owned());
        self.read(move |conn| {
            one(
                conn,
                "WHERE agent = ?1 AND session = ?2 AND pid = ?3 AND used_at IS NULL AND created_at <= ?4
                 AND expires_at > ?4 ORDER BY ord DESC LIMIT 1",
                (agent, session_id, pid, now.0),
            )
        })
        .await
    }

    /// The plan that this repeat-safe call used already.
    pub async fn plan_used_by(&self, request_id: &RequestId) -> Result<Option<PlanRow>, StoreError> {
        let request_id = request_id.clone();
        self.read(move |conn| one(conn, "WHERE used_by = ?1 ORDER BY ord DESC LIMIT 1", [request_id.as_str()])).await
    }

    /// Uses a plan up, with what is about to be done. False, and nothing changed, when it was used already or is not
    /// there.
    pub async fn plan_use(&self, plan_id: &str, used: PlanUse) -> Result<bool, StoreError> {
        let (plan_id, steps) = (plan_id.to_owned(), commit::json(&used.steps)?);
        self.write(move |tx, _| {
            let changed = tx
                .prepare_cached(
                    "UPDATE plans SET used_at = ?2, used_by = ?3, steps = ?4 WHERE id = ?1 AND used_at IS NULL",
                )?
                .execute((&plan_id, used.at.0, used.request_id.as_ref().map(RequestId::as_str), &steps))?;
            Ok(changed > 0)
        })
        .await
    }

    /// Notes what was done with a plan that was used up.
    pub async fn plan_steps(&self, plan_id: &str, steps: Value) -> Result<(), StoreError> {
        let (plan_id, steps) = (plan_id.to_owned(), commit::json(&steps)?);
        self.write(move |tx, _| {
            let changed = tx
                .prepare_cached("UPDATE plans SET steps = ?2 WHERE id = ?1 AND used_at IS NOT NULL")?
                .execute((&plan_id, &steps))?;
            if changed == 0 { Err(StoreError::not_found("used plan", &plan_id)) } else { Ok(()) }
        })
        .await
    }
}

fn one(conn: &Connection, condition: &str, values: impl rusqlite::Params) -> Result<Option<PlanRow>, StoreError> {
    let found = conn.prepare_cached(&format!("{PLAN} {condition}"))?.query_row(values, plan).optional()?;
    found.transpose().map_err(|detail| StoreError::Defect { detail })
}

/// A plan. The outer error is SQLite's; the inner one means that this row cannot be read.
fn plan(row: &Row<'_>) -> rusqlite::Result<Result<PlanRow, String>> {
    let plan_id = super::text(row, 0)?;
    let used_at: Option<i64> = row.get(6)?;
    let used_by = if row.get_ref(7)? == ValueRef::Null { None } else { Some(super::text(row, 7)?) };
    let (plan, steps) = (super::text(row, 8)?, super::text(row, 9)?);
    let (agent, session_id, pid) = (super::text(row, 1)?, super::text(row, 2)?, row.get(3)?);
    let (created_at, expires_at) = (Timestamp(row.get(4)?), Timestamp(row.get(5)?));
    let read = || -> Result<PlanRow, String> {
        let unreadable = |e: &dyn std::fmt::Display| format!("the plan {plan_id} cannot be read: {e}");
        let parse = |json: &str| serde_json::from_str::<Value>(json).map_err(|e| unreadable(&e));
        let used = match used_at {
            None => None,
            Some(at) => Some(PlanUse {
                at: Timestamp(at),
                request_id: used_by.map(RequestId::parse).transpose().map_err(|e| unreadable(&e))?,
                steps: parse(&steps)?,
            }),
        };
        let plan = parse(&plan)?;
        Ok(PlanRow { plan_id: plan_id.clone(), agent, session_id, pid, created_at, expires_at, used, plan })
    };
    Ok(read())
}
