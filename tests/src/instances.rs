//! A valid instruction of every kind, all on one chain, and what each of their accounts stands for: what the matrices
//! of wrong accounts and wrong data start from.

use crate::{
    read,
    scene::{self, EVENTS, MARK, Other, PICO, PRICE, Party, SIDE, Scene, ask, bid, blank_venue, patch},
};
use quantdesk_client::{
    Address, Tag, address,
    engine::{
        Lots, MarketIndex, Ppm, QuoteAtoms, Side, Ticks, UnixSeconds,
        book::{Quote, Replacement, Sides},
        governance::{
            CRITICAL_DELAY_MIN,
            guard::Tightening,
            mode::Mode,
            parameter::Parameter,
            queue::{Change, ChangeQueue},
            role,
        },
        risk::{
            life::MarginParameters,
            listing::{ListingParameters, TierParameters},
        },
        state::{Exchange, MarketHeader, MarketStatus, ledger::Policy, market::market_size},
    },
    instruction::{BookGuard, Target, Venue},
    ladder::LadderTicket,
    trigger::TriggerTicket,
};
use quantdesk_sim::{
    chain::{Chain, PROGRAM},
    desk::{Desk, MarketSpec, POLICY, Sources},
};
use solana_instruction::Instruction;
use std::mem::offset_of;

/// What an instruction expects of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Signs.
    Signer,
    /// Signs and pays or is paid rent.
    Payer,
    /// Address of an exchange that does not exist yet.
    NewExchange,
    /// Blank account for a ledger.
    BlankLedger,
    /// Blank account for a market.
    BlankMarket,
    /// Live exchange.
    Exchange,
    /// Live ledger.
    Ledger,
    /// Live market.
    Market,
    /// Live market that is only read.
    MarketRead,
    /// Stake in the protection pool.
    Stake,
    /// Address of a session that does not exist yet.
    NewSession,
    /// Live session.
    Session,
    /// Token account outside.
    Tokens,
    /// Vault.
    Vault,
    /// Mint.
    Mint,
    /// Authority over the vault.
    Authority,
    /// System program.
    System,
    /// SPL Token program.
    TokenProgram,
    /// Sysvar that shows all instructions of the transaction.
    InstructionsSysvar,
    /// Pyth price update.
    Pyth,
    /// Switchboard feed.
    Switchboard,
}

/// A valid instruction.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its kind.
    pub tag: Tag,
    /// Its accounts' roles, in order.
    pub roles: Vec<Role>,
    /// Accounts and data.
    pub instruction: Instruction,
}

/// The chain that all instances are valid on.
pub struct World {
    /// Exchange with Alice and Bob, who hold positions, orders and stake. Bob's dead-man switch and newest order have run
    /// out.
    pub scene: Scene,
    /// A trader without anything.
    pub carol: Party,
    /// Another trading account of Alice's, with a taker that has waited long enough.
    pub second: Party,
    /// Below two thirds of maintenance margin, with an order.
    pub dora: Party,
    /// Without equity.
    pub erin: Party,
    /// Token account of the admin.
    pub admin_tokens: Address,
    /// Accounts for an exchange that does not exist yet.
    pub blank: Venue,
    /// Account for a market that is not listed yet.
    pub blank_market: Address,
    /// Account of a market whose listing, change number 1, has waited long enough. Number 2 is of a parameter.
    pub proposed_market: Address,
    /// Another exchange of the same admin. Its traders have the same cells and incarnations, and other owners.
    pub sister: Other,
    /// An exchange of somebody else.
    pub stranger: Other,
    /// Another exchange of the same admin that is not sealed, with a market.
    pub unsealed: Other,
    /// An exchange in which a withdrawal waits and is due, and the token account it goes to.
    pub waiting: (Other, Address),
    /// A stake of Alice's in another ledger's pool.
    pub foreign_stake: Address,
    /// Keys of a session of Alice's, of one of Bob's, and one without.
    pub keys: [Address; 3],
    /// A session of Alice's in another ledger.
    pub foreign_session: Address,
    /// Another mint.
    pub mint: Address,
    /// An account with the bytes of an instructions sysvar, which show another transaction.
    pub spoofed_sysvar: Address,
}

/// Number of the exchange that [`Tag::CreateExchange`] creates.
pub const NEW_ID: u64 = 9;

