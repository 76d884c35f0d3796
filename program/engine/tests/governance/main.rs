//! Changes of an exchange: whatever is proposed, executed and cancelled in whatever order and at whatever time, no number
//! leaves its bounds or moves by more than a step, nothing loosens before its delay, delays never shrink, and what comes of
//! it is what could have been listed.

mod kinds;
mod random;
mod values;

#[allow(dead_code, reason = "every test binary uses its part")]
#[path = "../support/mod.rs"]
mod support;

use bytemuck::Zeroable;
use quantdesk_engine::{
    MarketIndex, QuoteAtoms, Result,
    governance::{
        Delays,
        change::{Governed, MarketAccount, Proposal, Proposer, Wanted},
        parameter::{Parameter, Scope, Values},
        queue::{Change, ChangeQueue, NO_MARKET, NO_PAYLOAD, Payload},
    },
    risk::listing::ListingParameters,
    state::{AccountHeader, Exchange, Key, MarketRow, exchange::EXCHANGE_DISCRIMINATOR, ledger::Policy},
};
use support::{World, listing, world::key};

/// The first market.
const MARKET: MarketIndex = MarketIndex::new(0);
const DAY: i64 = 86_400;
/// Delay of what loosens in the support's world: an hour's notice, two haltings, stake's wait and the queue's.
const LOOSENING: i64 = 3_600 + 2 * 21_600 + 2 * DAY;

/// An exchange, its ledger and its markets.
struct Desk {
    world: World,
    exchange: Box<Exchange>,
}

impl Desk {
    fn new(listings: &[ListingParameters]) -> Self {
        let mut exchange = Box::new(Exchange::zeroed());
        exchange.header = AccountHeader::new(EXCHANGE_DISCRIMINATOR, 1);
        (exchange.admin, exchange.guardian, exchange.lister) = (key(901), key(902), key(903));
        exchange.ledger = key(904);
        exchange.clear_sources();
        for (listing, index) in listings.iter().zip(0u16..) {
            exchange.set_sources(MarketIndex::new(index), listing.sources()).unwrap();
        }
        let mut world = World::new(listings, 32);
        let floor = QuoteAtoms::new(1_000_000);
        world.set_policy(Policy { outflow_floor: floor, ..world.view().header.policy });
        exchange.delays = Delays::least(&world.view().header.policy);
        Self { world, exchange }
    }

    /// A call that changes nothing if it fails.
    fn act<R>(&mut self, call: impl FnOnce(&mut Governed<'_, '_>) -> Result<R>) -> Result<R> {
        let before = self.exchange.clone();
        let exchange = &mut self.exchange;
        let done = self.world.ledger(|ledger, now| call(&mut Governed { exchange, ledger, now }));
        if done.is_err() {
            self.exchange = before;
        }
        done
    }

    /// Proposes as the admin. `None` if the proposal means nothing.
    fn propose_bytes(&mut self, proposal: &Proposal, account: Key, payload: &[u8]) -> Option<Result<u64>> {
        let mut words = vec![0u64; payload.len().div_ceil(8)];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        bytes[..payload.len()].copy_from_slice(payload);
        let wanted = Wanted::read(proposal, account, bytes)?;
        Some(self.act(|governed| {
            governed.propose(proposal, &wanted, Proposer::Admin)?;
            Ok(governed.exchange.changes.proposed)
        }))
    }

    fn propose<T: bytemuck::NoUninit>(&mut self, proposal: &Proposal, payload: &T) -> Result<u64> {
        self.propose_bytes(proposal, Key::ZERO, bytemuck::bytes_of(payload)).unwrap()
    }

    fn propose_value(&mut self, parameter: Parameter, value: i64) -> Result<u64> {
        let market = if parameter.rule().unwrap().scope == Scope::Market { MARKET } else { NO_MARKET };
        self.propose(&Proposal::value(parameter, market, value), &[0u8; 0])
    }

    fn execute(&mut self, number: u64) -> Result<()> {
        self.act(|governed| governed.execute(number, None))
    }

    fn execute_with(&mut self, number: u64, key: Key, bytes: &mut [u8]) -> Result<()> {
        self.act(|governed| governed.execute(number, Some(MarketAccount { key, bytes })))
    }

    fn cancel(&mut self, number: u64) -> Result<()> {
        self.act(|governed| governed.cancel(number))
    }

    fn row(&self, market: usize) -> MarketRow {
        self.world.view().rows[market]
    }

    /// What the parameters of a market and the exchange are.
    fn values(&self, market: usize) -> Values {
        let (policy, delays) = (self.world.view().header.policy, self.exchange.delays);
        Values { row: self.row(market), policy, delays, taker_delay: None }
    }

    fn read(&self, parameter: Parameter) -> i64 {
        self.values(0).read(parameter).unwrap()
    }

    fn queue(&self) -> &ChangeQueue {
        &self.exchange.changes
    }

    /// Entries and payloads in use are distinct and belong together; the others are zero.
    #[track_caller]
    fn check_queue(&self) {
        let used: Vec<&Change> = self.queue().entries.iter().filter(|entry| entry.number > 0).collect();
        let mut numbers: Vec<u64> = used.iter().map(|entry| entry.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), used.len(), "numbers are distinct");
        assert!(numbers.iter().all(|number| *number <= self.queue().proposed));
        let mut payloads: Vec<u8> = used.iter().map(|entry| entry.payload).filter(|it| *it != NO_PAYLOAD).collect();
        payloads.sort_unstable();
        let shared = payloads.windows(2).any(|pair| pair[0] == pair[1]);
        assert!(!shared, "a payload belongs to one change: {payloads:?}");
        for (place, payload) in (0u8..).zip(&self.queue().payloads) {
            assert_eq!(payloads.contains(&place), *payload != Payload::zeroed(), "payload {place}");
        }
        let unused = self.queue().entries.iter().filter(|entry| entry.number == 0);
        assert!(unused.copied().all(|entry| entry == Change::zeroed()));
    }
}
