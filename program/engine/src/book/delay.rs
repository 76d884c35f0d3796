//! Takers that wait.

use super::Trading;
use crate::{
    error::{EngineError, Result},
    units::NodeIndex,
};

impl Trading<'_> {
    /// Takes a waiting taker out of the ring; its reservation is gone already.
    pub(super) fn unqueue(&mut self, _handle: NodeIndex) -> Result<()> {
        Err(EngineError::Corrupt)
    }
}
