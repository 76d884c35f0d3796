//! An exchange on the virtual chain: set up through the program's own instructions, and convenient to drive.

use crate::{
    chain::{Chain, Executed, Failure, PROGRAM, SlotTime},
    oracle,
};
use anyhow::{Context, Result, bail, ensure};
use quantdesk_client::{
    Address, address,
    engine::{
        Lots, MarketIndex, PicoPrice, Ppm, QuoteAtoms, SignedPpm, TickValue, Ticks, UnixSeconds,
        book::NewOrder,
        governance::role::Role,
        invariant::{self, Violation},
        risk::listing::{ListingParameters, RiskParameters, TierParameters},
        state::{
            Exchange, LedgerView, MarketStatus, MarketView, OracleSource,
            fees::FeeSchedule,
            ledger::{Policy, ledger_size},
            market::market_size,
        },
    },
    instruction::{Trader, Venue},
    view::{self, AccountBytes},
};
use sha2::{Digest, Sha256};

/// Quote units are USDC: six decimals.
pub const QUOTE_DECIMALS: u8 = 6;

/// Largest position of the usual markets, in lots; their open interest may be four times that.
pub const POSITION_MAX: u64 = 100_000_000_000;

/// Updates after which a price that has not settled never will.
const SETTLING_UPDATES_MAX: u32 = 2_000;

/// Which oracles a market has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// Pyth alone.
    Pyth,
    /// Switchboard alone.
    Switchboard,
    /// Both, and both are needed.
    Both,
}

/// A market to list.
#[derive(Clone, Debug)]
pub struct MarketSpec {
    /// Such as `SOL-PERP`.
    pub symbol: String,
    /// Quote units per base unit in a tick, × 10^12.
    pub tick_size: u64,
    /// Base units in a lot, × 10^12.
    pub lot_size: u64,
    /// Largest price in ticks.
    pub price_max: u32,
    /// Largest position in lots.
    pub position_max: u64,
    /// Margin tiers as (largest notional in quote atoms, rate in ppm); the last one's notional is ignored.
    pub tiers: Vec<(u64, u32)>,
    /// Movement of prices, funding, liquidation, pool.
    pub risk: RiskParameters,
    /// Orders a side holds.
    pub side_capacity: u32,
    /// Oracles.
    pub sources: Sources,
    /// Slots that a taker waits; zero for none.
    pub taker_delay: u8,
}

/// A listed market.
#[derive(Clone, Debug)]
pub struct Market {
    /// Symbol.
    pub symbol: String,
    /// Market account.
    pub address: Address,
    /// Row in the ledger.
    pub index: MarketIndex,
    /// What it was listed with.
    pub parameters: ListingParameters,
    /// Accounts that its sources are read from, in order.
    pub feeds: Vec<Address>,
}

/// Sizes of a new exchange.
#[derive(Clone, Copy, Debug)]
pub struct DeskConfig {
    /// Cells of the ledger.
    pub cells: u32,
    /// Cash events the ledger keeps.
    pub events: u32,
    /// Unix time at which the chain starts, in milliseconds.
    pub unix_millis: i64,
    /// Slot time.
    pub slot_time: SlotTime,
    /// What may leave the vault, and the pool's part of fees.
    pub policy: Policy,
}

/// A day for withdrawals to wait at most and for stake to be paid, a tenth of the fees for the pool, and an hour's
/// outflow that nothing here ever reaches.
pub const POLICY: Policy = Policy {
    outflow_rate: Ppm::new(1_000_000),
    queue_seconds: 86_400,
    outflow_floor: QuoteAtoms::new(1 << 62),
    pool_fee_share: Ppm::new(100_000),
    unstake_seconds: 86_400,
    fees: FeeSchedule::NONE,
};

impl Default for DeskConfig {
    fn default() -> Self {
        let slot_time = SlotTime { millis: 200 };
        Self { cells: 1_800, events: 256, unix_millis: 1_760_054_400_000, slot_time, policy: POLICY }
    }
}