/// A market that is settled and empty.
pub const OVER: usize = 1;
/// A market that is settled and holds positions of Alice and Bob.
pub const HELD: usize = 2;
/// A market that never had a price and may be settled.
pub const LATE: usize = 3;

/// Price at which Dora and Erin bought, in ticks: 6% above what it is in the end.
const BOUGHT_AT: u32 = 212_000;
/// Longer than a price has to be dead for a market to be settled.
const ABANDONED: i64 = 87_002;
/// Longer than a settled market's positions have to wait.
const GRACE: i64 = 3_601;
/// Hardly anything leaves at once.
const SLOW: Policy =
    Policy { outflow_rate: Ppm::new(1_000), outflow_floor: QuoteAtoms::new(1), queue_seconds: 3_600, ..POLICY };

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Builds it.
    pub fn new() -> Self {
        let mut scene = first_day();
        let carol = empty_party(&mut scene);
        let second = scene::party_of(&mut scene.desk, scene.alice.trader.authority, 1);
        let [dora, erin] = losers(&mut scene);
        hold_and_stake(&mut scene);
        let admin = scene.desk.admin;
        let waiting = queued(&mut scene, admin);
        scene.desk.chain.send(scene.desk.venue.heartbeat(&scene.bob.trader, 5)).unwrap();
        later(&mut scene);
        let (alice, bob) = (scene.alice, scene.bob);
        scene.trade(1_000);
        let set = scene.set_ladder(&alice, &ladder(&alice).wanted(1));
        scene.desk.chain.send(set).unwrap();
        scene.accept(&alice, &bid(MARK - 10, 5).client_id(1).build());
        scene.accept(&bob, &ask(MARK + 10, 5).client_id(1).build());
        // Due, and becomes an order that rests.
        let due = TriggerTicket::take_profit(Side::Bid, Ticks::new(2 * MARK)).limit(Ticks::new(MARK - 30));
        let due = due.lots(Lots::new(5)).client_id(1).build();
        let market = scene.market();
        scene.desk.chain.send(scene.desk.venue.place_trigger(&alice.trader, &market, &due, UnixSeconds::ZERO)).unwrap();
        let soon = UnixSeconds::new(scene.desk.chain.unix_seconds() + 1);
        scene.accept(&bob, &ask(MARK + 20, 5).expires_at(soon).build());
        make_wait(&mut scene, &second);
        let admin_tokens = scene.desk.fund(&admin, 0).unwrap();
        let blank = blank_venue(&mut scene.desk, NEW_ID);
        let (blank_market, mint) = (scene.desk.name(b"market"), scene.desk.name(b"mint"));
        let parameters = scene.desk.markets[0].parameters;
        let size = market_size(parameters.side_capacity, parameters.events_capacity);
        scene.desk.chain.create_account(blank_market, size, PROGRAM).unwrap();
        scene.desk.chain.create_mint(mint, 6).unwrap();
        let proposed_market = proposed(&mut scene, size);
        let somebody = scene.desk.name(b"somebody");
        scene.desk.chain.give_lamports(carol.trader.authority, 1 << 40).unwrap();
        let [sister, stranger] = [(2, admin), (3, somebody)].map(|(id, admin)| {
            scene.desk.chain.give_lamports(admin, 1 << 40).unwrap();
            beside(&mut scene, id, admin)
        });
        let unsealed = scene::beside(&mut scene.desk, 5, admin, |desk| desk.list(&scene::sol()).unwrap()).0;
        let propose = unsealed.venue.rotate_role(admin, role::Role::Lister, &dora.trader.authority);
        scene.desk.chain.send(propose).unwrap();
        let foreign_stake = foreign_stake(&mut scene, &sister);
        let spoofed_sysvar = spoofed_sysvar(&mut scene.desk);
        let keys = [scene.desk.name(b"key"), scene.desk.name(b"key"), scene.desk.name(b"key")];
        let foreign_session = sessions(&mut scene, &keys, &sister);
        scene.wait(5);
        scene.desk.set_price(0, PRICE + PRICE / 1_000).unwrap();
        scene.desk.publish(0, PRICE, 0).unwrap();
        Self {
            scene,
            carol,
            second,
            dora,
            erin,
            admin_tokens,
            blank,
            blank_market,
            proposed_market,
            sister,
            stranger,
            unsealed,
            waiting,
            foreign_stake,
            keys,
            foreign_session,
            mint,
            spoofed_sysvar,
        }
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.scene.desk.chain
    }

    /// One of every kind, in the order of tags.
    pub fn instances(&self) -> Vec<Instance> {
        Tag::ALL.iter().map(|tag| self.instance(*tag)).collect()
    }

    fn instance(&self, tag: Tag) -> Instance {
        let (roles, instruction) = match tag.byte() {
            0..20 => self.administration(tag),
            20..40 => self.collateral(tag),
            40..60 => self.trading(tag),
            60..80 => self.cranks(tag),
            80..100 => self.ladder(tag),
            _ => self.pool(tag),
        };
        assert_eq!(roles.len(), instruction.accounts.len());
        Instance { tag, roles, instruction }
    }

    fn administration(&self, tag: Tag) -> (Vec<Role>, Instruction) {
        use Role::*;
        let desk = &self.scene.desk;
        let (venue, admin, listed) = (&desk.venue, desk.admin, &desk.markets[0]);
        let (roles, instruction) = match tag {
            Tag::CreateExchange => {
                let roles = vec![Payer, NewExchange, BlankLedger, Vault, Mint, Authority, System];
                return (roles, self.blank.create_exchange(admin, NEW_ID, EVENTS, &POLICY));
            }
            Tag::ListMarket => (
                vec![Signer, Exchange, Ledger, BlankMarket],
                self.unsealed.venue.list_market(admin, self.blank_market, &listed.parameters),
            ),
            Tag::ProposeChange => (
                vec![Signer, Exchange, Ledger, BlankMarket],
                venue.propose_listing(admin, self.blank_market, &listed.parameters),
            ),
            Tag::ExecuteChange => {
                return (vec![Exchange, Ledger, BlankMarket], venue.execute_change(1, Some(self.proposed_market)));
            }
            Tag::CancelChange => (vec![Signer, Exchange, Ledger], venue.cancel_change(admin, 2)),
            Tag::SealExchange => (vec![Signer, Exchange, Ledger], self.unsealed.venue.seal_exchange(admin)),
            Tag::GrowLedger => (vec![Payer, Exchange, Ledger, System], venue.grow_ledger(admin, 2)),
            Tag::CollectFees => (
                vec![Signer, Exchange, Ledger, Tokens, Vault, Authority, TokenProgram],
                venue.collect_fees(admin, self.admin_tokens, QuoteAtoms::new(3)),
            ),
            Tag::SetMarketStatus => {
                (vec![Signer, Exchange, Ledger], venue.set_market_status(admin, listed.index, MarketStatus::ReduceOnly))
            }
            Tag::SetMargin => {
                (vec![Signer, Exchange, Ledger], venue.set_margin(admin, &margin_of(listed.index, &listed.parameters)))
            }
            Tag::CloseMarket => {
                (vec![Payer, Exchange, Ledger, Market], venue.close_market(admin, &desk.markets[OVER].address))
            }
            Tag::Guard => {
                let wanted = Tightening::Mode { mode: Mode::CloseOnly, seconds: 60 };
                (vec![Signer, Exchange, Ledger], venue.guard(admin, &wanted))
            }
            Tag::RotateRole => (
                vec![Signer, Exchange, Ledger],
                venue.rotate_role(admin, role::Role::Lister, &self.carol.trader.authority),
            ),
            Tag::AcceptRole => (
                vec![Signer, Exchange, Ledger],
                self.unsealed.venue.accept_role(self.dora.trader.authority, role::Role::Lister),
            ),
            _ => unreachable!(),
        };
        ([roles, vec![InstructionsSysvar]].concat(), instruction)
    }

    fn collateral(&self, tag: Tag) -> (Vec<Role>, Instruction) {
        use Role::*;
        let (scene, alice) = (&self.scene, &self.scene.alice);
        let venue = &scene.desk.venue;
        match tag {
            Tag::OpenTrader => (vec![Signer, Ledger], venue.open_trader(alice.trader.authority, 5)),
            Tag::CloseTrader => (vec![Signer, Ledger], venue.close_trader(&self.carol.trader)),
            Tag::Deposit => (vec![Signer, Ledger, Tokens, Vault, TokenProgram], scene.deposit(alice, 3)),
            Tag::Withdraw => (vec![Signer, Ledger, Tokens, Vault, Authority, TokenProgram], scene.withdraw(alice, 3)),
            Tag::ProcessWithdrawQueue => {
                let (other, tokens) = &self.waiting;
                (vec![Ledger, Tokens, Vault, Authority, TokenProgram], other.venue.process_withdraw_queue(*tokens))
            }
            Tag::Heartbeat => (vec![Signer, Ledger], venue.heartbeat(&alice.trader, 60)),
            Tag::SetBuilderMax => (vec![Signer, Ledger], venue.set_builder_max(&alice.trader, 60)),
            Tag::SetReferrer => (vec![Signer, Ledger], venue.set_referrer(&alice.trader, target(&scene.bob))),
            Tag::SetDelegate => {
                (vec![Signer, Ledger], venue.set_delegate(&alice.trader, Some(scene.bob.trader.authority)))
            }
            Tag::OpenSession => {
                let terms = self.scene.terms();
                (vec![Payer, Ledger, NewSession, System], venue.open_session(&alice.trader, self.keys[2], &terms))
            }
            Tag::CloseSession => {
                (vec![Payer, Ledger, Session], venue.close_session(alice.trader.authority, &self.keys[0]))
            }
            Tag::SetFeeMax => (vec![Signer, Ledger], venue.set_fee_max(&alice.trader, Some(Ppm::new(500)))),
            Tag::SetWithdrawDelay => (vec![Signer, Ledger], venue.set_withdraw_delay(&alice.trader, 3_600)),
            Tag::AllowTarget => (vec![Signer, Ledger], venue.allow_target(&alice.trader, &alice.tokens, true)),
            Tag::TransferCash => {
                (vec![Signer, Ledger], venue.transfer_cash(&alice.trader, &self.second.trader, QuoteAtoms::new(3)))
            }
            _ => unreachable!(),
        }
    }

    fn trading(&self, tag: Tag) -> (Vec<Role>, Instruction) {
        let (scene, alice, market) = (&self.scene, &self.scene.alice, self.scene.market());
        if tag == Tag::MoveLadder {
            return (vec![Role::Signer, Role::Market], scene.move_ladder(alice, 2, MARK - 5));
        }
        let instruction = match tag {
            Tag::SetLadder => scene.set_ladder(alice, &ladder(alice).wanted(6)),
            Tag::PlaceOrder => scene.order(alice, &ask(MARK + 1, 7).client_id(2).build()),
            Tag::PlaceOrders => {
                let orders = [ask(MARK + 1, 7).client_id(2).build(), ask(MARK + 2, 7).client_id(3).build()];
                let venue = &scene.desk.venue;
                venue.place_orders(&alice.trader, &market, &orders, UnixSeconds::ZERO, &BookGuard::default())
            }
            Tag::CancelOrder => {
                let (node, sequence) = read::handles(&scene.desk, &alice.trader, 0)[0];
                scene.desk.venue.cancel_order(&alice.trader, &market, node, sequence)
            }
            Tag::CancelAll => scene.desk.venue.cancel_all(&alice.trader, &market, Sides::Both, 9),
            Tag::CancelOrders => {
                let handle = read::handles(&scene.desk, &alice.trader, 0)[0];
                scene.desk.venue.cancel_orders(&alice.trader, &market, &[handle; 2])
            }
            Tag::ReplaceQuotes => {
                let quotes = [Quote::new(Side::Ask, Ticks::new(MARK + 7), Lots::new(5))];
                let (expires_at, sides) = (UnixSeconds::ZERO, Some(Sides::Asks));
                let wanted = Replacement { sequence: 5, sides, expires_at, quotes: &quotes };
                scene.desk.venue.replace_quotes(&alice.trader, &market, &wanted, UnixSeconds::ZERO)
            }
            Tag::PlaceTrigger => {
                let stop =
                    TriggerTicket::stop(Side::Bid, Ticks::new(MARK + 50)).lots(Lots::new(5)).client_id(2).build();
                scene.desk.venue.place_trigger(&alice.trader, &market, &stop, UnixSeconds::ZERO)
            }
            Tag::CancelTrigger => {
                let handle = read::triggers(&scene.desk, &alice.trader, 0)[0].0;
                scene.desk.venue.cancel_trigger(&alice.trader, &market, handle)
            }
            Tag::CancelByClientId => scene.desk.venue.cancel_by_client_id(&alice.trader, &market, 1),
            Tag::AmendOrder => {
                let handle = read::handles(&scene.desk, &alice.trader, 0)[0];
                let (price, lots) = (Ticks::new(MARK - 10), Lots::new(3));
                scene.desk.venue.amend_order(&alice.trader, &market, handle, price, lots)
            }
            _ => unreachable!(),
        };
        (vec![Role::Signer, Role::Market, Role::Ledger], instruction)
    }

    fn cranks(&self, tag: Tag) -> (Vec<Role>, Instruction) {
        use Role::*;
        let desk = &self.scene.desk;
        let (venue, listed) = (&desk.venue, &desk.markets[0]);
        match tag {
            Tag::UpdatePrice => (
                vec![Exchange, Ledger, MarketRead, Pyth, Switchboard],
                venue.update_price(&listed.address, listed.index, &listed.feeds),
            ),
            Tag::SettleMarket => (vec![Market, Ledger], venue.settle_market(&desk.markets[LATE].address)),
            Tag::SettleMarketPosition => (
                vec![Market, Ledger],
                venue.settle_market_position(
                    &desk.markets[HELD].address,
                    target(&self.scene.bob),
                    target(&self.scene.alice),
                ),
            ),
            Tag::Sweep => (vec![Ledger], venue.sweep(9)),
            Tag::EnforceDeadman => {
                (vec![Market, Ledger], venue.enforce_deadman(&self.scene.market(), target(&self.scene.bob), 9))
            }
            Tag::RunDelayed => (vec![Market, Ledger], venue.run_delayed(&self.scene.market(), 9)),
            Tag::ExecuteTriggers => {
                let handle = read::triggers(desk, &self.scene.alice.trader, 0)[0].0;
                let (keeper, market) = (&self.scene.alice.trader, self.scene.market());
                (vec![Signer, Market, Ledger], venue.execute_triggers(keeper, &market, &[handle]))
            }
            Tag::DropExpired => {
                let handle = read::handles(desk, &self.scene.bob.trader, 0)[0];
                (vec![Market, Ledger], venue.drop_expired(&self.scene.market(), &[handle]))
            }
            _ => unreachable!(),
        }
    }

    fn ladder(&self, tag: Tag) -> (Vec<Role>, Instruction) {
        use Role::*;
        let (desk, keeper, market) = (&self.scene.desk, &self.scene.alice.trader, self.scene.market());
        let (dora, erin) = (target(&self.dora), target(&self.erin));
        match tag {
            Tag::CancelForRisk => (vec![Market, Ledger], desk.venue.cancel_for_risk(&market, dora, 9)),
            Tag::Liquidate => (vec![Signer, Market, Ledger], desk.venue.liquidate(keeper, &market, dora, 9)),
            Tag::TakeOver => {
                (vec![Signer, Market, Ledger], desk.venue.take_over(keeper, &market, dora, Lots::new(100)))
            }
            Tag::AbsorbShortfall => (vec![Ledger], desk.venue.absorb_shortfall(desk.markets[0].index, erin)),
            Tag::Deleverage => (vec![Market, Ledger], desk.venue.deleverage(&market, erin, 9)),
            _ => unreachable!(),
        }
    }

    fn pool(&self, tag: Tag) -> (Vec<Role>, Instruction) {
        use Role::*;
        let (venue, alice) = (&self.scene.desk.venue, &self.scene.alice.trader);
        match tag {
            Tag::StakePool => (vec![Payer, Ledger, Stake, System], venue.stake_pool(alice, QuoteAtoms::new(3))),
            Tag::RequestUnstake => (vec![Signer, Ledger, Stake], venue.request_unstake(alice, 3)),
            Tag::Unstake => (vec![Signer, Ledger, Stake], venue.unstake(alice)),
            Tag::FundPool => (vec![Signer, Ledger], venue.fund_pool(alice, QuoteAtoms::new(3))),
            _ => unreachable!(),
        }
    }
}

