//! Ladders: quotes relative to a maker's own middle, all of them moved by one small write.

use super::{Trading, offer::Candidate};
use crate::{
    error::{EngineError, Result},
    units::{Lots, NodeIndex, Side},
};

impl Trading<'_> {
    /// The best level that is left of all ladders on a side, fit or not.
    pub(super) fn best_rung(&self, _side: Side) -> Result<Option<Candidate>> {
        Ok(None)
    }

    /// The best level of all ladders on a side that is for sale.
    pub(super) fn fit_rung(&self, _side: Side) -> Result<Option<Candidate>> {
        Ok(None)
    }

    /// A taker met a level that is not for sale, or its own: consumes the level.
    pub(super) fn pass_rung(&mut self, _handle: NodeIndex) -> Result<()> {
        Err(EngineError::Corrupt)
    }

    /// Lots of the best level were taken.
    pub(super) fn consume_rung(&mut self, _handle: NodeIndex, _lots: Lots) -> Result<()> {
        Err(EngineError::Corrupt)
    }

    /// Ends a ladder's side; its reservation is gone already.
    pub(super) fn end_rungs(&mut self, _handle: NodeIndex) -> Result<()> {
        Err(EngineError::Corrupt)
    }
}
