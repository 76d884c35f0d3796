//! The built-in day's takers: a crowd without a view, some who follow the trend and some who buy the dip. The last two
//! have no limit but their margin.

use super::taker;
use crate::{
    floor::{Floor, Role},
    path::Flow,
};
use anyhow::Result;
use quantdesk_client::engine::Side;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Orders per second of a calm market: twice the prints of the recorded day's three files.
const ORDERS_PER_SECOND: f64 = 0.53;
/// Shares of the markets in the orders, cumulative, in percent; as in those files.
const MARKET_SHARES: [u32; 3] = [41, 78, 100];
/// Value of the smallest orders in atoms. Sizes double with half the probability: the median is $400, the 99th
/// percentile some $20,000, the largest $800,000, close to those files.
const SIZE_MIN: u64 = 200_000_000;
const DOUBLINGS_MAX: u32 = 11;
/// Takers without a view keep each position below this many atoms.
const POSITION_MAX: u128 = 500_000_000_000;
/// Change over a minute, in ppm, that counts as a trend.
const TREND_PPM: i64 = 500;
/// Who lacked margin tries again after this time.
const REST_MILLIS: i64 = 60_000;

/// The takers of a run.
pub struct Crowd {
    rng: ChaCha8Rng,
    members: Vec<Member>,
}

struct Member {
    account: usize,
    /// Lacks margin until then.
    resting_until: i64,
}

/// One order to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Intent {
    /// After the start of the step.
    pub offset_millis: i64,
    /// Which market.
    pub market: usize,
    member: usize,
    /// Atoms.
    size: u64,
    /// Below the flow's share of sellers.
    sells: bool,
}

impl Crowd {
    /// These accounts, with random choices out of `seed`.
    pub fn new(seed: u64, accounts: impl IntoIterator<Item = usize>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // The price path uses stream 0 of the same seed.
        rng.set_stream(1);
        let members = accounts.into_iter().map(|account| Member { account, resting_until: i64::MIN }).collect();
        Self { rng, members }
    }

    /// The orders of a step in order of time.
    pub fn intents(&mut self, flow: Flow, step_seconds: u32) -> Vec<Intent> {
        let expected = flow.intensity * ORDERS_PER_SECOND * f64::from(step_seconds);
        let more = self.rng.random_bool(expected.fract());
        let count = expected as u32 + u32::from(more);
        let mut intents: Vec<_> = (0..count).map(|_| self.intent(flow, step_seconds)).collect();
        intents.sort_unstable();
        intents
    }

    fn intent(&mut self, flow: Flow, step_seconds: u32) -> Intent {
        let percent = self.rng.random_range(0..100u32);
        let doublings = self.rng.random::<u32>().trailing_ones().min(DOUBLINGS_MAX);
        let members = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        Intent {
            offset_millis: self.rng.random_range(0..i64::from(step_seconds) * 1_000),
            market: MARKET_SHARES.iter().position(|share| percent < *share).unwrap_or(0),
            member: self.rng.random_range(0..members) as usize,
            size: (SIZE_MIN << doublings) + self.rng.random_range(0..SIZE_MIN << doublings),
            sells: self.rng.random_bool(flow.sell_share),
        }
    }

    /// Sends an order, unless its sender is still out of margin. `trend` is the market's change over the last minute in
    /// ppm.
    pub fn act(&mut self, floor: &mut Floor, intent: Intent, trend: i64) -> Result<()> {
        let now = floor.desk.chain.unix_millis();
        let member = &mut self.members[intent.member];
        if now < member.resting_until {
            return Ok(());
        }
        let side = side(floor, member.account, intent, trend)?;
        let lots = taker::lots_worth(floor, intent.market, intent.size)?;
        let taken = taker::take(floor, member.account, intent.market, side, lots)?;
        if taken.refused {
            member.resting_until = now + REST_MILLIS;
        }
        Ok(())
    }
}

fn side(floor: &Floor, account: usize, intent: Intent, trend: i64) -> Result<Side> {
    let by_flow = if intent.sells { Side::Ask } else { Side::Bid };
    let trending = trend.abs() >= TREND_PPM;
    Ok(match floor.accounts[account].role {
        Role::TrendFollower if trending => direction(trend),
        Role::DipBuyer if trending => direction(-trend),
        Role::Taker => {
            let base = floor.position(account, intent.market)?.map_or(0, |position| position.base.get());
            let full = taker::worth(floor, intent.market, base.unsigned_abs())? > POSITION_MAX;
            if full { direction(base).opposite() } else { by_flow }
        }
        _ => by_flow,
    })
}

const fn direction(sign: i64) -> Side {
    if sign < 0 { Side::Ask } else { Side::Bid }
}
