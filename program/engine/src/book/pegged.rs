//! Orders pegged to the index.

use super::{Trading, offer::Candidate};
use crate::{
    error::{EngineError, Result},
    units::{CellIndex, NodeIndex, Side},
};

impl Trading<'_> {
    /// The best pegged order of a side at its present price, fit or not.
    pub(super) fn best_pegged(&self, _side: Side) -> Result<Option<Candidate>> {
        Ok(None)
    }

    /// The best pegged order of a side that is for sale.
    pub(super) fn fit_pegged(&self, _side: Side) -> Result<Option<Candidate>> {
        Ok(None)
    }

    /// A taker met a pegged order that is not for sale: drops it.
    pub(super) fn pass_pegged(&mut self, _handle: NodeIndex, _taker: CellIndex) -> Result<()> {
        Err(EngineError::Corrupt)
    }

    /// Takes a pegged order's entry out; its reservation is gone already.
    pub(super) fn unpeg(&mut self, _handle: NodeIndex) -> Result<()> {
        Err(EngineError::Corrupt)
    }
}
