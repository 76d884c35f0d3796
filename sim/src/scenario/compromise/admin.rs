//! What a thief does with the admin's key.

use super::{
    attempts::{Attempts, DONE},
    stage::{MARKET, Stage},
    thief::{Nonce, exchange, richest, rob, values},
};
use crate::{
    actors::liquidator::Watch,
    desk::MarketSpec,
    floor::{Floor, engine},
};
use anyhow::{Context, Result};
use quantdesk_client::{
    Address,
    engine::{
        MarketIndex, Ppm, QuoteAtoms,
        governance::{
            change::{Kind, SourcesParameters},
            guard::Tightening,
            mode::{HALT_SECONDS_MAX, Mode},
            parameter::{Parameter, Scope},
            queue::NO_MARKET,
            role::Role,
        },
        risk::{
            life::{MarginParameters, RAMP_SECONDS_MIN},
            listing::TierParameters,
        },
        state::{MarketStatus, OracleSource, market::market_size},
    },
    view::key_of,
};

/// When it halts the exchange where everybody stays, and when it does what else hurts without paying: seconds after the
/// theft.
const HALT_AT: i64 = 43_200;
const SPITE_AT: i64 = 72_000;
/// A change of margin that tightens, in percent of what is required: the largest there may be.
const MARGIN_PERCENT: u32 = 125;
/// What would pay if it took effect before everybody has left.
const LOOSER: [Parameter; 13] = [
    Parameter::PositionMax,
    Parameter::OpenInterestMax,
    Parameter::TakerFee,
    Parameter::LiquidationFee,
    Parameter::Band,
    Parameter::FundingCap,
    Parameter::TakeoverDiscount,
    Parameter::PoolBudget,
    Parameter::LiquidationTipMax,
    Parameter::UnstakeSeconds,
    Parameter::OutflowRate,
    Parameter::OutflowFloor,
    Parameter::QueueSeconds,
];

/// Whoever it robs may have left.
const NOT_HIS: &[&str] = &["NotAuthorized", "TraderNotFound"];
/// A step that is too large by now, and a ramp that is on its way, are found before the time is.
const TOO_EARLY: &[&str] = &["ChangeTooEarly", "ChangeStepTooLarge", "MarginRampRunning"];
const IN_TIME: &[&str] = &[DONE, "ChangeTooEarly", "ChangeStepTooLarge", "ChangeWithoutEffect", "MarginRampRunning"];
const FULL: &[&str] = &[DONE, "ChangesFull"];

/// The plan.
pub struct Admin {
    /// Whether the others stay: then it liquidates whoever its margin makes fail. Else it delays their leaving.
    stay: bool,
    watch: Watch,
    /// Account of the market that it wants listed.
    market: Address,
    nonce: Nonce,
    begun: bool,
}

impl Admin {
    /// Prepares everything.
    pub fn new(stay: bool, stage: &mut Stage) -> Result<Self> {
        let mut watch = Watch::default();
        watch.keeper(stage.thief);
        watch.liquidator(stage.thief);
        // Nobody is faster than the thief.
        stage.driver.watch.away = stay;
        let desk = &mut stage.driver.floor.desk;
        let (market, parameters) = (desk.name(b"market"), &desk.markets[MARKET].parameters);
        let size = market_size(parameters.side_capacity, parameters.events_capacity);
        desk.chain.create_account(market, size, desk.venue.program)?;
        let admin = desk.admin;
        let nonce = Nonce::new(&mut stage.driver.floor, admin)?;
        Ok(Self { stay, watch, market, nonce, begun: false })
    }

    /// Liquidates whoever fails.
    pub fn hunt(&mut self, floor: &mut Floor) -> Result<()> {
        if self.stay {
            self.watch.round(floor)?;
            self.watch.offload(floor)?;
        }
        Ok(())
    }

    /// Tries everything there is to try now. True if something that it proposed took effect.
    pub fn act(&mut self, stage: &mut Stage, log: &mut Attempts, loot: Address, passed: i64) -> Result<bool> {
        let own = stage.driver.floor.accounts[stage.thief].trader.authority;
        let floor = &mut stage.driver.floor;
        if !self.begun {
            self.begun = true;
            self.propose(floor, log, own)?;
        }
        self.take_at_once(floor, log, loot, own)?;
        self.push(floor, log)?;
        if !self.stay || passed >= HALT_AT {
            let halt = Tightening::Mode { mode: Mode::Halted, seconds: HALT_SECONDS_MAX };
            let answers = &[DONE, "NotTightening", "HaltTooSoon"];
            log.send(floor, "halt for six hours", answers, &[floor.desk.venue.guard(floor.desk.admin, &halt)])?;
        }
        if self.stay && passed >= SPITE_AT {
            let (index, admin) = (floor.desk.markets[MARKET].index, floor.desk.admin);
            let close = floor.desk.venue.set_market_status(admin, index, MarketStatus::ReduceOnly);
            log.send(floor, "leave the market to reducing", &[DONE, "MarketStatusInvalid"], &[close])?;
        }
        self.execute(floor, log)
    }

