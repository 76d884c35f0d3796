//! Modes of an exchange: what is refused while something is wrong, and for how long at most.
//!
//! | | active | close-only | withdraw-only | halted |
//! |---|---|---|---|---|
//! | orders that may add risk | yes | no | no | no |
//! | orders that can only reduce | yes | yes | no | no |
//! | money out | yes | yes | yes | no |
//!
//! Everything else goes on in every mode: cancels, deposits, prices, everything about failing accounts, settlement. So
//! solvency never pauses, and who cannot trade can still defend an account.
//!
//! A mode ends by itself. Nobody can end one early; it can only be made stricter or longer, within bounds that nobody can
//! move: a *halting*, withdraw-only or halted, is over [`HALT_SECONDS_MAX`] after it began, however often it is renewed, and
//! the next one begins [`QUIET_SECONDS`] after the last one at the earliest. So of any such time money out is refused for at
//! most a halting.

use crate::{
    error::{EngineError, Result},
    units::UnixSeconds,
};
use bytemuck::{Pod, Zeroable};

/// Longest a halting lasts from its start, in seconds: six hours.
pub const HALT_SECONDS_MAX: u32 = 21_600;
/// Shortest time between the end of a halting and the start of the next, in seconds: a day.
pub const QUIET_SECONDS: u32 = 86_400;
/// Furthest ahead that close-only may end, in seconds: a week. It may be renewed.
pub const CLOSE_ONLY_SECONDS_MAX: u32 = 604_800;

/// What an exchange lets its users do, from least to most strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mode {
    /// Everything.
    Active = 0,
    /// Only what reduces positions, and money out.
    CloseOnly = 1,
    /// No trading; money out.
    WithdrawOnly = 2,
    /// Neither.
    Halted = 3,
}

/// What somebody wants to do that not every mode allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// An order that may add risk.
    Open,
    /// An order that can only reduce.
    Reduce,
    /// Taking money out of an account, the pool, the queue or the fees.
    PayOut,
}

impl Act {
    /// What an order is.
    #[inline(always)]
    pub const fn of_order(reduce_only: bool) -> Self {
        if reduce_only { Self::Reduce } else { Self::Open }
    }
}

impl Mode {
    /// Every mode, in order.
    pub const ALL: [Self; 4] = [Self::Active, Self::CloseOnly, Self::WithdrawOnly, Self::Halted];

    /// The mode with this number.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Active),
            1 => Some(Self::CloseOnly),
            2 => Some(Self::WithdrawOnly),
            3 => Some(Self::Halted),
            _ => None,
        }
    }

    /// Its number.
    pub const fn byte(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "discriminant of a fieldless repr(u8) enum")]
        {
            self as u8
        }
    }

    /// The table: what may be done in this mode.
    pub const fn allows(self, act: Act) -> bool {
        match (self, act) {
            (Self::Active, _)
            | (Self::CloseOnly | Self::WithdrawOnly, Act::PayOut)
            | (Self::CloseOnly, Act::Reduce) => true,
            (Self::CloseOnly | Self::WithdrawOnly, Act::Open)
            | (Self::WithdrawOnly, Act::Reduce)
            | (Self::Halted, _) => false,
        }
    }
}

/// Until when an exchange is in which mode, 40 bytes. All zero: active, and never anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Modes {
    /// The later one of the next two: from then on everything is allowed, so that an order compares one number.
    restricted_until: UnixSeconds,
    close_only_until: UnixSeconds,
    halt_until: UnixSeconds,
    /// Start of the last halting.
    halt_started: UnixSeconds,
    /// A [`Mode`], of the last halting; 0 if there was none.
    halt_mode: u8,
    pad: [u8; 7],
}

const _: () = assert!(size_of::<Modes>() == 40 && align_of::<Modes>() == 8);

