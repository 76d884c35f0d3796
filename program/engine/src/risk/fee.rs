//! Fees of a fill.

use crate::{
    error::Result,
    units::{Ppm, QuoteAtoms, QuoteDelta, SignedPpm},
};

/// What a fill costs each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillFees {
    /// Charged to the taker.
    pub taker: QuoteAtoms,
    /// Charged to the maker; negative for a rebate.
    pub maker: QuoteDelta,
}

/// Fees of a fill worth `notional`. The exchange keeps `taker + maker ≥ 0` (M5): the rebate rate is at most the taker rate,
/// which a listing proves and a discount keeps, and a charge is rounded up, a rebate down.
#[inline(always)]
pub fn of_fill(notional: QuoteAtoms, taker: Ppm, maker: SignedPpm) -> Result<FillFees> {
    let rate = Ppm::new(maker.get().unsigned_abs());
    let maker = if maker.get() < 0 {
        notional.ppm_floor(rate)?.as_delta()?.negated()?
    } else {
        notional.ppm_ceil(rate)?.as_delta()?
    };
    Ok(FillFees { taker: notional.ppm_ceil(taker)?, maker })
}
