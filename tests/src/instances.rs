//! A valid instruction of every kind, all on one chain, and what each of their accounts stands for: what the matrices
//! of wrong accounts and wrong data start from.

use crate::{
    read,
    scene::{self, EVENTS, MARK, Other, PRICE, Party, Scene, ask, bid, blank_venue},
};
use quantdesk_client::{
    Address, Tag,
    engine::{QuoteAtoms, book::Sides, state::market::market_size},
    instruction::Venue,
};
use quantdesk_sim::chain::{Chain, PROGRAM};
use solana_instruction::Instruction;

/// What an instruction expects of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Signs.
    Signer,
    /// Signs and pays rent.
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
    /// Exchange with Alice and Bob, who hold positions and orders.
    pub scene: Scene,
    /// A trader without anything.
    pub carol: Party,
    /// Token account of the admin.
    pub admin_tokens: Address,
    /// Accounts for an exchange that does not exist yet.
    pub blank: Venue,
    /// Account for a market that is not listed yet.
    pub blank_market: Address,
    /// Another exchange of the same admin. Its traders have the same cells and incarnations, and other owners.
    pub sister: Other,
    /// An exchange of somebody else.
    pub stranger: Other,
    /// Another mint.
    pub mint: Address,
}

/// Number of the exchange that [`Tag::CreateExchange`] creates.
pub const NEW_ID: u64 = 9;

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// Builds it.
    pub fn new() -> Self {
        let mut scene = Scene::new();
        let carol = empty_party(&mut scene);
        scene.trade(1_000);
        let (alice, bob) = (scene.alice, scene.bob);
        scene.accept(&alice, &bid(MARK - 10, 5).client_id(1).build());
        scene.accept(&bob, &ask(MARK + 10, 5).client_id(1).build());
        let admin = scene.desk.admin;
        let admin_tokens = scene.desk.fund(&admin, 0).unwrap();
        let blank = blank_venue(&mut scene.desk, NEW_ID);
        let (blank_market, mint) = (scene.desk.name(b"market"), scene.desk.name(b"mint"));
        let parameters = scene.desk.markets[0].parameters;
        let size = market_size(parameters.side_capacity, parameters.events_capacity);
        scene.desk.chain.create_account(blank_market, size, PROGRAM).unwrap();
        scene.desk.chain.create_mint(mint, 6).unwrap();
        let somebody = scene.desk.name(b"somebody");
        for payer in [bob.trader.authority, carol.trader.authority] {
            scene.desk.chain.give_lamports(payer, 1 << 40).unwrap();
        }
        let [sister, stranger] = [(2, admin), (3, somebody)].map(|(id, admin)| {
            scene.desk.chain.give_lamports(admin, 1 << 40).unwrap();
            beside(&mut scene, id, admin)
        });
        scene.desk.set_price(0, PRICE + PRICE / 1_000).unwrap();
        scene.desk.publish(0, PRICE, 0).unwrap();
        Self { scene, carol, admin_tokens, blank, blank_market, sister, stranger, mint }
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
        use Role::*;
        let (scene, alice) = (&self.scene, &self.scene.alice);
        let (venue, admin, market) = (&scene.desk.venue, scene.desk.admin, scene.market());
        let parameters = &scene.desk.markets[0].parameters;
        let atoms = QuoteAtoms::new(3);
        let trade = vec![Signer, Market, Ledger];
        let (roles, instruction) = match tag {
            Tag::CreateExchange => (
                vec![Payer, NewExchange, BlankLedger, Vault, Mint, Authority, System],
                self.blank.create_exchange(admin, NEW_ID, EVENTS),
            ),
            Tag::ListMarket => {
                (vec![Signer, Exchange, Ledger, BlankMarket], venue.list_market(admin, self.blank_market, parameters))
            }
            Tag::GrowLedger => (vec![Payer, Exchange, Ledger, System], venue.grow_ledger(admin, 2)),
            Tag::CollectFees => (
                vec![Signer, Exchange, Ledger, Tokens, Vault, Authority, TokenProgram],
                venue.collect_fees(admin, self.admin_tokens, atoms),
            ),
            Tag::OpenTrader => (vec![Signer, Ledger], venue.open_trader(alice.trader.authority, 5)),
            Tag::CloseTrader => (vec![Signer, Ledger], venue.close_trader(&self.carol.trader)),
            Tag::Deposit => (vec![Signer, Ledger, Tokens, Vault, TokenProgram], scene.deposit(alice, 3)),
            Tag::Withdraw => (vec![Signer, Ledger, Tokens, Vault, Authority, TokenProgram], scene.withdraw(alice, 3)),
            Tag::PlaceOrder => (trade, scene.order(alice, &ask(MARK + 1, 7).client_id(2).build())),
            Tag::CancelOrder => {
                let (node, sequence) = read::handles(&scene.desk, &alice.trader, 0)[0];
                (trade, venue.cancel_order(&alice.trader, &market, node, sequence))
            }
            Tag::CancelAll => (trade, venue.cancel_all(&alice.trader, &market, Sides::Both, 9)),
            Tag::UpdatePrice => {
                let feeds = &scene.desk.markets[0].feeds;
                (vec![Exchange, Ledger, Pyth, Switchboard], venue.update_price(scene.desk.markets[0].index, feeds))
            }
        };
        assert_eq!(roles.len(), instruction.accounts.len());
        Instance { tag, roles, instruction }
    }
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
