//! What a thief does with the guardian's key.

use super::{
    attempts::{Attempts, DONE},
    stage::{MARKET, Stage},
    thief::{Nonce, richest, rob},
};
use anyhow::Result;
use quantdesk_client::{
    Address,
    engine::{
        Lots, QuoteAtoms,
        governance::{
            guard::Tightening,
            mode::{HALT_SECONDS_MAX, Mode},
            parameter::Parameter,
            queue::NO_MARKET,
            role::Role,
        },
        state::MarketStatus,
    },
};

const NOT_HIS: &[&str] = &["NotAuthorized"];
/// Nothing can be tightened twice.
const TIGHTER: &[&str] = &[DONE, "NotTightening", "HaltTooSoon"];

/// The plan.
#[derive(Debug)]
pub struct Guardian {
    nonce: Nonce,
    /// A change that the admin proposed in earnest.
    honest: u64,
}

impl Guardian {
    /// Prepares everything.
    pub fn new(stage: &mut Stage) -> Result<Self> {
        let floor = &mut stage.driver.floor;
        let (admin, market) = (floor.desk.admin, floor.desk.markets[MARKET].index);
        let band = i64::from(floor.row(MARKET)?.band.get()) + 1;
        floor.desk.chain.send(floor.desk.venue.propose_value(admin, Parameter::Band, market, band))?;
        let guardian = floor.desk.guardian;
        Ok(Self { nonce: Nonce::new(floor, guardian)?, honest: 1 })
    }

    /// Tries everything there is to try now.
    pub fn act(&mut self, stage: &mut Stage, log: &mut Attempts, loot: Address) -> Result<()> {
        let own = stage.driver.floor.accounts[stage.thief].trader.authority;
        let floor = &mut stage.driver.floor;
        let (venue, key) = (floor.desk.venue, floor.desk.guardian);
        let (market, lots_max) = (floor.desk.markets[MARKET].index, floor.row(MARKET)?.lots_max);
        let robbery = rob(floor, richest(floor)?, key, loot);
        log.send(floor, "withdraw a customer's cash", NOT_HIS, &[robbery])?;
        log.send(floor, "collect the fees", NOT_HIS, &[venue.collect_fees(key, loot, QuoteAtoms::new(1_000_000))])?;
        let reducing = venue.set_market_status(key, market, MarketStatus::ReduceOnly);
        log.send(floor, "leave the market to reducing", NOT_HIS, &[reducing])?;
        let looser = venue.propose_value(key, Parameter::OutflowRate, NO_MARKET, 20_000);
        log.send(floor, "propose a change", NOT_HIS, &[looser])?;
        for role in [Role::Admin, Role::Lister, Role::FeeCollector] {
            log.send(floor, "take another role", NOT_HIS, &[venue.rotate_role(key, role, &own)])?;
        }
        let halt = venue.guard(key, &Tightening::Mode { mode: Mode::Halted, seconds: HALT_SECONDS_MAX });
        self.nonce.send(floor, log, "a halt signed long ago", halt.clone())?;
        log.send(floor, "halt for six hours", TIGHTER, &[halt])?;
        let cap = venue.guard(key, &Tightening::PositionMax { market, lots: lots_max });
        log.send(floor, "lower the cap on positions", TIGHTER, &[cap])?;
        let cap = venue.guard(key, &Tightening::InterestMax { market, lots: Lots::new(1) });
        log.send(floor, "lower the cap on open interest", TIGHTER, &[cap])?;
        let cancel = venue.cancel_change(key, self.honest);
        log.send(floor, "cancel an honest change", &[DONE, "ChangeNotFound"], &[cancel]).map(|_| ())
    }
}