/// An exchange with its chain.
#[derive(Clone)]
pub struct Desk {
    /// The chain.
    pub chain: Chain,
    /// Addresses of the exchange.
    pub venue: Venue,
    /// Admin.
    pub admin: Address,
    /// Guardian; the admin unless [`Self::appoint`] named another.
    pub guardian: Address,
    /// Fee collector; likewise.
    pub fee_collector: Address,
    /// Markets, in the order of their rows.
    pub markets: Vec<Market>,
    names: u64,
}

impl MarketSpec {
    /// SOL-PERP: tick $0.001, lot 0.001 SOL.
    pub fn sol() -> Self {
        Self::new("SOL-PERP", 1_000_000_000, 1_000_000_000, 4_000_000)
    }

    /// BTC-PERP: tick $0.1, lot 0.00001 BTC.
    pub fn btc() -> Self {
        Self::new("BTC-PERP", 100_000_000_000, 10_000_000, 10_000_000)
    }

    /// ETH-PERP: tick $0.01, lot 0.0001 ETH.
    pub fn eth() -> Self {
        Self::new("ETH-PERP", 10_000_000_000, 100_000_000, 10_000_000)
    }

    /// A market whose tick of one lot is one quote atom, with margin of 5% up to $1M, 10% up to $10M, 20% above.
    fn new(symbol: &str, tick_size: u64, lot_size: u64, price_max: u32) -> Self {
        Self {
            symbol: symbol.into(),
            tick_size,
            lot_size,
            price_max,
            position_max: POSITION_MAX,
            tiers: vec![(1_000_000_000_000, 50_000), (10_000_000_000_000, 100_000), (u64::MAX, 200_000)],
            risk: RiskParameters {
                step: Ppm::new(1_300),
                step_seconds: 5,
                stable_step: Ppm::new(300),
                basis_max: Ppm::new(5_000),
                funding_dead_zone: Ppm::new(500),
                funding_cap: Ppm::new(40_000),
                liquidation_fee: Ppm::new(5_000),
                takeover_discount: Ppm::new(10_000),
                liquidation_buffer: Ppm::new(100_000),
                interest_scale_max: Ppm::new(2_000_000),
                interest_scale_lower: Lots::new(POSITION_MAX),
                interest_scale_upper: Lots::new(POSITION_MAX * 4),
                pool_budget: QuoteAtoms::new(1_000_000_000_000),
                liquidation_tip_max: QuoteAtoms::new(50_000_000),
            },
            side_capacity: 1_024,
            sources: Sources::Both,
            taker_delay: 0,
        }
    }

    /// Listing parameters with these oracle sources.
    pub fn parameters(&self, sources: &[OracleSource]) -> ListingParameters {
        let mut parameters: ListingParameters = bytemuck::Zeroable::zeroed();
        for (place, byte) in parameters.symbol.iter_mut().zip(self.symbol.bytes()) {
            *place = byte;
        }
        parameters.tick_size = PicoPrice::new(self.tick_size);
        parameters.lot_size = self.lot_size;
        parameters.lots_min = Lots::new(1);
        parameters.lots_max = Lots::new(self.position_max / 10);
        parameters.position_max = Lots::new(self.position_max);
        parameters.open_interest_max = Lots::new(self.position_max.saturating_mul(4));
        parameters.tick_value = TickValue::new(1);
        parameters.price_max = Ticks::new(self.price_max);
        parameters.band = Ppm::new(100_000);
        parameters.taker_fee = Ppm::new(500);
        parameters.maker_fee = SignedPpm::new(-100);
        parameters.maintenance = Ppm::new(500_000);
        parameters.confidence_max = Ppm::new(20_000);
        parameters.divergence_max = Ppm::new(20_000);
        parameters.fresh_seconds = 30;
        parameters.dead_seconds = 600;
        parameters.side_capacity = self.side_capacity;
        parameters.events_capacity = 1_024;
        parameters.risk = self.risk;
        parameters.taker_delay = self.taker_delay;
        parameters.sources_min = u8::try_from(sources.len()).unwrap_or(u8::MAX);
        parameters.sources_len = parameters.sources_min;
        parameters.tiers_len = u8::try_from(self.tiers.len()).unwrap_or(u8::MAX);
        let last = self.tiers.len().saturating_sub(1);
        for (place, (index, (notional, rate))) in parameters.tiers.iter_mut().zip(self.tiers.iter().enumerate()) {
            let notional = if index == last { u64::MAX } else { *notional };
            *place = TierParameters::new(QuoteAtoms::new(notional), Ppm::new(*rate));
        }
        for (place, source) in parameters.sources.iter_mut().zip(sources) {
            *place = *source;
        }
        parameters
    }
}

