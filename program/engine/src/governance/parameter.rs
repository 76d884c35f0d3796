//! Every number of an exchange that can be changed: one row each, with its bounds, its largest step, and what a change of
//! it waits for.
//!
//! The table is all there is: what has no row here is changed as a whole ([`super::change::Kind`]), or fixed for ever.

use super::{CRITICAL_DELAY_MIN, DELAY_MAX, Delays, LOOSENING_DELAY_MIN};
use crate::{
    error::{EngineError, Result},
    math,
    risk::listing::{
        self, BAND_MAX, BAND_MIN, BASIS_MAX, BASIS_MIN, DEAD_SECONDS_MAX, FRESH_SECONDS_MAX, FUNDING_CAP_MAX,
        INTEREST_SCALE_MAX, INTEREST_SCALE_MIN, LIQUIDATION_BUFFER_MAX, LIQUIDATION_FEE_MAX, STEP_MAX,
        STEP_SECONDS_MAX, TAKEOVER_DISCOUNT_MAX, TAKER_DELAY_MAX, TAKER_FEE_MAX, WIDTH_MAX,
    },
    state::{MarketRow, exchange::MARKET_SOURCES_MAX, ledger::Policy},
    units::{Lots, Ppm, QuoteAtoms, SignedPpm},
};

/// Most lots that a limit of a market may be changed to.
pub const LOTS_MAX: i64 = (1 << 62) - 1;
/// Most atoms that a limit may be changed to: all there can be.
pub const ATOMS_MAX: i64 = 1 << 62;

/// Shares of a parameter's present value, in ppm, that one change may move it by: half of it.
const HALF: u32 = 500_000;
/// All of it: up to twice the value.
const WHOLE: u32 = 1_000_000;

/// What a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One market.
    Market,
    /// The exchange as a whole.
    Exchange,
}

/// Which direction of a change cannot be turned against anybody and therefore takes effect at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tighter {
    /// Less. Such a change may be of any size.
    Down,
    /// More. Its steps are bounded all the same: it cannot be taken back.
    Up,
    /// Neither: every change waits.
    Neither,
}

/// What a change waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing.
    Tightening,
    /// [`Delays::loosening`].
    Loosening,
    /// [`Delays::critical`].
    Critical,
    /// Eternity: there is no such change.
    Never,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which parameter.
    pub parameter: Parameter,
    /// Name of the field.
    pub name: &'static str,
    /// What it belongs to.
    pub scope: Scope,
    /// Which direction tightens.
    pub tighter: Tighter,
    /// Class of a change that does not tighten.
    pub class: Class,
    /// Least value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
    /// One change moves the value by at most this share of it,
    pub step: Ppm,
    /// or by this much, if that is more.
    pub step_least: i64,
}

/// What the parameters of a market and its exchange are. Of those of an exchange alone, the row is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    /// The market's row.
    pub row: MarketRow,
    /// The exchange's policy.
    pub policy: Policy,
    /// How long changes wait.
    pub delays: Delays,
    /// Slots that a taker waits, from the market's own account; `None` where that is not at hand.
    pub taker_delay: Option<u32>,
}

/// A number as the table sees it. What does not fit, an amount beyond all there can be, is the largest there is.
trait Number: Sized {
    fn number(self) -> i64;
    /// Fails with `ChangeOutOfBounds`.
    fn of(number: i64) -> Result<Self>;
}

macro_rules! numbers {
    ($($type:ty: $get:expr, $make:expr;)*) => {
        $(impl Number for $type {
            fn number(self) -> i64 {
                i64::try_from($get(self)).unwrap_or(i64::MAX)
            }

            fn of(number: i64) -> Result<Self> {
                number.try_into().map($make).map_err(|_| EngineError::ChangeOutOfBounds)
            }
        })*
    };
}

numbers! {
    u8: core::convert::identity, core::convert::identity::<u8>;
    u32: core::convert::identity, core::convert::identity::<u32>;
    Lots: Lots::get, Lots::new;
    QuoteAtoms: QuoteAtoms::get, QuoteAtoms::new;
    Ppm: Ppm::get, Ppm::new;
    SignedPpm: SignedPpm::get, SignedPpm::new;
}

