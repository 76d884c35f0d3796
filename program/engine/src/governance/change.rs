//! Changes: what can be proposed, what it waits for, and how it takes effect.
//!
//! A change is examined twice by the same code, when it is proposed and when it is executed, both times against what is in
//! force: its class, its bounds, its step, and whether what comes of it still satisfies what a listing must. So neither a
//! change that ran in between nor one that waits beside it leads past a limit.
//!
//! What tightens takes effect when it is proposed. All else waits, as long as the delay of its class is when it is executed,
//! and a week later it lapses.

use super::{
    Delays,
    parameter::{Class, Parameter, Scope, Values},
    queue::{Change, LAPSE_SECONDS, NO_MARKET, Payload},
};
use crate::{
    error::{EngineError, Result},
    math,
    risk::{
        life::{self, MarginParameters},
        listing::{self, ListingParameters},
        margin,
    },
    state::{
        CashEvent, CashEventKind, Exchange, Key, Ledger, Market, MarketRow, MarketStatus, OracleSource,
        exchange::MARKET_SOURCES_MAX, fees::FeeSchedule, row::TIERS_MAX,
    },
    units::{CellIndex, MarketIndex, Now, Ppm, QuoteAtoms, UnixSeconds},
};
use bytemuck::{Pod, Zeroable};

/// A change of margin moves what a position has to keep, and the maintenance share, by at most this share of the lesser.
pub const MARGIN_STEP: Ppm = Ppm::new(250_000);

/// What a change consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// One number: a [`Parameter`].
    Parameter = 1,
    /// A market's tiers and its maintenance share: [`MarginParameters`].
    Margin = 2,
    /// Discounts by volume and the referrers' share: [`FeeSchedule`].
    Fees = 3,
    /// A market's oracle sources: [`SourcesParameters`].
    Sources = 4,
    /// A new market: [`ListingParameters`].
    Listing = 5,
    /// A market that was left to reducing is active again.
    Reopening = 6,
}

/// In which role somebody proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Proposer {
    /// The admin, who may propose anything.
    Admin = 1,
    /// The lister, who may propose listings.
    Lister = 2,
}

/// A market's oracle sources, 424 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SourcesParameters {
    /// Fewest valid sources an update needs.
    pub sources_min: u8,
    /// Sources given.
    pub sources_len: u8,
    pad: [u8; 6],
    /// The sources; unused ones are zero.
    pub sources: [OracleSource; MARKET_SOURCES_MAX],
}

const _: () = assert!(size_of::<SourcesParameters>() == 424 && align_of::<SourcesParameters>() == 8);

/// What is proposed, without its payload: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Proposal {
    /// The value proposed for a parameter; else zero.
    pub value: i64,
    /// The market; [`NO_MARKET`] for what is the exchange's, and for a listing.
    pub market: MarketIndex,
    /// A [`Kind`].
    pub kind: u8,
    /// A [`Parameter`], or zero.
    pub parameter: u8,
    pad: [u8; 4],
}

const _: () = assert!(size_of::<Proposal>() == 16 && align_of::<Proposal>() == 8);

/// What a change wants, decoded.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// A parameter's value.
    Value(Parameter, MarketIndex, i64),
    /// Other margin; it names its market.
    Margin(&'a MarginParameters),
    /// Another schedule.
    Fees(&'a FeeSchedule),
    /// Other sources of this market.
    Sources(MarketIndex, &'a SourcesParameters),
    /// A new market with this account.
    Listing(Key, &'a ListingParameters),
    /// This market active again.
    Reopening(MarketIndex),
}

/// The account of a market that a change is about.
#[derive(Debug)]
pub struct MarketAccount<'a> {
    /// Its address.
    pub key: Key,
    /// Its bytes: blank for a listing.
    pub bytes: &'a mut [u8],
}

impl Kind {
    /// Decodes a stored byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Parameter),
            2 => Some(Self::Margin),
            3 => Some(Self::Fees),
            4 => Some(Self::Sources),
            5 => Some(Self::Listing),
            6 => Some(Self::Reopening),
            _ => None,
        }
    }

    /// The stored byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Parameter => 1,
            Self::Margin => 2,
            Self::Fees => 3,
            Self::Sources => 4,
            Self::Listing => 5,
            Self::Reopening => 6,
        }
    }

    /// Bytes that follow a proposal of this kind.
    pub const fn payload_size(self) -> usize {
        match self {
            Self::Parameter | Self::Reopening => 0,
            Self::Margin => size_of::<MarginParameters>(),
            Self::Fees => size_of::<FeeSchedule>(),
            Self::Sources => size_of::<SourcesParameters>(),
            Self::Listing => size_of::<ListingParameters>(),
        }
    }
}

