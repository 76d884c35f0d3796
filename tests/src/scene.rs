//! Small exchanges to test on.

use quantdesk_client::{
    Address, address,
    engine::{
        Lots, QuoteAtoms, Side, Ticks, UnixSeconds,
        book::{NewLadder, NewOrder},
        session::Action,
        state::{
            LedgerHeader, SessionTerms,
            ledger::{Policy, ledger_size},
        },
    },
    instruction::{Trader, Venue},
    ladder,
    order::Ticket,
    view,
};
use quantdesk_sim::{
    chain::{Chain, PROGRAM},
    desk::{Desk, DeskConfig, Market, MarketSpec, POLICY, Sources},
};
use solana_account::Account;
use solana_instruction::Instruction;
use solana_program_pack::Pack;
use spl_token_interface::state::Account as TokenAccount;
use std::mem::offset_of;

use crate::{
    Sent,
    read::{self, LedgerMap, MarketMap},
};

/// One quote unit in the scale of oracle prices.
pub const PICO: u64 = 1_000_000_000_000;
/// The price of SOL in every scene.
pub const PRICE: u64 = 200 * PICO;
/// The same in ticks.
pub const MARK: u32 = 200_000;
/// What each trader deposits: $1,000, enough for 100 SOL at 20 times leverage.
pub const CAPITAL: u64 = 1_000_000_000;
/// What each trader keeps outside.
pub const POCKET: u64 = 500_000_000;
/// Cash events the ledger keeps.
pub const EVENTS: u32 = 64;
/// Trading events a market keeps.
pub const TRADE_EVENTS: u32 = 1_024;
/// Orders a side holds.
pub const SIDE: u32 = 8;

/// Ledger of a scene.
pub const LEDGER: LedgerMap = LedgerMap::new(EVENTS);
/// Market of a scene.
pub const MARKET: MarketMap = MarketMap::new(SIDE, TRADE_EVENTS);

/// A trader with its token account.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    /// Trading account.
    pub trader: Trader,
    /// Token account.
    pub tokens: Address,
}

/// An exchange with one priced market, SOL, and two funded traders.
#[derive(Clone)]
pub struct Scene {
    /// The exchange.
    pub desk: Desk,
    /// First trader.
    pub alice: Party,
    /// Second trader.
    pub bob: Party,
}

/// SOL-PERP with a book of [`SIDE`] orders a side.
pub fn sol() -> MarketSpec {
    MarketSpec { side_capacity: SIDE, ..MarketSpec::sol() }
}

/// BTC-PERP with one Pyth source.
pub fn btc() -> MarketSpec {
    MarketSpec { side_capacity: SIDE, sources: Sources::Pyth, ..MarketSpec::btc() }
}