/// Makes the table, and reads and writes what it names.
macro_rules! parameters {
    ($(
        $code:literal $variant:ident $name:literal: $scope:ident, $tighter:ident, $class:ident,
        $min:expr, $max:expr, $step:expr, $least:expr => $($place:ident).+ ;
    )*) => {
        /// A parameter; its number stands in proposals and is never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Parameter {
            $(#[doc = concat!("`", $name, "`")] $variant = $code,)*
        }

        /// The table, in the order of numbers.
        pub const RULES: &[Rule] = &[$(Rule {
            parameter: Parameter::$variant,
            name: $name,
            scope: Scope::$scope,
            tighter: Tighter::$tighter,
            class: Class::$class,
            min: $min,
            max: $max,
            step: Ppm::new($step),
            step_least: $least,
        },)*];

        impl Parameter {
            /// Decodes a stored byte.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The stored byte.
            pub const fn byte(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }
        }

        impl Values {
            fn read_stored(&self, parameter: Parameter) -> i64 {
                match parameter {
                    $(Parameter::$variant => self.$($place).+.number(),)*
                }
            }

            fn write_stored(&mut self, parameter: Parameter, value: i64) -> Result<()> {
                match parameter {
                    $(Parameter::$variant => self.$($place).+ = Number::of(value)?,)*
                }
                Ok(())
            }
        }
    };
}

/// The slots that a taker waits, which the market's own account keeps.
impl Number for Option<u32> {
    fn number(self) -> i64 {
        self.map_or(0, i64::from)
    }

    fn of(number: i64) -> Result<Self> {
        u32::of(number).map(Some)
    }
}

/// A bound from the listing's constants, all of which are below 2^32.
const fn wide(value: u32) -> i64 {
    math::to_u64(value).cast_signed()
}

const fn ppm(value: Ppm) -> i64 {
    wide(value.get())
}