impl Proposer {
    const fn byte(self) -> u8 {
        match self {
            Self::Admin => 1,
            Self::Lister => 2,
        }
    }
}

impl SourcesParameters {
    /// These sources, of which an update needs `sources_min`. Surplus ones are left out.
    pub fn new(sources: &[OracleSource], sources_min: u8) -> Self {
        let mut parameters = Self { sources_min, ..Self::zeroed() };
        for (place, source) in parameters.sources.iter_mut().zip(sources) {
            *place = *source;
            parameters.sources_len = parameters.sources_len.wrapping_add(1);
        }
        parameters
    }

    /// Sources given. Fails with `ListingOracleInvalid` for more than there can be, or if none or more of them would be
    /// needed.
    fn given(&self) -> Result<&[OracleSource]> {
        let given = self.sources.get(..usize::from(self.sources_len)).ok_or(EngineError::ListingOracleInvalid)?;
        let needed = (1..=self.sources_len).contains(&self.sources_min);
        if needed { Ok(given) } else { Err(EngineError::ListingOracleInvalid) }
    }

    /// Whether padding is zero, and with it the sources not given.
    pub fn is_padded(&self) -> bool {
        self.pad == [0; 6]
            && self.sources.iter().all(OracleSource::is_padded)
            && self.sources.iter().skip(usize::from(self.sources_len)).all(|it| *it == OracleSource::zeroed())
    }
}

impl Proposal {
    /// A parameter's value; `market` is [`NO_MARKET`] for one of the exchange.
    pub const fn value(parameter: Parameter, market: MarketIndex, value: i64) -> Self {
        Self { value, market, kind: Kind::Parameter.byte(), parameter: parameter.byte(), pad: [0; 4] }
    }

    /// A change of this kind, but of a parameter.
    pub const fn of(kind: Kind, market: MarketIndex) -> Self {
        Self { value: 0, market, kind: kind.byte(), parameter: 0, pad: [0; 4] }
    }

    /// Whether padding is zero.
    pub const fn is_padded(&self) -> bool {
        let [a, b, c, d] = self.pad;
        a | b | c | d == 0
    }
}

impl<'a> Wanted<'a> {
    /// Decodes a change; `None` if a field means nothing, or is not zero where there is none. `payload` may be longer than
    /// what the kind needs, and begins where 8 divides its address.
    pub fn read(proposal: &Proposal, key: Key, payload: &'a [u8]) -> Option<Self> {
        let kind = Kind::from_byte(proposal.kind)?;
        let bytes = payload.get(..kind.payload_size())?;
        let (market, listed) = (proposal.market, proposal.market != NO_MARKET);
        let plain = proposal.parameter == 0 && proposal.value == 0 && proposal.is_padded();
        if kind == Kind::Parameter {
            let parameter = Parameter::from_byte(proposal.parameter)?;
            let of_market = parameter.rule().ok()?.scope == Scope::Market;
            let named = of_market == listed && proposal.is_padded();
            return named.then_some(Self::Value(parameter, market, proposal.value));
        }
        if !plain || listed == matches!(kind, Kind::Fees | Kind::Listing) {
            return None;
        }
        match kind {
            Kind::Parameter => None,
            Kind::Margin => {
                let wanted: &MarginParameters = bytemuck::try_from_bytes(bytes).ok()?;
                (wanted.market == market && wanted.is_padded()).then_some(Self::Margin(wanted))
            }
            Kind::Fees => {
                let wanted: &FeeSchedule = bytemuck::try_from_bytes(bytes).ok()?;
                wanted.is_padded().then_some(Self::Fees(wanted))
            }
            Kind::Sources => {
                let wanted: &SourcesParameters = bytemuck::try_from_bytes(bytes).ok()?;
                wanted.is_padded().then_some(Self::Sources(market, wanted))
            }
            Kind::Listing => {
                let wanted: &ListingParameters = bytemuck::try_from_bytes(bytes).ok()?;
                wanted.is_padded().then_some(Self::Listing(key, wanted))
            }
            Kind::Reopening => Some(Self::Reopening(market)),
        }
    }
}