/// An exchange with small accounts and no market.
pub fn small_desk() -> Desk {
    Desk::new(DeskConfig { cells: 48, events: EVENTS, ..DeskConfig::default() }).unwrap()
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Scene {
    /// A scene on the usual SOL market.
    pub fn new() -> Self {
        Self::on(&sol())
    }

    /// A scene on another market.
    pub fn on(spec: &MarketSpec) -> Self {
        Self::of(small_desk(), spec)
    }

    /// A scene on the usual SOL market, and the place of BTC, which has no price yet.
    pub fn with_bitcoin() -> (Self, usize) {
        let mut desk = small_desk();
        let sol = desk.list(&sol()).unwrap();
        let bitcoin = desk.list(&btc()).unwrap();
        (Self::priced(desk, sol), bitcoin)
    }

    /// A scene on the usual SOL market of an exchange with this policy.
    pub fn with_policy(policy: Policy) -> Self {
        let config = DeskConfig { cells: 48, events: EVENTS, policy, ..DeskConfig::default() };
        Self::of(Desk::new(config).unwrap(), &sol())
    }

    fn of(mut desk: Desk, spec: &MarketSpec) -> Self {
        let market = desk.list(spec).unwrap();
        Self::priced(desk, market)
    }

    fn priced(mut desk: Desk, market: usize) -> Self {
        desk.set_price(market, PRICE).unwrap();
        let (alice, bob) = (party(&mut desk, 0), party(&mut desk, 0));
        Self { desk, alice, bob }
    }

    /// The market's address.
    pub fn market(&self) -> Address {
        self.desk.markets[0].address
    }

    /// `PlaceOrder` in the scene's market without a time limit.
    pub fn order(&self, party: &Party, order: &NewOrder) -> Instruction {
        self.desk.venue.place_order(&party.trader, &self.market(), order, UnixSeconds::ZERO)
    }

    /// `SetLadder` in the scene's market without a time limit.
    pub fn set_ladder(&self, party: &Party, wanted: &NewLadder<'_>) -> Instruction {
        self.desk.venue.set_ladder(&party.trader, &self.market(), wanted, UnixSeconds::ZERO)
    }

    /// `MoveLadder` of the party's ladder, signed by the party's authority.
    pub fn move_ladder(&self, party: &Party, sequence: u64, mid: u32) -> Instruction {
        let (ledger, market) = (self.desk.ledger_view().unwrap(), self.desk.market_view(0).unwrap());
        let (handle, _) = ladder::find(&ledger, &market, &party.trader).unwrap().expect("a ladder");
        self.desk.venue.move_ladder(party.trader.authority, &self.market(), handle, sequence, Ticks::new(mid))
    }

    /// Places an order.
    pub fn place(&mut self, party: &Party, order: &NewOrder) -> Sent {
        self.desk.place(&party.trader, 0, order)
    }

    /// Places an order that must be accepted, and checks all invariants.
    #[track_caller]
    pub fn accept(&mut self, party: &Party, order: &NewOrder) {
        let sent = self.place(party, order);
        assert!(sent.is_ok(), "refused: {}", sent.unwrap_err());
        self.desk.check().unwrap();
    }

    /// Alice sells and Bob buys `lots` at the mark: Alice is short, Bob long, Bob took.
    #[track_caller]
    pub fn trade(&mut self, lots: u64) {
        let (alice, bob) = (self.alice, self.bob);
        self.accept(&alice, &ask(MARK, lots).build());
        self.accept(&bob, &bid(MARK, lots).immediate_or_cancel().build());
    }

    /// Terms of a session that may do everything in every market for a day, without limits.
    pub fn terms(&self) -> SessionTerms {
        let end = UnixSeconds::new(self.desk.chain.unix_seconds() + 86_400);
        let all = Action::ALL.iter().map(|action| action.bit()).sum();
        SessionTerms::new(u32::MAX, all, end, [QuoteAtoms::MAX; 3])
    }

    /// `Deposit`.
    pub fn deposit(&self, party: &Party, atoms: u64) -> Instruction {
        self.desk.venue.deposit(&party.trader, party.tokens, QuoteAtoms::new(atoms))
    }

    /// `Withdraw`.
    pub fn withdraw(&self, party: &Party, atoms: u64) -> Instruction {
        self.desk.venue.withdraw(&party.trader, party.tokens, QuoteAtoms::new(atoms))
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: i64) {
        let then = self.desk.chain.unix_millis() + seconds * 1_000;
        self.desk.chain.advance_to(then);
    }
}

/// A buy.
pub const fn bid(price: u32, lots: u64) -> Ticket {
    Ticket::of(Side::Bid, Ticks::new(price), Lots::new(lots))
}

/// A sell.
pub const fn ask(price: u32, lots: u64) -> Ticket {
    Ticket::of(Side::Ask, Ticks::new(price), Lots::new(lots))
}

/// A fresh owner with a trading account that holds [`CAPITAL`], and [`POCKET`] outside.
pub fn party(desk: &mut Desk, sub_account: u16) -> Party {
    let owner = desk.name(b"owner");
    party_of(desk, owner, sub_account)
}

/// Another trading account of `owner`, funded the same way.
pub fn party_of(desk: &mut Desk, owner: Address, sub_account: u16) -> Party {
    let (trader, spent) = desk.open(owner, sub_account, CAPITAL).unwrap();
    let mint = desk.venue.mint;
    desk.chain.create_token_account(spent, &mint, &owner, POCKET).unwrap();
    Party { trader, tokens: spent }
}

/// Accounts for one more exchange on the same chain, not yet created: blank ledger, empty vault.
pub fn blank_venue(desk: &mut Desk, id: u64) -> Venue {
    let venue = Venue {
        program: PROGRAM,
        exchange: address::exchange(&PROGRAM, id),
        ledger: desk.name(b"other ledger"),
        vault: desk.name(b"other vault"),
        mint: desk.venue.mint,
    };
    let authority = address::vault_authority(&PROGRAM, &venue.ledger);
    desk.chain.create_token_account(venue.vault, &venue.mint, &authority, 0).unwrap();
    desk.chain.create_account(venue.ledger, ledger_size(EVENTS, 48), PROGRAM).unwrap();
    venue
}

/// An exchange beside the scene's.
#[derive(Clone, Debug)]
pub struct Other {
    /// Its addresses.
    pub venue: Venue,
    /// Its markets.
    pub markets: Vec<Market>,
}

/// Creates one more exchange on the same chain and runs `build` on it, as if it were the desk's own.
pub fn beside<T>(desk: &mut Desk, id: u64, admin: Address, build: impl FnOnce(&mut Desk) -> T) -> (Other, T) {
    beside_with(desk, id, admin, &POLICY, build)
}

/// The same with another policy.
pub fn beside_with<T>(
    desk: &mut Desk,
    id: u64,
    admin: Address,
    policy: &Policy,
    build: impl FnOnce(&mut Desk) -> T,
) -> (Other, T) {
    let venue = blank_venue(desk, id);
    desk.chain.send(venue.create_exchange(admin, id, EVENTS, policy)).unwrap();
    let own = (desk.venue, desk.admin, std::mem::take(&mut desk.markets));
    (desk.venue, desk.admin) = (venue, admin);
    let built = build(desk);
    let markets = std::mem::replace(&mut desk.markets, own.2);
    (desk.venue, desk.admin) = (own.0, own.1);
    (Other { venue, markets }, built)
}

/// Changes a token account in place.
pub fn edit_token(chain: &mut Chain, address: Address, edit: impl FnOnce(&mut TokenAccount)) {
    edit_account(chain, address, |account| {
        let mut token = TokenAccount::unpack_unchecked(&account.data).unwrap();
        edit(&mut token);
        TokenAccount::pack_into_slice(&token, &mut account.data);
    });
}

/// Marks a trading account bankrupt, as a failed liquidation would.
pub fn mark_bankrupt(desk: &mut Desk, trader: &Trader) {
    let ledger = desk.venue.ledger;
    patch(&mut desk.chain, ledger, LEDGER.cell(trader.cell).start + BANKRUPT, &[1]);
    let count = read::header(desk).bankrupts + 1;
    patch(&mut desk.chain, ledger, offset_of!(LedgerHeader, bankrupts), &count.to_le_bytes());
}

/// Where a trader cell keeps whether it is bankrupt.
const BANKRUPT: usize = 86;

/// Lets `delegate` trade for a trader; the trader as the delegate names it.
pub fn delegate(desk: &mut Desk, trader: &Trader, delegate: Address) -> Trader {
    desk.chain.send(desk.venue.set_delegate(trader, Some(delegate))).unwrap();
    Trader { authority: delegate, ..*trader }
}

/// Changes an account in place.
pub fn edit_account(chain: &mut Chain, address: Address, edit: impl FnOnce(&mut Account)) {
    let mut account = chain.account(&address).unwrap_or_default();
    edit(&mut account);
    chain.set_account(address, account).unwrap();
}

/// Changes the bytes at `offset` of an account.
pub fn patch(chain: &mut Chain, address: Address, offset: usize, bytes: &[u8]) {
    edit_account(chain, address, |account| account.data[offset..offset + bytes.len()].copy_from_slice(bytes));
}

/// The trading account of `owner`, as stored.
pub fn find(desk: &Desk, owner: &Address, sub_account: u16) -> Option<Trader> {
    view::find_trader(&desk.ledger_view().unwrap(), owner, sub_account)
}

/// The Token-2022 program.
pub const TOKEN_2022: Address = Address::from_str_const("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb");

/// Changes bytes of a market's row in the ledger, as another listing would have set them.
pub fn patch_row(desk: &mut Desk, market: usize, offset: usize, bytes: &[u8]) {
    let start = LedgerMap::row(market).start;
    patch(&mut desk.chain, desk.venue.ledger, start + offset, bytes);
}