impl Desk {
    /// Creates an exchange without markets, through `CreateExchange`.
    pub fn new(config: DeskConfig) -> Result<Self> {
        let mut chain = Chain::new(config.unix_millis, config.slot_time)?;
        let id = 1;
        let venue = Venue {
            program: PROGRAM,
            exchange: address::exchange(&PROGRAM, id),
            ledger: named(0, b"ledger"),
            vault: named(0, b"vault"),
            mint: named(0, b"mint"),
        };
        let admin = named(0, b"admin");
        chain.give_lamports(admin, 1_000_000_000_000)?;
        chain.create_mint(venue.mint, QUOTE_DECIMALS)?;
        chain.create_token_account(venue.vault, &venue.mint, &address::vault_authority(&PROGRAM, &venue.ledger), 0)?;
        chain.create_account(venue.ledger, ledger_size(config.events, config.cells), PROGRAM)?;
        chain.send(venue.create_exchange(admin, id, config.events, &config.policy)).context("CreateExchange")?;
        Ok(Self { chain, venue, admin, guardian: admin, fee_collector: admin, markets: Vec::new(), names: 0 })
    }

    /// Gives guardian, lister and fee collector keys of their own, while the exchange is not sealed.
    pub fn appoint(&mut self) -> Result<()> {
        let roles: [(Role, &[u8]); 3] =
            [(Role::Guardian, b"guardian"), (Role::Lister, b"lister"), (Role::FeeCollector, b"fee collector")];
        for (role, name) in roles {
            let key = self.name(name);
            self.chain.send(self.venue.rotate_role(self.admin, role, &key)).context("RotateRole")?;
            self.chain.send(self.venue.accept_role(key, role)).context("AcceptRole")?;
            match role {
                Role::Guardian => self.guardian = key,
                Role::FeeCollector => self.fee_collector = key,
                Role::Admin | Role::Lister => {}
            }
        }
        Ok(())
    }

    /// A fresh address, the same in every run.
    pub fn name(&mut self, kind: &[u8]) -> Address {
        self.names += 1;
        named(self.names, kind)
    }

    /// Lists a market through `ListMarket`, before the exchange is sealed, and returns its place in [`Self::markets`]. It has
    /// no price yet.
    pub fn list(&mut self, spec: &MarketSpec) -> Result<usize> {
        let market = self.unlisted(spec)?;
        let list = self.venue.list_market(self.admin, market.address, &market.parameters);
        self.chain.send(list).with_context(|| format!("ListMarket {}", spec.symbol))?;
        self.markets.push(market);
        Ok(self.markets.len() - 1)
    }

    /// Lists a market on a sealed exchange, through the queue of changes: proposes it, lets its delay pass, and executes the
    /// proposal. Every price is dead then.
    pub fn list_sealed(&mut self, spec: &MarketSpec) -> Result<usize> {
        let market = self.unlisted(spec)?;
        let propose = self.venue.propose_listing(self.admin, market.address, &market.parameters);
        self.chain.send(propose).with_context(|| format!("ProposeChange {}", spec.symbol))?;
        let (number, delay) = {
            let exchange = self.exchange_view()?;
            (exchange.changes.proposed, exchange.delays.critical)
        };
        self.chain.advance_to(self.chain.unix_millis() + i64::from(delay) * 1_000);
        let execute = self.venue.execute_change(number, Some(market.address));
        self.chain.send(execute).with_context(|| format!("ExecuteChange {}", spec.symbol))?;
        self.markets.push(market);
        Ok(self.markets.len() - 1)
    }