impl Change {
    /// What was proposed.
    fn proposal(&self) -> Proposal {
        let Self { value, market, kind, parameter, .. } = *self;
        Proposal { value, market, kind, parameter, pad: [0; 4] }
    }
}

impl Delays {
    /// How long a change of this class waits; `None` for ever.
    pub const fn of(&self, class: Class) -> Option<u32> {
        match class {
            Class::Tightening => Some(0),
            Class::Loosening => Some(self.loosening),
            Class::Critical => Some(self.critical),
            Class::Never => None,
        }
    }
}

/// Whether a change of margin may be made without a proposal: any while the exchange is not sealed, then what tightens. Fails
/// as [`life::next_margin`], and once it is sealed with `MarginRampRunning`, `ChangeStepTooLarge`, or with
/// `ChangeNotTightening` if it requires less of anybody.
pub fn check_margin(ledger: &Ledger<'_>, now: Now, parameters: &MarginParameters) -> Result<()> {
    let row = ledger.row(parameters.market)?;
    if !ledger.header.is_sealed() || assess_margin(row, now.unix_seconds, parameters)? == Class::Tightening {
        Ok(())
    } else {
        Err(EngineError::ChangeNotTightening)
    }
}

/// Makes a live market active (1) or reduce-only (2) without a proposal. Fails as [`life::set_status`], and on a sealed
/// exchange with `ChangeNotTightening` instead of making one active.
pub fn set_status(ledger: &mut Ledger<'_>, now: Now, market: MarketIndex, status: u8) -> Result<()> {
    life::set_status(ledger, now, market, status)?;
    let opened = ledger.header.is_sealed() && ledger.row(market)?.is_active();
    if opened { Err(EngineError::ChangeNotTightening) } else { Ok(()) }
}

/// What changes are about, at one moment.
#[derive(Debug)]
pub struct Governed<'a, 'b> {
    /// The exchange, with its queue.
    pub exchange: &'a mut Exchange,
    /// Its ledger.
    pub ledger: &'a mut Ledger<'b>,
    /// When.
    pub now: Now,
}

impl Governed<'_, '_> {
    /// Proposes a change: what tightens takes effect now, all else waits.
    ///
    /// Fails with `ChangesFull`, `PayloadsFull`, or as [`Self::assess`].
    pub fn propose(&mut self, proposal: &Proposal, wanted: &Wanted<'_>, by: Proposer) -> Result<()> {
        let class = self.assess(wanted, None)?;
        let delay = self.exchange.delays.of(class).ok_or(EngineError::DelayShrinks)?;
        let now = self.now.unix_seconds;
        let change = Change {
            number: self.exchange.changes.next_number()?,
            proposed_at: now,
            lapses_at: now.plus(delay)?.plus(LAPSE_SECONDS)?,
            value: proposal.value,
            market: proposal.market,
            kind: proposal.kind,
            parameter: proposal.parameter,
            proposer: by.byte(),
            ..Change::zeroed()
        };
        self.record(CashEventKind::ChangeProposed, &change)?;
        if class == Class::Tightening {
            self.record(CashEventKind::ChangeExecuted, &change)?;
            return self.apply(wanted, None);
        }
        let queue = &mut self.exchange.changes;
        match wanted {
            Wanted::Value(..) | Wanted::Reopening(_) => queue.add(&change),
            Wanted::Margin(margin) => queue.add_with(&change, &Key::ZERO, *margin),
            Wanted::Fees(fees) => queue.add_with(&change, &Key::ZERO, *fees),
            Wanted::Sources(_, sources) => queue.add_with(&change, &Key::ZERO, *sources),
            Wanted::Listing(key, listing) => queue.add_with(&change, key, *listing),
        }
    }

    /// The market account that the execution of a change needs: that of a listing, and that which keeps the slots that
    /// takers wait. Fails with `ChangeNotFound` or `MarketNotFound`.
    pub fn needed_market(&self, number: u64) -> Result<Option<Key>> {
        let change = self.exchange.changes.find(number)?;
        if change.kind == Kind::Listing.byte() {
            return self.exchange.changes.payload(change).map(|payload| Some(payload.market));
        }
        let of_account = change.kind == Kind::Parameter.byte() && change.parameter == Parameter::TakerDelay.byte();
        if of_account { self.ledger.row(change.market).map(|row| Some(row.market)) } else { Ok(None) }
    }

