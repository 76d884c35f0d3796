//! Views over account bytes and the structures in them. Nothing here knows about finance.

pub mod free_list;
pub mod memory;
pub mod ring;

use crate::error::{EngineError, Result};
use bytemuck::Pod;

/// Splits `count` values off the front of `bytes`. Fails with `AccountSize` if they are too short or misaligned.
#[inline(always)]
pub fn take<T: Pod>(bytes: &[u8], count: usize) -> Result<(&[T], &[u8])> {
    let (front, rest) = bytes.split_at_checked(byte_len::<T>(count)?).ok_or(EngineError::AccountSize)?;
    Ok((bytemuck::try_cast_slice(front).map_err(|_| EngineError::AccountSize)?, rest))
}

/// Splits `count` mutable values off the front of `bytes`. Fails with `AccountSize` if they are too short or misaligned.
#[inline(always)]
pub fn take_mut<T: Pod>(bytes: &mut [u8], count: usize) -> Result<(&mut [T], &mut [u8])> {
    let (front, rest) = bytes.split_at_mut_checked(byte_len::<T>(count)?).ok_or(EngineError::AccountSize)?;
    Ok((bytemuck::try_cast_slice_mut(front).map_err(|_| EngineError::AccountSize)?, rest))
}

/// Reads one value at the front of `bytes`. Fails with `AccountSize` if they are too short or misaligned.
#[inline(always)]
pub fn take_one<T: Pod>(bytes: &[u8]) -> Result<(&T, &[u8])> {
    let (front, rest) = bytes.split_at_checked(size_of::<T>()).ok_or(EngineError::AccountSize)?;
    Ok((bytemuck::try_from_bytes(front).map_err(|_| EngineError::AccountSize)?, rest))
}

/// One mutable value at the front of `bytes`. Fails with `AccountSize` if they are too short or misaligned.
#[inline(always)]
pub fn take_one_mut<T: Pod>(bytes: &mut [u8]) -> Result<(&mut T, &mut [u8])> {
    let (front, rest) = bytes.split_at_mut_checked(size_of::<T>()).ok_or(EngineError::AccountSize)?;
    Ok((bytemuck::try_from_bytes_mut(front).map_err(|_| EngineError::AccountSize)?, rest))
}

/// `count × size_of::<T>()`. Counts are stored as u32 and sizes are small, so 64 bits always hold it.
#[inline(always)]
pub fn byte_len<T>(count: usize) -> Result<usize> {
    if count > 0xffff_ffff {
        return Err(EngineError::AccountSize);
    }
    Ok(count.wrapping_mul(size_of::<T>()))
}