    /// A market as it is to be listed next, with its blank account.
    fn unlisted(&mut self, spec: &MarketSpec) -> Result<Market> {
        let address = self.name(b"market");
        let (sources, feeds) = self.sources(spec.sources);
        let parameters = spec.parameters(&sources);
        let size = market_size(parameters.side_capacity, parameters.events_capacity);
        self.chain.create_account(address, size, PROGRAM)?;
        let index = MarketIndex::new(u16::try_from(self.markets.len())?);
        Ok(Market { symbol: spec.symbol.clone(), address, index, parameters, feeds })
    }

    /// The exchange where it is.
    pub fn exchange_view(&self) -> Result<&Exchange> {
        let loaded = Exchange::load(self.chain.bytes(&self.venue.exchange)?);
        loaded.map_err(|error| anyhow::anyhow!("exchange: {error:?}"))
    }

    fn sources(&mut self, sources: Sources) -> (Vec<OracleSource>, Vec<Address>) {
        let mut list = (Vec::new(), Vec::new());
        if sources != Sources::Switchboard {
            let (feed, account) = (self.name(b"pyth feed"), self.name(b"pyth account"));
            list.0.push(OracleSource::pyth(view::key_of(&feed)));
            list.1.push(account);
        }
        if sources != Sources::Pyth {
            let (feed, account, queue) = (self.name(b"feed hash"), self.name(b"pull feed"), self.name(b"queue"));
            let key = view::key_of;
            list.0.push(OracleSource::switchboard(key(&account), key(&feed), key(&queue), 3));
            list.1.push(account);
        }
        list
    }

    /// Writes the market's oracle accounts as showing `price` ± `half_width` (1e-12 quote units) now.
    pub fn publish(&mut self, market: usize, price: u64, half_width: u64) -> Result<()> {
        let now = self.chain.unix_seconds();
        self.publish_at(market, price, half_width, now)
    }

    /// The same, as observed at another time.
    pub fn publish_at(&mut self, market: usize, price: u64, half_width: u64, publish_time: i64) -> Result<()> {
        let slot = self.chain.slot();
        let market = &self.markets[market];
        for (source, feed) in market.parameters.sources().iter().zip(&market.feeds) {
            let reading = oracle::Reading { price, half_width, publish_time, slot };
            self.chain.set_account(*feed, oracle::account(source, &reading)?)?;
        }
        Ok(())
    }

    /// Publishes a price and runs `UpdatePrice`.
    pub fn set_price(&mut self, market: usize, price: u64) -> Result<Executed> {
        self.publish(market, price, price / 2_000)?;
        self.update_price(market).with_context(|| format!("UpdatePrice {}", self.markets[market].symbol))
    }

    /// Runs `UpdatePrice` on the accounts as they are.
    pub fn update_price(&mut self, market: usize) -> std::result::Result<Executed, Failure> {
        let market = &self.markets[market];
        self.chain.send(self.venue.update_price(&market.address, market.index, &market.feeds))
    }

    /// Publishes a price and runs `UpdatePrice` until mark and stable price have arrived at it, with the clock moved by
    /// whole seconds in between: as many as the staircase takes.
    pub fn settle_price(&mut self, market: usize, price: u64) -> Result<()> {
        // Twice the price at a step of 300 ppm takes 2,300 seconds.
        for _ in 0..SETTLING_UPDATES_MAX {
            self.set_price(market, price)?;
            let ledger = self.ledger_view()?;
            let row = ledger.row(self.markets[market].index).map_err(|error| anyhow::anyhow!("row: {error}"))?;
            if row.low == row.high && !row.is_lagging() {
                return Ok(());
            }
            let seconds = i64::from(row.risk.step_seconds);
            self.chain.set_unix_seconds(self.chain.unix_seconds() + seconds);
        }
        bail!("the price of {} does not settle at {price}", self.markets[market].symbol)
    }

    /// Creates a token account of `owner` with this many atoms of collateral.
    pub fn fund(&mut self, owner: &Address, atoms: u64) -> Result<Address> {
        let address = self.name(b"tokens");
        let mint = self.venue.mint;
        self.chain.create_token_account(address, &mint, owner, atoms)?;
        Ok(address)
    }