    /// Executes a change whose time has come. `market` is what [`Self::needed_market`] asks for.
    ///
    /// Fails with `ChangeNotFound`, `ChangeLapsed`, as [`Self::assess`], with `ChangeTooEarly`, with `ChangeStale` if the
    /// status of a market to be opened again has changed since the proposal, with `TakersWaiting` if takers wait in a
    /// market where none shall any more, and for a listing with `CapacityInvalid` or `AccountNotBlank`.
    pub fn execute(&mut self, number: u64, market: Option<MarketAccount<'_>>) -> Result<()> {
        let change = *self.exchange.changes.find(number)?;
        if change.has_lapsed(self.now.unix_seconds) {
            return Err(EngineError::ChangeLapsed);
        }
        let payload = self.exchange.changes.payload(&change).copied().unwrap_or(Payload::zeroed());
        let wanted = Wanted::read(&change.proposal(), payload.market, payload.bytes()).ok_or(EngineError::Corrupt)?;
        let taker_delay = match (&market, &wanted) {
            (Some(account), Wanted::Value(Parameter::TakerDelay, ..)) => Some(taker_delay_of(account)?),
            _ => None,
        };
        let class = self.assess(&wanted, taker_delay)?;
        let delay = self.exchange.delays.of(class).ok_or(EngineError::DelayShrinks)?;
        if self.now.unix_seconds < change.proposed_at.plus(delay)? {
            return Err(EngineError::ChangeTooEarly);
        }
        if let Wanted::Reopening(index) = &wanted
            && self.ledger.row(*index)?.status_at > change.proposed_at
        {
            return Err(EngineError::ChangeStale);
        }
        self.exchange.changes.remove(number)?;
        self.record(CashEventKind::ChangeExecuted, &change)?;
        self.apply(&wanted, market)
    }

    /// Takes a change out of the queue. Who may is the caller's to decide. Fails with `ChangeNotFound`.
    pub fn cancel(&mut self, number: u64) -> Result<()> {
        let change = self.exchange.changes.remove(number)?;
        let lapsed = change.has_lapsed(self.now.unix_seconds);
        let kind = if lapsed { CashEventKind::ChangeRemoved } else { CashEventKind::ChangeCancelled };
        self.record(kind, &change)
    }

    /// Whether whoever has this key may take a change out: admin and guardian any, the lister his own, and anybody one that
    /// has lapsed. Fails with `ChangeNotFound`.
    pub fn may_cancel(&self, number: u64, key: &[u8; 32]) -> Result<bool> {
        let exchange = &self.exchange;
        let change = exchange.changes.find(number)?;
        let own = change.proposer == Proposer::Lister.byte() && exchange.lister.matches(key);
        let lapsed = change.has_lapsed(self.now.unix_seconds);
        Ok(exchange.admin.matches(key) || exchange.guardian.matches(key) || own || lapsed)
    }

    /// Examines a change against what is in force and returns its class.
    ///
    /// Fails with `MarketNotFound`, with `MarketStatusInvalid` for a market that is settled or closed, and for one to be
    /// opened again unless it is reduce-only, as [`Values::classify`], with `MarginRampRunning`, and as what a listing
    /// fails with if what comes of it would be none.
    #[inline(never)]
    pub fn assess(&self, wanted: &Wanted<'_>, taker_delay: Option<u32>) -> Result<Class> {
        match wanted {
            Wanted::Value(parameter, market, value) => {
                let mut values = self.values(*market)?;
                values.taker_delay = taker_delay;
                assess_value(&mut values, self.ledger.header.mint_decimals, *parameter, *value)
            }
            Wanted::Margin(parameters) => {
                assess_margin(self.ledger.row(parameters.market)?, self.now.unix_seconds, parameters)
            }
            Wanted::Fees(schedule) => {
                schedule.check()?;
                let same = self.ledger.header.policy.fees == **schedule;
                if same { Err(EngineError::ChangeWithoutEffect) } else { Ok(Class::Loosening) }
            }
            Wanted::Sources(market, parameters) => {
                self.live_row(*market)?;
                self.exchange.check_sources(*market, parameters.given()?)?;
                Ok(Class::Critical)
            }
            Wanted::Listing(key, parameters) => self.assess_listing(key, parameters),
            Wanted::Reopening(market) => {
                let reducing = self.ledger.row(*market)?.status() == Some(MarketStatus::ReduceOnly);
                if reducing { Ok(Class::Loosening) } else { Err(EngineError::MarketStatusInvalid) }
            }
        }
    }