/// An account as a step of the ladder names it.
pub const fn target(party: &Party) -> Target {
    Target { trader: party.trader.cell, generation: party.trader.generation }
}

/// A level a side, far from the mark.
fn ladder(party: &Party) -> LadderTicket {
    let ticket = LadderTicket::new(&party.trader.authority, MARK);
    ticket.side(Side::Bid, MARK, 5, &[(90, 5)]).side(Side::Ask, MARK, 5, &[(90, 5)])
}

/// What the market was listed with, as parameters of `SetMargin`.
fn margin_of(market: MarketIndex, listed: &ListingParameters) -> MarginParameters {
    let tiers: [TierParameters; 6] = listed.tiers;
    MarginParameters::new(market, listed.maintenance, 86_400, tiers, listed.tiers_len)
}

/// SOL at [`BOUGHT_AT`], the other markets, Alice and Bob.
fn first_day() -> Scene {
    let mut desk = scene::small_desk();
    desk.list(&scene::sol()).unwrap();
    desk.set_price(0, u64::from(BOUGHT_AT) * PICO / 1_000).unwrap();
    for symbol in ["OVER-PERP", "HELD-PERP", "LATE-PERP"] {
        let spec = MarketSpec { symbol: symbol.into(), sources: Sources::Pyth, ..scene::btc() };
        assert_eq!(spec.side_capacity, SIDE);
        desk.list(&spec).unwrap();
    }
    desk.set_price(HELD, 100_000 * PICO).unwrap();
    let (alice, bob) = (scene::party(&mut desk, 0), scene::party(&mut desk, 0));
    for owner in [alice.trader.authority, bob.trader.authority] {
        desk.chain.give_lamports(owner, 1 << 40).unwrap();
    }
    Scene { desk, alice, bob }
}

