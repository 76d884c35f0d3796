//! What an exchange charges by volume and shares with referrers; part of its policy.

use crate::units::{Ppm, QuoteAtoms};
use bytemuck::{Pod, Zeroable};

/// Fee tiers of an exchange.
pub const FEE_TIERS_MAX: usize = 4;

/// A discount on the taker fee from a volume on, 16 bytes. An unused one is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FeeTier {
    /// Faded taking volume from which it holds, in quote atoms.
    pub volume_min: QuoteAtoms,
    /// Share of the market's taker fee that is not charged.
    pub discount: Ppm,
    pad: u32,
}

/// Tiers and the referrers' share, 72 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FeeSchedule {
    /// Rising tiers, unused ones last.
    pub tiers: [FeeTier; FEE_TIERS_MAX],
    /// The referrer's share of what the exchange earns by a taking order: its taker fee less the rebates it pays.
    pub referral_share: Ppm,
    pad: u32,
}

const _: () = assert!(size_of::<FeeTier>() == 16 && align_of::<FeeTier>() == 8);
const _: () = assert!(size_of::<FeeSchedule>() == 72 && align_of::<FeeSchedule>() == 8);

impl FeeTier {
    /// No tier.
    pub const UNUSED: Self = Self::new(QuoteAtoms::ZERO, Ppm::ZERO);

    /// This discount from this volume on.
    pub const fn new(volume_min: QuoteAtoms, discount: Ppm) -> Self {
        Self { volume_min, discount, pad: 0 }
    }
}

impl FeeSchedule {
    /// No tiers, nothing for referrers.
    pub const NONE: Self = Self::new([FeeTier::UNUSED; FEE_TIERS_MAX], Ppm::ZERO);

    /// These tiers, this share.
    pub const fn new(tiers: [FeeTier; FEE_TIERS_MAX], referral_share: Ppm) -> Self {
        Self { tiers, referral_share, pad: 0 }
    }

    /// Whether there is any tier.
    #[inline(always)]
    pub const fn is_tiered(&self) -> bool {
        !self.tiers[0].volume_min.is_zero()
    }

    /// Whether its padding is zero.
    pub fn is_padded(&self) -> bool {
        self.pad == 0 && self.tiers.iter().all(|tier| tier.pad == 0)
    }
}
