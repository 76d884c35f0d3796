//! The exchange under attack: one market on a quiet day, and everybody who is usually there.

use crate::{
    actors::taker,
    chain::SlotTime,
    desk::{DeskConfig, MarketSpec},
    floor::{Floor, MarginCall, Role},
    input::SCALE,
    scenario::{Options, bets, crash::population, driver::Driver},
};
use anyhow::Result;
use quantdesk_client::engine::{
    Ppm, QuoteAtoms, Side,
    state::{fees::FeeSchedule, ledger::Policy},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The only market.
pub const MARKET: usize = 0;
/// When runs begin, in unix milliseconds.
pub const START_MILLIS: i64 = 1_760_129_400_000;
/// Length of a step in seconds; the price moves once in each.
pub const STEP_SECONDS: i64 = 30;
/// What may leave: one percent of everything in an hour at once, the rest within a day.
pub const POLICY: Policy = Policy {
    outflow_rate: Ppm::new(10_000),
    queue_seconds: 86_400,
    outflow_floor: QuoteAtoms::new(100_000_000_000),
    pool_fee_share: Ppm::new(100_000),
    unstake_seconds: 86_400,
    fees: FeeSchedule::NONE,
};
/// The price in the beginning, in quote units.
const PRICE: u64 = 200;
/// Largest move of a step, in ppm of the price: three percent a day.
const MOVE_PPM: i64 = 970;

const TAKERS: u32 = 12;
const TAKER_DEPOSIT: u64 = 200_000_000_000;
/// Value of the smallest taking orders in atoms. Sizes double with half the probability.
const ORDER_MIN: u64 = 500_000_000;
const DOUBLINGS_MAX: u32 = 6;
/// Takers keep their positions below this many atoms.
const POSITION_MAX: u128 = 300_000_000_000;
const BETS: u32 = 40;
/// Bets are made in the first hour.
const BETTING_SECONDS: i64 = 3_600;
const BYSTANDERS: u32 = 8;
const BYSTANDER_DEPOSIT: u64 = 100_000_000_000;
/// Collateral of the liquidators, the backstop last.
const LIQUIDATORS: [u64; 3] = [200_000_000_000, 200_000_000_000, 1_000_000_000_000];
/// Stakes in the pool.
const STAKES: [u64; 3] = [300_000_000_000, 150_000_000_000, 50_000_000_000];
/// What the thief brings.
const THIEF_DEPOSIT: u64 = 500_000_000_000;
/// Makers stay; everybody else is liquidated.
const CALL: MarginCall = MarginCall { roles: &[Role::Maker], below: 125, target: 220 };

/// The stage.
pub struct Stage {
    pub driver: Driver,
    /// The thief's own trading account.
    pub thief: usize,
    pub rng: ChaCha8Rng,
    takers: Vec<usize>,
    price: u64,
}

impl Stage {
    /// An exchange at the first price, with everybody's accounts.
    pub fn new(options: &Options) -> Result<Self> {
        let slot_time = SlotTime { millis: options.slot_millis };
        let config = DeskConfig { unix_millis: START_MILLIS, slot_time, policy: POLICY, ..DeskConfig::default() };
        let mut floor = Floor::new(config, options.seed)?;
        floor.list(&MarketSpec::sol())?;
        floor.desk.appoint()?;
        let mut driver = Driver::new(floor, CALL);
        population::employ_makers(&mut driver)?;
        driver.protect(&LIQUIDATORS, &STAKES)?;
        for number in 1..=BYSTANDERS {
            driver.floor.open(Role::Bystander, format!("bystander {number}"), BYSTANDER_DEPOSIT)?;
        }
        let mut takers = Vec::new();
        for number in 1..=TAKERS {
            takers.push(driver.floor.open(Role::Taker, format!("taker {number}"), TAKER_DEPOSIT)?);
        }
        let start = START_MILLIS / 1_000;
        bets::enlist(&mut driver, options.seed, BETS, 1, start..start + BETTING_SECONDS)?;
        let thief = driver.floor.open(Role::Thief, "thief".into(), THIEF_DEPOSIT)?;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        // Stream 2 is that of the bets.
        rng.set_stream(3);
        Ok(Self { driver, thief, rng, takers, price: PRICE * SCALE })
    }

    /// The exchange's own time.
    pub fn unix_seconds(&self) -> i64 {
        self.driver.floor.desk.chain.unix_seconds()
    }

    /// Lets a step pass: the price moves and everybody does what everybody usually does.
    pub fn step(&mut self) -> Result<()> {
        self.pass(STEP_SECONDS)?;
        self.driver.follow(true)?;
        self.driver.bet()?;
        self.take()
    }

    /// Lets time pass in which only the price moves, and the boards with it.
    pub fn pass(&mut self, seconds: i64) -> Result<()> {
        let chain = &mut self.driver.floor.desk.chain;
        chain.advance_to(chain.unix_millis() + seconds * 1_000);
        let moved = i128::from(self.price) * i128::from(self.rng.random_range(-MOVE_PPM..=MOVE_PPM)) / 1_000_000;
        self.price = u64::try_from(i128::from(self.price) + moved)?;
        self.driver.keeper.observe(MARKET, self.price);
        Ok(())
    }

    /// One taker takes something.
    fn take(&mut self) -> Result<()> {
        let place = self.rng.random_range(0..u32::try_from(self.takers.len())?) as usize;
        let doublings = self.rng.random::<u32>().trailing_ones().min(DOUBLINGS_MAX);
        let size = (ORDER_MIN << doublings) + self.rng.random_range(0..ORDER_MIN << doublings);
        let drawn = if self.rng.random::<bool>() { Side::Bid } else { Side::Ask };
        let (account, floor) = (self.takers[place], &mut self.driver.floor);
        let base = floor.position(account, MARKET)?.map_or(0, |position| position.base.get());
        let full = taker::worth(floor, MARKET, base.unsigned_abs())? > POSITION_MAX;
        let side = match (full, base < 0) {
            (false, _) => drawn,
            (true, true) => Side::Bid,
            (true, false) => Side::Ask,
        };
        let lots = taker::lots_worth(floor, MARKET, size)?;
        taker::take(floor, account, MARKET, side, lots).map(|_| ())
    }
}