/// Dora with some capital and a far bid, and Erin with hardly any buy one SOL each at the first price.
fn losers(scene: &mut Scene) -> [Party; 2] {
    let [dora, erin, house] = [14_000_000, 10_800_000, scene::CAPITAL].map(|atoms| {
        let owner = scene.desk.name(b"owner");
        let (trader, tokens) = scene.desk.open(owner, 0, atoms).unwrap();
        Party { trader, tokens }
    });
    for buyer in [dora, erin] {
        scene.accept(&house, &ask(BOUGHT_AT, 1_000).build());
        scene.accept(&buyer, &bid(BOUGHT_AT, 1_000).immediate_or_cancel().build());
    }
    scene.accept(&dora, &bid(150_000, 10).build());
    [dora, erin]
}

/// Positions of Alice and Bob in the market that will be settled, and their stakes.
fn hold_and_stake(scene: &mut Scene) {
    let (alice, bob) = (scene.alice, scene.bob);
    for (party, order) in [(alice, ask(1_000_000, 10).build()), (bob, bid(1_000_000, 10).immediate_or_cancel().build())]
    {
        scene.desk.place(&party.trader, HELD, &order).unwrap();
    }
    for party in [alice, bob] {
        let stake = scene.desk.venue.stake_pool(&party.trader, QuoteAtoms::new(10_000_000));
        scene.desk.chain.send(stake).unwrap();
    }
    scene.desk.chain.send(scene.desk.venue.request_unstake(&alice.trader, 4_000_000)).unwrap();
}

