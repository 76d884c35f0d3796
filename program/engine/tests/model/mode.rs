//! Modes in the model: every restriction that was ever set, in the order of setting.

use super::Model;
use quantdesk_engine::{
    EngineError, Lots, Result,
    governance::{
        guard::Tightening,
        mode::{Act, Mode},
    },
    state::CashEventKind,
};

const HOUR: i64 = 3_600;

/// What a guard asked for and got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set {
    mode: Mode,
    until: i64,
    /// When the halting that it belongs to began.
    started: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes(Vec<Set>);

impl Modes {
    fn last(&self, halting: bool) -> Option<Set> {
        self.0.iter().rev().copied().find(|set| (set.mode != Mode::CloseOnly) == halting)
    }

    pub fn at(&self, now: i64) -> Mode {
        let runs = |set: &Set| now < set.until;
        self.last(true).filter(runs).or_else(|| self.last(false).filter(runs)).map_or(Mode::Active, |set| set.mode)
    }

    fn set(&mut self, mode: Mode, seconds: i64, now: i64) -> Result<i64> {
        let longest = if mode == Mode::CloseOnly { 7 * 24 * HOUR } else { 6 * HOUR };
        if mode == Mode::Active || seconds < 1 || seconds > longest {
            return Err(EngineError::ModeInvalid);
        }
        let mut new = Set { mode, until: now + seconds, started: now };
        let last = self.last(mode != Mode::CloseOnly);
        match last {
            Some(last) if mode == Mode::CloseOnly && new.until <= last.until => return Err(EngineError::NotTightening),
            // Within six hours of its start a halting is one and the same.
            Some(last) if mode != Mode::CloseOnly && now - last.started < 6 * HOUR => {
                (new.started, new.until) = (last.started, new.until.min(last.started + 6 * HOUR));
                let looser = new.mode < last.mode || new.until < last.until || new == last;
                if now < last.until && looser {
                    return Err(EngineError::NotTightening);
                }
            }
            Some(last) if mode != Mode::CloseOnly && now - last.until < 24 * HOUR => {
                return Err(EngineError::HaltTooSoon);
            }
            _ => (),
        }
        self.0.push(new);
        Ok(new.until)
    }
}

impl Model {
    /// Said in words rather than as a table.
    pub fn forbids(&self, act: Act) -> bool {
        let mode = self.modes.at(self.now);
        match act {
            Act::Open => mode != Mode::Active,
            Act::Reduce => mode > Mode::CloseOnly,
            Act::PayOut => mode == Mode::Halted,
        }
    }

    pub(super) fn forbids_order(&self, reduce_only: bool) -> bool {
        self.forbids(if reduce_only { Act::Reduce } else { Act::Open })
    }

    pub fn guard(&mut self, wanted: &Tightening) -> Result<()> {
        self.attempt(|model| {
            let (kind, amount, balance) = match *wanted {
                Tightening::Mode { mode, seconds } => {
                    let until = model.modes.set(mode, seconds.into(), model.now)?;
                    (CashEventKind::ModeSet, i128::from(mode as u8), until.into())
                }
                Tightening::PositionMax { market, lots } => {
                    let old = model.lower(market.get(), lots, |terms| (&mut terms.position_max, terms.lots_max))?;
                    (CashEventKind::PositionMaxLowered, lots.get().into(), old)
                }
                Tightening::InterestMax { market, lots } => {
                    let old = model.lower(market.get(), lots, |terms| (&mut terms.open_interest_max, 1))?;
                    (CashEventKind::InterestMaxLowered, lots.get().into(), old)
                }
            };
            model.note_of_nobody(kind, amount, balance.min(i64::MAX.into()));
            Ok(())
        })
    }

    /// Lowers a cap, whose least value comes with it; returns what it was.
    fn lower(
        &mut self,
        market: u16,
        lots: Lots,
        of: impl FnOnce(&mut super::Terms) -> (&mut i128, i128),
    ) -> Result<i128> {
        let market = self.markets.get_mut(usize::from(market)).ok_or(EngineError::MarketNotFound)?;
        if !matches!(market.status, 1 | 2) {
            return Err(EngineError::MarketStatusInvalid);
        }
        let (cap, least) = of(&mut market.terms);
        let lots = i128::from(lots.get());
        match () {
            () if lots >= *cap => Err(EngineError::NotTightening),
            () if lots < least => Err(EngineError::ListingParametersInvalid),
            () => Ok(std::mem::replace(cap, lots)),
        }
    }
}