    /// Seals the exchange, unless it is: nothing can be deposited before, and no market listed afterwards.
    pub fn seal(&mut self) -> Result<()> {
        if !self.ledger_view()?.header.is_sealed() {
            self.chain.send(self.venue.seal_exchange(self.admin)).context("SealExchange")?;
        }
        Ok(())
    }

    /// Opens a trading account and deposits `atoms` into it; returns it with its token account. The first one seals the
    /// exchange.
    pub fn open(&mut self, owner: Address, sub_account: u16, atoms: u64) -> Result<(Trader, Address)> {
        self.seal()?;
        let tokens = self.fund(&owner, atoms)?;
        self.chain.send(self.venue.open_trader(owner, sub_account)).context("OpenTrader")?;
        let ledger = self.ledger()?;
        let view = ledger.ledger().map_err(|error| anyhow::anyhow!("ledger: {error:?}"))?;
        let trader = view::find_trader(&view, &owner, sub_account).context("the trader just opened")?;
        if atoms > 0 {
            self.chain.send(self.venue.deposit(&trader, tokens, QuoteAtoms::new(atoms))).context("Deposit")?;
        }
        Ok((trader, tokens))
    }

    /// Places an order without a time limit.
    pub fn place(
        &mut self,
        trader: &Trader,
        market: usize,
        order: &NewOrder,
    ) -> std::result::Result<Executed, Failure> {
        let market = self.markets[market].address;
        self.chain.send(self.venue.place_order(trader, &market, order, UnixSeconds::ZERO))
    }

    /// The ledger's bytes.
    pub fn ledger(&self) -> Result<AccountBytes> {
        Ok(AccountBytes::new(&self.chain.data(&self.venue.ledger)?))
    }

    /// A market's bytes.
    pub fn market(&self, market: usize) -> Result<AccountBytes> {
        Ok(AccountBytes::new(&self.chain.data(&self.markets[market].address)?))
    }

    /// The ledger where it is. The allocator aligns the bytes of an account as views need it.
    pub fn ledger_view(&self) -> Result<LedgerView<'_>> {
        LedgerView::load(self.chain.bytes(&self.venue.ledger)?).map_err(|error| anyhow::anyhow!("ledger: {error:?}"))
    }

    /// A market where it is.
    pub fn market_view(&self, market: usize) -> Result<MarketView<'_>> {
        let market = &self.markets[market];
        let loaded = MarketView::load(self.chain.bytes(&market.address)?);
        loaded.map_err(|error| anyhow::anyhow!("market {}: {error:?}", market.symbol))
    }

    /// Checks every invariant on the account bytes as they are.
    pub fn check(&self) -> Result<()> {
        let view = self.ledger_view()?;
        let is_open =
            |market: &Market| view.row(market.index).is_ok_and(|row| row.status() != Some(MarketStatus::Closed));
        let open = (0..self.markets.len()).filter(|market| is_open(&self.markets[*market]));
        let views = open.map(|market| self.market_view(market)).collect::<Result<Vec<_>>>()?;
        let violated = |violation: Violation| anyhow::anyhow!("invariant {}: {:?}", violation.id, violation);
        invariant::check_all(&view, &views, self.chain.tokens(&self.venue.vault)?).map_err(violated)?;
        for (_, trader) in view.traders() {
            invariant::requirements(&view, trader).map_err(violated)?;
        }
        ensure!(usize::from(view.header.markets_len) == self.markets.len(), "every market is known");
        Ok(())
    }

    /// Hash over the bytes of ledger, markets, exchange and vault: equal hashes, equal states.
    pub fn state_hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let markets = self.markets.iter().map(|market| &market.address);
        for address in [&self.venue.ledger, &self.venue.exchange, &self.venue.vault].into_iter().chain(markets) {
            hash.update(self.chain.bytes(address)?);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// An address that is the same in every run.
fn named(number: u64, kind: &[u8]) -> Address {
    let mut hash = Sha256::new();
    hash.update(number.to_le_bytes());
    hash.update(kind);
    Address::new_from_array(hash.finalize().into())
}
