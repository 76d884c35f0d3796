//! Lists of orders at the end of an instruction's data.

use crate::{error::Refusal, instruction::expect};
use bytemuck::Pod;
use pinocchio::error::ProgramError;
use quantdesk_engine::book::OrderHandle;

/// Orders that one instruction can name.
pub const HANDLES_MAX: u8 = 16;

/// Bytes of a handle.
const HANDLE_SIZE: usize = size_of::<OrderHandle>();

/// A list of orders, unaligned as it stands in the data.
#[derive(Clone, Copy, Debug)]
pub struct Handles<'a>(&'a [u8]);

impl<'a> Handles<'a> {
    /// The arguments before the list, and the list, of which they say how long it is.
    ///
    /// Fails with `DataLength` unless exactly so many handles follow, with `FieldInvalid` for none, for more than
    /// [`HANDLES_MAX`], or for padding that is not zero.
    pub fn split<T: Pod>(data: &'a [u8], count: impl FnOnce(&T) -> u8) -> Result<(T, Self), ProgramError> {
        let (fixed, list) = data.split_at_checked(size_of::<T>()).ok_or(Refusal::DataLength)?;
        let fixed = bytemuck::try_pod_read_unaligned(fixed).map_err(|_| Refusal::DataLength)?;
        let count = count(&fixed);
        if list.len() != usize::from(count).wrapping_mul(HANDLE_SIZE) {
            return Err(Refusal::DataLength.into());
        }
        let handles = Self(list);
        expect(count > 0 && count <= HANDLES_MAX && handles.iter().all(|handle| handle.is_padded()))?;
        Ok((fixed, handles))
    }

    /// The orders in turn.
    pub fn iter(self) -> impl Iterator<Item = OrderHandle> + 'a {
        self.0.chunks_exact(HANDLE_SIZE).filter_map(|bytes| bytemuck::try_pod_read_unaligned(bytes).ok())
    }
}
