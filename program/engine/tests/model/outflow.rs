//! What may leave the vault in the model: the leaky bucket, and the queue of what must wait.

use super::{Model, PPM, floor_div};
use quantdesk_engine::{EngineError, Result, governance::mode::Act, state::CashEventKind};

/// What was spent, and when; it fades within a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    spent: i128,
    at: i64,
}

/// A withdrawal in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub cell: u32,
    pub trader: usize,
    pub atoms: i128,
    pub since: i64,
}

impl Bucket {
    fn level(&self, capacity: i128, window: i64, now: i64) -> i128 {
        let passed = i128::from((now - self.at).clamp(0, window));
        (self.spent - floor_div(capacity.max(self.spent) * passed, window.into())).max(0)
    }

    pub fn available(&self, capacity: i128, window: i64, now: i64) -> i128 {
        (capacity - self.level(capacity, window, now)).max(0)
    }

    pub fn spend(&mut self, atoms: i128, capacity: i128, window: i64, now: i64) {
        self.spent = (self.level(capacity, window, now) + atoms).min(capacity);
        self.at = self.at.max(now);
    }
}

const HOUR: i64 = 3_600;

impl Model {
    pub fn outflow_capacity(&self) -> i128 {
        let share = floor_div(self.total * i128::from(self.policy.outflow_rate.get()), PPM);
        share.max(self.policy.outflow_floor.get().into())
    }

    fn is_available(&self, atoms: i128) -> bool {
        atoms <= self.outflow.available(self.outflow_capacity(), HOUR, self.now)
    }

    /// At once, that is.
    pub(super) fn may_leave(&self, atoms: i128) -> bool {
        self.queue.is_empty() && self.is_available(atoms)
    }

    pub(super) fn spend(&mut self, atoms: i128) {
        let (capacity, now) = (self.outflow_capacity(), self.now);
        self.outflow.spend(atoms, capacity, HOUR, now);
    }

    pub fn waits(&self, trader: usize) -> bool {
        self.queue.iter().any(|waiting| waiting.trader == trader)
    }

    pub fn queued(&self) -> i128 {
        self.queue.iter().map(|waiting| waiting.atoms).sum()
    }

    /// Pays the first in the queue, or gives it back if its target cannot be paid.
    pub fn process_queue(&mut self, usable: bool) -> Result<(u32, i128)> {
        self.attempt(|model| {
            if model.forbids(Act::PayOut) {
                return Err(EngineError::ModeForbids);
            }
            let first = *model.queue.front().ok_or(EngineError::QueueNotDue)?;
            let waited = model.now - first.since >= model.policy.queue_seconds.into();
            if !waited && !model.is_available(first.atoms) {
                return Err(EngineError::QueueNotDue);
            }
            model.queue.pop_front();
            model.released.push(first.cell);
            if usable {
                model.spend(first.atoms);
                model.total -= first.atoms;
                model.note(CashEventKind::WithdrawalPaid, first.trader, first.atoms);
            } else {
                model.pay_in(first.trader, first.atoms);
                model.note(CashEventKind::WithdrawalReturned, first.trader, first.atoms);
            }
            Ok((model.trader(first.trader).cell, first.atoms))
        })
    }
}
