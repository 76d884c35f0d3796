//! Moving array elements: the one module with `unsafe`, because on chain a bulk move is a syscall.
//!
//! `sol_memmove_` costs `max(10, bytes / 250)` compute units, 52 for 8 KiB: this is what makes a sorted array the
//! cheapest order index on this VM. The compiler backend cannot lower `memmove` of a variable size by itself.

use bytemuck::Pod;

/// Moves `entries[from..len]` one place up, leaving `entries[from]` as it was. Does nothing unless
/// `from ≤ len < entries.len()`.
#[inline(always)]
pub fn shift_up<T: Pod>(entries: &mut [T], from: usize, len: usize) {
    if from < len && len < entries.len() {
        move_within(entries, from, from.wrapping_add(1), len.wrapping_sub(from));
    }
}

/// Moves `entries[from + 1..len]` one place down, overwriting `entries[from]`. Does nothing unless
/// `from < len ≤ entries.len()`.
#[inline(always)]
pub fn shift_down<T: Pod>(entries: &mut [T], from: usize, len: usize) {
    let source = from.wrapping_add(1);
    if source < len && len <= entries.len() {
        move_within(entries, source, from, len.wrapping_sub(source));
    }
}

/// Callers guarantee `source + count ≤ entries.len()` and `target + count ≤ entries.len()`.
#[cfg(not(target_os = "solana"))]
fn move_within<T: Pod>(entries: &mut [T], source: usize, target: usize, count: usize) {
    entries.copy_within(source..source.wrapping_add(count), target);
}

#[cfg(target_os = "solana")]
#[inline(always)]
#[allow(unsafe_code)]
fn move_within<T: Pod>(entries: &mut [T], source: usize, target: usize, count: usize) {
    let bytes = count.wrapping_mul(size_of::<T>());
    let base = entries.as_mut_ptr();
    // SAFETY: both ranges lie inside `entries` (the two callers above check it), `T` is plain data, memmove permits
    // overlap, and no other reference into `entries` exists while it is borrowed mutably here.
    unsafe {
        solana_define_syscall::definitions::sol_memmove_(
            base.add(target).cast::<u8>(),
            base.add(source).cast::<u8>().cast_const(),
            bytes as u64,
        );
    }
}
