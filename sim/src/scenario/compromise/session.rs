//! What a thief does with the key of a trader's session.

use super::{
    DAY_SECONDS,
    attempts::{Attempts, DONE},
    stage::{MARKET, Stage},
};
use crate::{
    actors::taker,
    floor::{Floor, Role},
};
use anyhow::Result;
use quantdesk_client::{
    Address,
    engine::{Lots, QuoteAtoms, Side, UnixSeconds, session::Action, state::SessionTerms},
    instruction::Trader,
    order::Ticket,
};

/// What the victim has.
const DEPOSIT: u64 = 100_000_000_000;
/// Largest order, largest sum of a day, and largest loss of a day, in atoms.
const LIMITS: [u64; 3] = [20_000_000_000, 2_000_000_000_000, 1_000_000_000];
/// Round trips that it tries at once.
const TRIPS: usize = 12;
/// When the victim sees it and ends the session: seconds after the theft.
const REVOKED_AT: i64 = 79_200;

/// The plan.
pub struct Session {
    victim: usize,
    key: Address,
    /// The UTC day, and the victim's equity when its first order came.
    day: Option<(i64, i64)>,
    /// Largest loss of a day just after an order.
    lost: i64,
    revoked: bool,
}

impl Session {
    /// The victim has opened a session for its bot.
    pub fn new(stage: &mut Stage) -> Result<Self> {
        let now = stage.unix_seconds();
        let floor = &mut stage.driver.floor;
        let victim = floor.open(Role::Taker, "victim".into(), DEPOSIT)?;
        let key = floor.desk.name(b"session key");
        let trader = floor.accounts[victim].trader;
        floor.desk.chain.give_lamports(trader.authority, 1_000_000_000)?;
        let actions = Action::Place.bit() | Action::Cancel.bit();
        let expires = UnixSeconds::new(now + 2 * DAY_SECONDS);
        let terms = SessionTerms::new(1, actions, expires, LIMITS.map(QuoteAtoms::new));
        let open = floor.desk.venue.open_session(&trader, key, &terms);
        anyhow::ensure!(floor.send("OpenSession", open)?, "{}: no session", floor.step());
        Ok(Self { victim, key, day: None, lost: 0, revoked: false })
    }

    /// Largest loss of a UTC day just after an order that the session placed, and the session's limit for it; in atoms.
    pub fn lost(&self) -> (i128, u64) {
        (self.lost.into(), LIMITS[2])
    }

    /// Tries everything there is to try now.
    pub fn act(&mut self, stage: &mut Stage, log: &mut Attempts, passed: i64) -> Result<()> {
        let thief = stage.thief;
        let floor = &mut stage.driver.floor;
        if passed >= REVOKED_AT && !self.revoked {
            let owner = floor.accounts[self.victim].trader.authority;
            let close = floor.desk.venue.close_session(owner, &self.key);
            anyhow::ensure!(floor.send("CloseSession", close)?, "{}: the session stays", floor.step());
            self.revoked = true;
        }
        self.rob(floor, log, thief)?;
        for _ in 0..TRIPS {
            if !self.trade(floor, log, Side::Bid)? || !self.trade(floor, log, Side::Ask)? {
                break;
            }
        }
        Ok(())
    }

    /// Everything that moves cash or keys.
    fn rob(&self, floor: &mut Floor, log: &mut Attempts, thief: usize) -> Result<()> {
        const NOT_HIS: &[&str] = &["NotAuthorized"];
        let venue = floor.desk.venue;
        let (own, accomplice) = (floor.accounts[thief].wallet, floor.accounts[thief].trader);
        let Trader { cell, generation, .. } = floor.accounts[self.victim].trader;
        let trader = Trader { authority: self.key, cell, generation };
        let atoms = QuoteAtoms::new(1_000_000);
        let thefts = [
            ("withdraw", venue.withdraw(&trader, own, atoms)),
            ("transfer cash", venue.transfer_cash(&trader, &accomplice, atoms)),
            ("give to the pool", venue.fund_pool(&trader, atoms)),
            ("name a delegate", venue.set_delegate(&trader, Some(accomplice.authority))),
            ("allow a target", venue.allow_target(&trader, &own, true)),
            ("end the withdrawal guard", venue.set_withdraw_delay(&trader, 0)),
            ("lift the fee limit", venue.set_fee_max(&trader, None)),
            ("let builders charge", venue.set_builder_max(&trader, 100)),
            ("close the account", venue.close_trader(&trader)),
        ];
        for (what, theft) in thefts {
            log.send(floor, what, NOT_HIS, &[theft])?;
        }
        Ok(())
    }

    /// A market order of the session, as large as may be. True if it was accepted.
    fn trade(&mut self, floor: &mut Floor, log: &mut Attempts, side: Side) -> Result<bool> {
        let now = floor.desk.chain.unix_seconds();
        let before = floor.maintenance(self.victim)?.equity.get();
        let lots = taker::lots_worth(floor, MARKET, LIMITS[0] * 9 / 10)?;
        let worst = taker::worst(floor.row(MARKET)?, side);
        let order = Ticket::of(side, worst, Lots::new(lots)).market().match_limit(64).build();
        let Trader { cell, generation, .. } = floor.accounts[self.victim].trader;
        let trader = Trader { authority: self.key, cell, generation };
        let market = floor.desk.markets[MARKET].address;
        let place = floor.desk.venue.place_order(&trader, &market, &order, UnixSeconds::ZERO);
        let signed = floor.desk.venue.in_session(place, self.key);
        let what = if self.revoked { "trade after it was closed" } else { "buy and sell at a loss" };
        let answers: &[&str] =
            if self.revoked { &["WrongOwner"] } else { &[DONE, "SessionLossReached", "SessionNotionalSpent"] };
        let accepted = log.send(floor, what, answers, &[signed])?;
        floor.read_trades(MARKET)?;
        if accepted {
            let day = now.div_euclid(DAY_SECONDS);
            if self.day.is_none_or(|(known, _)| known != day) {
                self.day = Some((day, before));
            }
            let start = self.day.map_or(before, |(_, equity)| equity);
            self.lost = self.lost.max(start - floor.maintenance(self.victim)?.equity.get());
        }
        Ok(accepted)
    }
}