    #[inline(never)]
    fn assess_listing(&self, key: &Key, parameters: &ListingParameters) -> Result<Class> {
        let mut values = self.bare_values();
        values.row = listing::next_row(self.ledger, key, parameters)?;
        values.taker_delay = Some(parameters.taker_delay.into());
        self.exchange.check_sources(values.row.index, parameters.sources())?;
        values.check_bounds()?;
        Ok(Class::Critical)
    }

    /// Puts an examined change into effect.
    #[inline(never)]
    fn apply(&mut self, wanted: &Wanted<'_>, market: Option<MarketAccount<'_>>) -> Result<()> {
        match wanted {
            Wanted::Value(Parameter::TakerDelay, _, value) => set_taker_delay(market, *value),
            Wanted::Value(parameter, market, value) => self.set_value(*parameter, *market, *value),
            Wanted::Margin(parameters) => life::set_margin(self.ledger, self.now, parameters),
            Wanted::Fees(schedule) => {
                self.ledger.header.policy.fees = **schedule;
                Ok(())
            }
            Wanted::Sources(market, parameters) => self.set_sources(*market, parameters),
            Wanted::Listing(_, parameters) => self.list(parameters, market),
            Wanted::Reopening(market) => life::set_status(self.ledger, self.now, *market, 1),
        }
    }

    /// Row of a market that is neither settled nor closed. Fails with `MarketNotFound` or `MarketStatusInvalid`.
    fn live_row(&self, market: MarketIndex) -> Result<&MarketRow> {
        let row = self.ledger.row(market)?;
        if row.accepts_reducing() { Ok(row) } else { Err(EngineError::MarketStatusInvalid) }
    }

    /// Parameters of the exchange alone.
    fn bare_values(&self) -> Values {
        let (policy, delays) = (self.ledger.header.policy, self.exchange.delays);
        Values { row: MarketRow::zeroed(), policy, delays, taker_delay: None }
    }

    /// Parameters of a market with its exchange's, or of the exchange alone.
    fn values(&self, market: MarketIndex) -> Result<Values> {
        let mut values = self.bare_values();
        if market != NO_MARKET {
            values.row = *self.live_row(market)?;
        }
        Ok(values)
    }

    #[inline(never)]
    fn set_value(&mut self, parameter: Parameter, market: MarketIndex, value: i64) -> Result<()> {
        let mut values = self.values(market)?;
        values.write(parameter, value)?;
        if market != NO_MARKET {
            *self.ledger.row_mut(market)? = values.row;
        }
        self.ledger.header.policy = values.policy;
        self.exchange.delays = values.delays;
        Ok(())
    }

    /// Sources that stay keep the newest publish time seen of them, so that no older price of theirs counts again.
    #[inline(never)]
    fn set_sources(&mut self, market: MarketIndex, parameters: &SourcesParameters) -> Result<()> {
        let row = self.ledger.row_mut(market)?;
        let seen = row.source_times;
        row.source_times = parameters.sources.map(|source| {
            let mut before = seen.iter().enumerate();
            let same = before.find(|(place, _)| self.exchange.source(market, *place) == Some(&source));
            same.map_or(UnixSeconds::ZERO, |(_, seen)| *seen)
        });
        self.exchange.set_sources(market, parameters.given()?)?;
        (row.sources_min, row.sources_len) = (parameters.sources_min, parameters.sources_len);
        Ok(())
    }