/// An exchange whose outflow is limited, with a withdrawal in its queue.
fn queued(scene: &mut Scene, admin: Address) -> (Other, Address) {
    scene.desk.chain.give_lamports(admin, 1 << 40).unwrap();
    let (other, party) = scene::beside_with(&mut scene.desk, 4, admin, &SLOW, |desk| scene::party(desk, 0));
    let withdraw = other.venue.withdraw(&party.trader, party.tokens, QuoteAtoms::new(scene::CAPITAL));
    scene.desk.chain.send(withdraw).unwrap();
    (other, party.tokens)
}

/// A day passes. Two markets are settled, and SOL arrives at its price.
fn later(scene: &mut Scene) {
    scene.wait(ABANDONED);
    for market in [OVER, HELD] {
        let address = scene.desk.markets[market].address;
        scene.desk.chain.send(scene.desk.venue.settle_market(&address)).unwrap();
    }
    scene.wait(GRACE);
    scene.desk.settle_price(0, PRICE).unwrap();
}

/// Proposes the first market once more, on an account of this size, as if that were three days ago, and another band.
fn proposed(scene: &mut Scene, size: usize) -> Address {
    let desk = &mut scene.desk;
    let address = desk.name(b"market");
    desk.chain.create_account(address, size, PROGRAM).unwrap();
    let (venue, admin, listed) = (desk.venue, desk.admin, desk.markets[0].clone());
    desk.chain.send(venue.propose_listing(admin, address, &listed.parameters)).unwrap();
    desk.chain.send(venue.propose_value(admin, Parameter::Band, listed.index, 120_000)).unwrap();
    let since = desk.chain.unix_seconds() - i64::from(CRITICAL_DELAY_MIN);
    let place = offset_of!(Exchange, changes) + offset_of!(ChangeQueue, entries) + offset_of!(Change, proposed_at);
    patch(&mut desk.chain, venue.exchange, place, &since.to_le_bytes());
    address
}

