//! Brackets: triggers that wait for an order of their owner, their parent, and are armed by what it fills.
//!
//! A child names its parent by client id and is on the other side. A resting parent carries a flag, so that fills of other
//! orders pay for one test and nothing else.

use super::{NewOrder, Trading};
use crate::{
    error::{EngineError, Result},
    state::{Condition, TriggerCell},
    units::{CellIndex, Lots, NodeIndex, Side, Ticks},
};

impl Trading<'_> {
    /// Takes note of what an order that was just placed means for the triggers that wait for it: they are armed by what it
    /// filled; if it rests or waits, in this node, they go on waiting, else those that nothing armed are removed.
    #[inline(always)]
    pub(super) fn note_parent(
        &mut self,
        position: CellIndex,
        order: &NewOrder,
        filled: Lots,
        rests: Option<NodeIndex>,
    ) -> Result<()> {
        if order.client_id == 0 || self.ledger.position(position)?.first_trigger.is_nil() {
            return Ok(());
        }
        let (id, side) = (order.client_id, order.side);
        if self.arm_children(position, id, side, filled)? {
            self.keep_children(position, id, side, rests.unwrap_or(NodeIndex::NIL))?;
        }
        Ok(())
    }

    /// Ends the placing of an order that has children: if it rests, in this node, they go on waiting, else those that nothing
    /// armed are removed.
    ///
    /// WHY: out of line, since few positions have triggers.
    #[cold]
    #[inline(never)]
    fn keep_children(&mut self, position: CellIndex, parent: u64, side: Side, resting: NodeIndex) -> Result<()> {
        if resting.is_nil() {
            return self.release_children(position, parent, side);
        }
        self.market.node_mut(resting).map(|node| node.set_parent(true))
    }

    /// Arms the children of a resting order by what was just filled of it, when that is settled; if nothing is left of it,
    /// they wait no longer.
    ///
    /// WHY: out of line, since few orders have children.
    #[cold]
    #[inline(never)]
    pub(super) fn arm_children_of(&mut self, order: NodeIndex, lots: Lots) -> Result<()> {
        let node = *self.market.node(order).ok_or(EngineError::Corrupt)?;
        let (position, parent, side) = (node.position, node.client_id, node.side());
        self.arm_children(position, parent, side, lots)?;
        if node.lots.is_zero() { self.release_children(position, parent, side) } else { Ok(()) }
    }

    /// Lets the children of an order that leaves the book go.
    ///
    /// WHY: out of line, since few orders have children.
    #[cold]
    #[inline(never)]
    pub(super) fn release_children_of(&mut self, order: NodeIndex) -> Result<()> {
        let node = self.market.node(order).ok_or(EngineError::Corrupt)?;
        let (position, parent, side) = (node.position, node.client_id, node.side());
        self.release_children(position, parent, side)
    }

    /// Marks the order that a new child waits for, if it rests already.
    pub(super) fn attach(&mut self, position: CellIndex, parent: u64, side: Side) -> Result<()> {
        match self.resting_parent(position, parent, side)? {
            Some(handle) => self.market.node_mut(handle).map(|node| node.set_parent(true)),
            None => Ok(()),
        }
    }

    /// Lots that may still arm a child: those left of its parent.
    pub(super) fn parent_lots(&self, trigger: &TriggerCell) -> Result<Lots> {
        if trigger.parent == 0 {
            return Ok(Lots::ZERO);
        }
        let parent = self.resting_parent(trigger.position, trigger.parent, trigger.side())?;
        Ok(parent.and_then(|handle| self.market.node(handle)).map_or(Lots::ZERO, |node| node.lots))
    }

    /// The order of a position that has this client id and is not on the child's side.
    fn resting_parent(&self, position: CellIndex, parent: u64, child: Side) -> Result<Option<NodeIndex>> {
        let mut next = self.ledger.position(position)?.first_order;
        while let Some(node) = self.market.node(next) {
            if node.client_id == parent && node.side() != child {
                return Ok(Some(next));
            }
            next = node.next;
        }
        Ok(None)
    }

    /// Adds `lots` to what the children of an order want; returns whether it has any.
    ///
    /// WHY: out of line, since few positions have triggers.
    #[cold]
    #[inline(never)]
    pub(super) fn arm_children(&mut self, position: CellIndex, parent: u64, side: Side, lots: Lots) -> Result<bool> {
        let held = self.ledger.position(position)?;
        let (turns, mut next) = (held.turns, held.first_trigger);
        let mut found = false;
        while !next.is_nil() {
            let trigger = self.ledger.trigger_mut(next)?;
            next = trigger.next;
            if trigger.is_child_of(parent, side) {
                found = true;
                arm(trigger, lots, turns)?;
            }
        }
        Ok(found)
    }

    /// Removes the children that nothing armed; the others keep what they have and wait no longer.
    fn release_children(&mut self, position: CellIndex, parent: u64, side: Side) -> Result<()> {
        let mut next = self.ledger.position(position)?.first_trigger;
        while !next.is_nil() {
            let cell = next;
            let trigger = self.ledger.trigger_mut(cell)?;
            next = trigger.next;
            if !trigger.is_child_of(parent, side) {
                continue;
            }
            if trigger.is_dormant() {
                self.remove_trigger(cell, CellIndex::NIL)?;
            } else {
                trigger.parent = 0;
            }
        }
        Ok(())
    }
}

/// Adds what the parent filled. What was armed for a position that has been closed or turned since counts no more.
fn arm(trigger: &mut TriggerCell, lots: Lots, turns: u32) -> Result<()> {
    if lots.is_zero() {
        return Ok(());
    }
    if !trigger.is_dormant() && !trigger.is_orphan(turns) {
        trigger.lots = trigger.lots.checked_add(lots)?;
        return Ok(());
    }
    (trigger.lots, trigger.turns) = (lots, turns);
    if trigger.condition() == Some(Condition::Trailing) {
        // It follows the price from now on, from when somebody first moves it.
        trigger.price = Ticks::ZERO;
    }
    Ok(())
}