parameters! {
    1 LotsMin "lots_min": Market, Neither, Loosening, 1, LOTS_MAX, WHOLE, 1 => row.lots_min;
    2 LotsMax "lots_max": Market, Neither, Loosening, 1, LOTS_MAX, WHOLE, 1 => row.lots_max;
    3 PositionMax "position_max": Market, Down, Loosening, 1, LOTS_MAX, WHOLE, 1 => row.position_max;
    4 OpenInterestMax "open_interest_max": Market, Down, Loosening, 1, LOTS_MAX, WHOLE, 1 => row.open_interest_max;
    5 Band "band": Market, Neither, Loosening, ppm(BAND_MIN), ppm(BAND_MAX), HALF, 1_000 => row.band;
    6 TakerFee "taker_fee": Market, Down, Loosening, 0, ppm(TAKER_FEE_MAX), HALF, 100 => row.taker_fee;
    7 MakerFee "maker_fee": Market, Neither, Loosening, MAKER_FEE_MIN, ppm(TAKER_FEE_MAX), HALF, 100 => row.maker_fee;
    8 LiquidationFee "liquidation_fee": Market, Down, Loosening, 0, ppm(LIQUIDATION_FEE_MAX), HALF, 500
        => row.risk.liquidation_fee;
    9 FundingDeadZone "funding_dead_zone": Market, Neither, Loosening, 0, ppm(BASIS_MAX), HALF, 100
        => row.risk.funding_dead_zone;
    10 FundingCap "funding_cap": Market, Neither, Loosening, 1, ppm(FUNDING_CAP_MAX), HALF, 1_000
        => row.risk.funding_cap;
    11 TakeoverDiscount "takeover_discount": Market, Neither, Loosening, 1, ppm(TAKEOVER_DISCOUNT_MAX), HALF, 1_000
        => row.risk.takeover_discount;
    12 LiquidationBuffer "liquidation_buffer": Market, Neither, Loosening, 0, ppm(LIQUIDATION_BUFFER_MAX), HALF, 10_000
        => row.risk.liquidation_buffer;
    13 InterestScaleMax "interest_scale_max": Market, Neither, Loosening, ppm(INTEREST_SCALE_MIN),
        ppm(INTEREST_SCALE_MAX), HALF, 1 => row.risk.interest_scale_max;
    14 InterestScaleLower "interest_scale_lower": Market, Neither, Loosening, 0, LOTS_MAX, WHOLE, 1
        => row.risk.interest_scale_lower;
    15 InterestScaleUpper "interest_scale_upper": Market, Neither, Loosening, 1, LOTS_MAX, WHOLE, 1
        => row.risk.interest_scale_upper;
    16 PoolBudget "pool_budget": Market, Neither, Loosening, 0, ATOMS_MAX, WHOLE, 1_000_000_000 => row.risk.pool_budget;
    17 LiquidationTipMax "liquidation_tip_max": Market, Neither, Loosening, 0, ATOMS_MAX, WHOLE, 1_000_000
        => row.risk.liquidation_tip_max;
    18 TakerDelay "taker_delay": Market, Neither, Loosening, 0, TAKER_DELAY_MOST, 0, TAKER_DELAY_MOST => taker_delay;
    19 SourcesMin "sources_min": Market, Neither, Critical, 1, SOURCES_MOST, 0, 1 => row.sources_min;
    20 ConfidenceMax "confidence_max": Market, Neither, Critical, 1, ppm(WIDTH_MAX), HALF, 500 => row.confidence_max;
    21 DivergenceMax "divergence_max": Market, Neither, Critical, 1, ppm(WIDTH_MAX), HALF, 500 => row.divergence_max;
    22 FreshSeconds "fresh_seconds": Market, Neither, Critical, 1, wide(FRESH_SECONDS_MAX), HALF, 5 => row.fresh_seconds;
    23 DeadSeconds "dead_seconds": Market, Neither, Critical, 2, wide(DEAD_SECONDS_MAX), HALF, 60 => row.dead_seconds;
    24 Step "step": Market, Neither, Critical, 1, ppm(STEP_MAX), HALF, 10 => row.risk.step;
    25 StepSeconds "step_seconds": Market, Neither, Critical, 1, wide(STEP_SECONDS_MAX), HALF, 1
        => row.risk.step_seconds;
    26 StableStep "stable_step": Market, Neither, Critical, 1, ppm(STEP_MAX), HALF, 10 => row.risk.stable_step;
    27 BasisMax "basis_max": Market, Neither, Critical, ppm(BASIS_MIN), ppm(BASIS_MAX), HALF, 100 => row.risk.basis_max;
    40 OutflowRate "outflow_rate": Exchange, Neither, Critical, 1_000, 1_000_000, HALF, 1_000 => policy.outflow_rate;
    41 OutflowFloor "outflow_floor": Exchange, Neither, Critical, 0, ATOMS_MAX, WHOLE, 1_000_000_000
        => policy.outflow_floor;
    42 QueueSeconds "queue_seconds": Exchange, Neither, Critical, 3_600, 604_800, HALF, 3_600 => policy.queue_seconds;
    43 PoolFeeShare "pool_fee_share": Exchange, Neither, Loosening, 0, 1_000_000, HALF, 50_000 => policy.pool_fee_share;
    44 UnstakeSeconds "unstake_seconds": Exchange, Neither, Loosening, 86_400, 2_592_000, HALF, 86_400
        => policy.unstake_seconds;
    45 LooseningDelay "loosening": Exchange, Up, Never, wide(LOOSENING_DELAY_MIN), wide(DELAY_MAX), WHOLE, 0
        => delays.loosening;
    46 CriticalDelay "critical": Exchange, Up, Never, wide(CRITICAL_DELAY_MIN), wide(DELAY_MAX), WHOLE, 0
        => delays.critical;
}

/// Largest rebate.
const MAKER_FEE_MIN: i64 = ppm(TAKER_FEE_MAX).wrapping_neg();
/// Longest wait of a taker.
const TAKER_DELAY_MOST: i64 = 25;
/// Sources that a market may have.
const SOURCES_MOST: i64 = 4;
const _: () = assert!(TAKER_DELAY_MAX == 25 && MARKET_SOURCES_MAX == 4);

impl Parameter {
    /// Its row. Fails with `Corrupt` for none, which there is not.
    pub fn rule(self) -> Result<&'static Rule> {
        RULES.iter().find(|rule| rule.parameter == self).ok_or(EngineError::Corrupt)
    }
}