    /// Everything that waits is proposed, and with it whatever takes effect at once and might pay.
    fn propose(&self, floor: &mut Floor, log: &mut Attempts, own: Address) -> Result<()> {
        let (venue, admin, index) = (floor.desk.venue, floor.desk.admin, floor.desk.markets[MARKET].index);
        let present = values(floor)?;
        for parameter in LOOSER {
            let rule = parameter.rule().map_err(engine)?;
            let value = present.read(parameter).context("a value")?;
            let step = (i128::from(value) * i128::from(rule.step.get()) / 1_000_000).max(rule.step_least.into());
            let wanted = i64::try_from((i128::from(value) + step).min(rule.max.into()))?;
            let market = if rule.scope == Scope::Market { index } else { NO_MARKET };
            let proposal = venue.propose_value(admin, parameter, market, wanted);
            log.send(floor, "propose looser limits, one by one", &[DONE, "DelayTooShort"], &[proposal])?;
        }
        let feed = OracleSource::pyth(key_of(&floor.desk.name(b"feed of the thief")));
        let sources = venue.propose_sources(admin, index, &SourcesParameters::new(&[feed], 1));
        log.send(floor, "propose an oracle of its own", &[DONE], &[sources])?;
        let listing = MarketSpec::btc().parameters(&[feed]);
        let listing = venue.propose_listing(admin, self.market, &listing);
        log.send(floor, "propose a market of its own", &[DONE], &[listing])?;
        let lower = venue.propose_margin(admin, &margin(floor, 80));
        log.send(floor, "propose lower margin", &[DONE], &[lower])?;
        if self.stay {
            let higher = venue.set_margin(admin, &margin(floor, MARGIN_PERCENT));
            log.send(floor, "raise margin at once, and liquidate", &[DONE], &[higher])?;
        }
        for role in Role::ALL {
            log.send(floor, "take every role", &[DONE], &[venue.rotate_role(admin, role, &own)])?;
        }
        Ok(())
    }

    /// What would pay at once.
    fn take_at_once(&self, floor: &mut Floor, log: &mut Attempts, loot: Address, own: Address) -> Result<()> {
        let (venue, admin) = (floor.desk.venue, floor.desk.admin);
        let robbery = rob(floor, richest(floor)?, admin, loot);
        log.send(floor, "withdraw a customer's cash", NOT_HIS, &[robbery])?;
        log.send(floor, "collect the fees", NOT_HIS, &[venue.collect_fees(admin, loot, QuoteAtoms::new(1_000_000))])?;
        let parameters = floor.desk.markets[MARKET].parameters;
        let listing = venue.list_market(admin, self.market, &parameters);
        log.send(floor, "list a market at once", &["ExchangeSealed"], &[listing])?;
        let lower = venue.set_margin(admin, &margin(floor, 80));
        log.send(
            floor,
            "lower margin at once",
            &["ChangeNotTightening", "ChangeStepTooLarge", "MarginRampRunning"],
            &[lower],
        )?;
        for role in Role::ALL {
            log.send(floor, "accept a role at once", &["RotationNotDue"], &[venue.accept_role(own, role)])?;
        }
        let halt = Tightening::Mode { mode: Mode::CloseOnly, seconds: 60 };
        self.nonce.send(floor, log, "an instruction signed long ago", venue.guard(admin, &halt))?;
        let close = venue.close_market(admin, &floor.desk.markets[MARKET].address);
        log.send(floor, "close the market", &["MarketStatusInvalid"], &[close]).map(|_| ())
    }

    /// What can never be, however long it waits.
    fn push(&self, floor: &mut Floor, log: &mut Attempts) -> Result<()> {
        let (venue, admin, index) = (floor.desk.venue, floor.desk.admin, floor.desk.markets[MARKET].index);
        let present = values(floor)?;
        let mut propose = |floor: &mut Floor, what, answers, parameter, market: MarketIndex, value| {
            log.send(floor, what, answers, &[venue.propose_value(admin, parameter, market, value)])
        };
        let delay = i64::from(present.delays.loosening) - 1;
        let shorter: &[&str] = &["DelayShrinks", "ChangeOutOfBounds"];
        propose(floor, "shorten the delay", shorter, Parameter::LooseningDelay, NO_MARKET, delay)?;
        let rate = i64::from(present.policy.outflow_rate.get()) * 10;
        propose(floor, "open the limiter wide", &["ChangeStepTooLarge"], Parameter::OutflowRate, NO_MARKET, rate)?;
        let fee = Parameter::TakerFee.rule().map_err(engine)?.max + 1;
        propose(floor, "a fee beyond its bound", &["ChangeOutOfBounds"], Parameter::TakerFee, index, fee)?;
        let more = i64::from(present.row.band.get()) + 1;
        propose(floor, "fill the queue", FULL, Parameter::Band, index, more).map(|_| ())
    }

    fn execute(&self, floor: &mut Floor, log: &mut Attempts) -> Result<bool> {
        let waiting = exchange(floor)?.changes.entries;
        let mut took_effect = false;
        for change in waiting.into_iter().filter(|change| change.number > 0) {
            let market = (change.kind == Kind::Listing.byte()).then_some(self.market);
            let execute = floor.desk.venue.execute_change(change.number, market);
            let answers = if self.stay { TOO_EARLY } else { IN_TIME };
            took_effect |= log.send(floor, "execute what waits", answers, &[execute])?;
        }
        Ok(took_effect)
    }
}

/// The market's margin as it was listed, with every rate at so many percent of that.
fn margin(floor: &Floor, percent: u32) -> MarginParameters {
    let market = &floor.desk.markets[MARKET];
    let listed = &market.parameters;
    let tiers = listed.tiers.map(|tier| match tier.rate.get() {
        0 => tier,
        rate => TierParameters::new(tier.notional_max, Ppm::new(rate * percent / 100)),
    });
    MarginParameters::new(market.index, listed.maintenance, RAMP_SECONDS_MIN, tiers, listed.tiers_len)
}