/// A copy of Alice's stake that names another ledger.
fn foreign_stake(scene: &mut Scene, other: &Other) -> Address {
    let desk = &mut scene.desk;
    let own = address::stake(&PROGRAM, &desk.venue.ledger, &scene.alice.trader.authority);
    let mut account = desk.chain.account(&own).unwrap();
    account.data[16..48].copy_from_slice(other.venue.ledger.as_array());
    let address = desk.name(b"stake");
    desk.chain.set_account(address, account).unwrap();
    address
}

/// One instruction of nobody's, as the sysvar would show it: the number of instructions, the offset of the first; it has no
/// account, the zero program, no data; the index of the running one.
fn spoofed_sysvar(desk: &mut Desk) -> Address {
    const SYSVAR: Address = Address::from_str_const("Sysvar1111111111111111111111111111111111111");
    let address = desk.name(b"spoofed sysvar");
    let bytes = [&[1, 0, 4, 0, 0, 0][..], &[0; 32], &[0, 0, 0, 0]].concat();
    desk.chain.create_account(address, bytes.len(), SYSVAR).unwrap();
    patch(&mut desk.chain, address, 0, &bytes);
    address
}

/// Sessions of Alice and Bob, and a copy of Alice's that names another ledger.
fn sessions(scene: &mut Scene, keys: &[Address; 3], other: &Other) -> Address {
    let terms = scene.terms();
    for (party, key) in [scene.alice, scene.bob].iter().zip(keys) {
        let open = scene.desk.venue.open_session(&party.trader, *key, &terms);
        scene.desk.chain.send(open).unwrap();
    }
    let desk = &mut scene.desk;
    let own = address::session(&PROGRAM, &desk.venue.ledger, &keys[0]);
    let mut account = desk.chain.account(&own).unwrap();
    account.data[16..48].copy_from_slice(other.venue.ledger.as_array());
    let address = desk.name(b"session");
    desk.chain.set_account(address, account).unwrap();
    address
}