impl Values {
    /// What a parameter is; `None` if it is kept in an account that is not at hand.
    pub fn read(&self, parameter: Parameter) -> Option<i64> {
        let unknown = parameter == Parameter::TakerDelay && self.taker_delay.is_none();
        if unknown { None } else { Some(self.read_stored(parameter)) }
    }

    /// What of these two caps was approved through the queue or by the listing: at least what is in force.
    fn approved(&self, parameter: Parameter) -> Option<i64> {
        match parameter {
            Parameter::PositionMax => Some(self.row.position_max.max(self.row.position_approved).number()),
            Parameter::OpenInterestMax => Some(self.row.open_interest_max.max(self.row.interest_approved).number()),
            _ => None,
        }
    }

    /// Class of a change of `parameter` to `value`, and whether it may be made at all, given what is in force. What
    /// tightens may be of any size if less is tighter. A cap may always go back to what was approved; beyond, the step
    /// counts from there.
    ///
    /// Fails with `ChangeOutOfBounds`, `ChangeWithoutEffect`, `DelayShrinks` or `ChangeStepTooLarge`.
    pub fn classify(&self, parameter: Parameter, value: i64) -> Result<Class> {
        let rule = parameter.rule()?;
        if value < rule.min || value > rule.max {
            return Err(EngineError::ChangeOutOfBounds);
        }
        let Some(present) = self.read(parameter) else { return Ok(rule.class) };
        if value == present {
            return Err(EngineError::ChangeWithoutEffect);
        }
        let class = match rule.tighter {
            Tighter::Down if value < present => return Ok(Class::Tightening),
            Tighter::Up if value > present => Class::Tightening,
            _ => rule.class,
        };
        if class == Class::Never {
            return Err(EngineError::DelayShrinks);
        }
        let base = self.approved(parameter).unwrap_or(present);
        if self.approved(parameter).is_some_and(|approved| value <= approved) || rule.is_within_step(base, value)? {
            Ok(class)
        } else {
            Err(EngineError::ChangeStepTooLarge)
        }
    }

    /// Puts a parameter to a value that was classified, with what follows from it: the largest cap ever approved stays
    /// approved, and no margin is scaled by more than may be.
    pub fn write(&mut self, parameter: Parameter, value: i64) -> Result<()> {
        self.write_stored(parameter, value)?;
        let row = &mut self.row;
        row.position_approved = row.position_approved.max(row.position_max);
        row.interest_approved = row.interest_approved.max(row.open_interest_max);
        if parameter == Parameter::InterestScaleMax {
            row.margin_scale = row.margin_scale.min(row.risk.interest_scale_max);
        }
        Ok(())
    }

    /// After a change of the row: it satisfies what a listing must. Fails as a listing does.
    pub fn check_row(&self, mint_decimals: u8) -> Result<()> {
        listing::check_row(&self.row, mint_decimals)
    }

    /// After a change of the exchange: its policy is one that it could have been created with, and everybody can leave
    /// before anything looser takes effect. Fails with `PolicyInvalid`, `FeeScheduleInvalid` or `DelayTooShort`.
    pub fn check_exchange(&self) -> Result<()> {
        self.policy.check()?;
        if self.delays.let_everybody_leave(&self.policy) { Ok(()) } else { Err(EngineError::DelayTooShort) }
    }

    /// Whether every parameter of a market lies within its bounds, as the table has them. Fails with `ChangeOutOfBounds`.
    pub fn check_bounds(&self) -> Result<()> {
        for rule in RULES.iter().filter(|rule| rule.scope == Scope::Market) {
            if self.read(rule.parameter).is_some_and(|value| value < rule.min || value > rule.max) {
                return Err(EngineError::ChangeOutOfBounds);
            }
        }
        Ok(())
    }
}

impl Rule {
    /// Whether one change may lead from `base` to `value`. A value out of bounds, from before there were any, counts as
    /// the bound.
    ///
    /// ROUND: the step down.
    fn is_within_step(&self, base: i64, value: i64) -> Result<bool> {
        let base = base.clamp(self.min, self.max);
        let share = math::ppm_floor(base.unsigned_abs(), self.step.get())?;
        Ok(value.abs_diff(base) <= share.max(self.step_least.unsigned_abs()))
    }
}