impl Modes {
    /// The mode at this time.
    pub const fn mode(&self, now: UnixSeconds) -> Mode {
        if now.get() < self.halt_until.get() {
            return if self.halt_mode == Mode::WithdrawOnly.byte() { Mode::WithdrawOnly } else { Mode::Halted };
        }
        if now.get() < self.close_only_until.get() { Mode::CloseOnly } else { Mode::Active }
    }

    /// From when on everything is allowed.
    pub const fn restricted_until(&self) -> UnixSeconds {
        self.restricted_until
    }

    /// Fails with `ModeForbids` unless the mode at this time allows `act`.
    #[inline(always)]
    pub fn require(&self, act: Act, now: UnixSeconds) -> Result<()> {
        if now < self.restricted_until && self.forbids(act, now) { Err(EngineError::ModeForbids) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn forbids(&self, act: Act, now: UnixSeconds) -> bool {
        !self.mode(now).allows(act)
    }

    /// Sets a mode for so many seconds from now, or as many of them as a halting has left. Returns when it ends.
    ///
    /// Fails with `ModeInvalid` for [`Mode::Active`] and for a time of zero or above the mode's longest, with `NotTightening`
    /// if that would end what there is sooner, make it less strict or not change it, or with `HaltTooSoon`.
    pub fn set(&mut self, mode: Mode, seconds: u32, now: UnixSeconds) -> Result<UnixSeconds> {
        let longest = match mode {
            Mode::Active => 0,
            Mode::CloseOnly => CLOSE_ONLY_SECONDS_MAX,
            Mode::WithdrawOnly | Mode::Halted => HALT_SECONDS_MAX,
        };
        if seconds == 0 || seconds > longest {
            return Err(EngineError::ModeInvalid);
        }
        let until = now.plus(seconds)?;
        let until = if mode == Mode::CloseOnly { self.close_only(until)? } else { self.halt(mode, until, now)? };
        self.restricted_until = self.close_only_until.max(self.halt_until);
        Ok(until)
    }

    fn close_only(&mut self, until: UnixSeconds) -> Result<UnixSeconds> {
        if until <= self.close_only_until {
            return Err(EngineError::NotTightening);
        }
        self.close_only_until = until;
        Ok(until)
    }

    /// Begins a halting or goes on with one, which is not over before its longest time has passed since its start.
    fn halt(&mut self, mode: Mode, until: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds> {
        let last = self.halt_started.plus(HALT_SECONDS_MAX)?;
        let begun = self.halt_mode != 0;
        if !begun || now >= last {
            if begun && now < self.halt_until.plus(QUIET_SECONDS)? {
                return Err(EngineError::HaltTooSoon);
            }
            (self.halt_started, self.halt_until, self.halt_mode) = (now, until, mode.byte());
            return Ok(until);
        }
        let until = until.min(last);
        // One that ended early may be taken up again in its time, in either mode.
        let runs = now < self.halt_until;
        let tightens = until >= self.halt_until && mode.byte() >= self.halt_mode;
        let same = until == self.halt_until && mode.byte() == self.halt_mode;
        if runs && (!tightens || same) {
            return Err(EngineError::NotTightening);
        }
        (self.halt_until, self.halt_mode) = (until, mode.byte());
        Ok(until)
    }

    /// Whether the numbers fit together: what there is ends when it may, and orders look at the right one.
    pub fn is_well_formed(&self) -> bool {
        let kind = Mode::from_byte(self.halt_mode);
        let halted = match kind {
            Some(Mode::WithdrawOnly | Mode::Halted) => {
                self.halt_started < self.halt_until
                    && self.halt_until.since(self.halt_started) <= u64::from(HALT_SECONDS_MAX)
            }
            Some(Mode::Active) => self.halt_started.is_zero() && self.halt_until.is_zero(),
            Some(Mode::CloseOnly) | None => false,
        };
        let latest = self.close_only_until.max(self.halt_until);
        halted && self.restricted_until == latest && self.pad == [0; 7]
    }
}