fn empty_party(scene: &mut Scene) -> Party {
    let owner = scene.desk.name(b"owner");
    let (trader, tokens) = scene.desk.open(owner, 0, 0).unwrap();
    Party { trader, tokens }
}

/// An exchange with a market and three traders whose cells and incarnations are those of Alice, Bob and Carol.
fn beside(scene: &mut Scene, id: u64, admin: Address) -> Other {
    let (other, traders) = scene::beside(&mut scene.desk, id, admin, |desk| {
        let market = desk.list(&scene::sol()).unwrap();
        desk.set_price(market, PRICE).unwrap();
        [scene::party(desk, 0), scene::party(desk, 0), scene::party(desk, 0)]
    });
    assert_eq!(traders[0].trader.cell, scene.alice.trader.cell);
    assert_eq!(traders[0].trader.generation, scene.alice.trader.generation);
    other
}

/// From now on takers wait a slot in the first market, and the first one does.
fn make_wait(scene: &mut Scene, party: &Party) {
    let market = scene.market();
    patch(&mut scene.desk.chain, market, offset_of!(MarketHeader, taker_delay), &1u32.to_le_bytes());
    scene.accept(party, &bid(MARK + 10, 1).immediate_or_cancel().build());
    assert_eq!(scene.desk.market_view(0).unwrap().header.delayed_len, 1);
}