    #[inline(never)]
    fn list(&mut self, parameters: &ListingParameters, market: Option<MarketAccount<'_>>) -> Result<()> {
        let account = market.ok_or(EngineError::Corrupt)?;
        let index = listing::list(self.ledger, self.now, account.key, parameters)?;
        self.exchange.set_sources(index, parameters.sources())?;
        let (side, events) = (parameters.side_capacity, parameters.events_capacity);
        let market = Market::create(account.bytes, self.exchange.ledger, index, side, events)?;
        market.header.taker_delay = u32::from(parameters.taker_delay);
        let mut event = CashEvent::new(CashEventKind::MarketListed);
        event.market = index;
        event.amount = i64::from(index.get());
        self.ledger.record(self.now, CellIndex::NIL, event)
    }

    /// Writes the record of what became of a change.
    fn record(&mut self, kind: CashEventKind, change: &Change) -> Result<()> {
        let mut event = CashEvent::new(kind);
        event.market = change.market;
        event.amount = i64::try_from(change.number).map_err(|_| EngineError::Overflow)?;
        event.balance = change.value;
        self.ledger.record(self.now, CellIndex::NIL, event)
    }
}

/// Class of a parameter's change, if what comes of it is sound; `values` are then what comes of it.
#[inline(never)]
fn assess_value(values: &mut Values, mint_decimals: u8, parameter: Parameter, value: i64) -> Result<Class> {
    let class = values.classify(parameter, value)?;
    values.write(parameter, value)?;
    match parameter.rule()?.scope {
        Scope::Market => values.check_row(mint_decimals)?,
        Scope::Exchange => values.check_exchange()?,
    }
    Ok(class)
}

/// Class of a change of margin: it tightens if nobody has to keep less, at any size.
///
/// Both curves are straight lines between the boundaries of either, so the ratio of the one to the other is extreme at a
/// boundary, near zero or far beyond the last one; near zero and far out it is that of the rates.
#[inline(never)]
fn assess_margin(row: &MarketRow, now: UnixSeconds, parameters: &MarginParameters) -> Result<Class> {
    let next = life::next_margin(row, now, parameters)?;
    if now < row.ramp_end {
        return Err(EngineError::MarginRampRunning);
    }
    let mut tightens = next.maintenance >= row.maintenance;
    require_margin_step(row.maintenance.get().into(), next.maintenance.get().into(), 0)?;
    let ends = [(row.tiers().first(), next.tiers().first()), (row.tiers().last(), next.tiers().last())];
    for (before, after) in ends {
        let (before, after) = before.zip(after).ok_or(EngineError::Corrupt)?;
        tightens &= after.rate >= before.rate;
        require_margin_step(before.rate.get().into(), after.rate.get().into(), 0)?;
    }
    let boundaries = row.tiers().iter().chain(next.tiers()).map(|tier| tier.notional_max);
    for boundary in boundaries.filter(|boundary| *boundary != QuoteAtoms::MAX) {
        let (before, after) = (margin::tier(row, boundary)?, margin::tier(&next, boundary)?);
        tightens &= after >= before;
        require_margin_step(before.get(), after.get(), ROUNDED)?;
    }
    Ok(if tightens { Class::Tightening } else { Class::Loosening })
}

/// Atoms that rounding may add to what a curve requires: one a tier.
const ROUNDED: u64 = 6;
const _: () = assert!(TIERS_MAX == 6);

/// Fails with `ChangeStepTooLarge` if the greater of two is more than the lesser and [`MARGIN_STEP`] of it, and `slack`.
fn require_margin_step(before: u64, after: u64, slack: u64) -> Result<()> {
    let (least, most) = (before.min(after), before.max(after));
    let limit = least.saturating_add(math::ppm_floor(least, MARGIN_STEP.get())?).saturating_add(slack);
    if most <= limit { Ok(()) } else { Err(EngineError::ChangeStepTooLarge) }
}

/// Slots that takers wait, as the market's account has them.
fn taker_delay_of(account: &MarketAccount<'_>) -> Result<u32> {
    Ok(crate::state::MarketView::load(account.bytes)?.header.taker_delay)
}

fn set_taker_delay(market: Option<MarketAccount<'_>>, value: i64) -> Result<()> {
    let account = market.ok_or(EngineError::Corrupt)?;
    let market = Market::load(account.bytes)?;
    // WHY: without a delay those who wait would be overtaken, and nobody would run them.
    if value == 0 && market.header.delayed_len > 0 {
        return Err(EngineError::TakersWaiting);
    }
    market.header.taker_delay = u32::try_from(value).map_err(|_| EngineError::Overflow)?;
    Ok(())
}
