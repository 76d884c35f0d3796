//! The whole way through `solana-program-test`: a real bank, real signatures, and every account made by real
//! instructions, down to mint and token accounts. Only the oracles' accounts are written by hand.

use quantdesk_client::{
    Address, address,
    engine::{
        EngineError, MarketIndex, QuoteAtoms, Side, UnixSeconds, invariant,
        slab::ring,
        state::{CashEventKind, Exchange, TradeEventKind, ledger::ledger_size, market::market_size},
    },
    error::ProgramError,
    instruction::{TOKEN_PROGRAM, Trader, Venue},
    order::Ticket,
    view::{self, AccountBytes, key_of},
};
use quantdesk_engine::state::{LedgerView, MarketView, OracleSource};
use quantdesk_sim::{
    chain::{PROGRAM, program_file},
    desk::{MarketSpec, POLICY},
    oracle::{self, Reading},
};
use solana_instruction::{Instruction, error::InstructionError};
use solana_keypair::Keypair;
use solana_program_pack::Pack;
use solana_program_test::{BanksClientError, ProgramTest, ProgramTestContext, tokio};
use solana_signer::Signer;
use solana_system_interface::instruction as system;
use solana_transaction::{Transaction, TransactionError};
use spl_token_interface::{
    instruction as token,
    state::{Account as TokenAccount, Mint},
};

const EVENTS: u32 = 64;
const CELLS: u32 = 32;
const DEPOSIT: u64 = 1_000_000_000;
const PRICE: u64 = 200_000_000_000_000;

/// A bank with the program, and the keys of everybody in the story.
struct Bank {
    context: ProgramTestContext,
    admin: Keypair,
    ledger: Keypair,
    vault: Keypair,
    mint: Keypair,
    market: Keypair,
}

impl Bank {
    async fn start() -> Self {
        // `solana-program-test` looks for `<name>.so` in SBF_OUT_DIR, in tests/fixtures and in the current directory.
        let directory = std::path::absolute(program_file()).unwrap();
        std::env::set_current_dir(directory.parent().unwrap()).unwrap();
        let mut test = ProgramTest::default();
        test.prefer_bpf(true);
        // It turns logging on and writes past the test harness.
        log::set_max_level(log::LevelFilter::Off);
        test.add_program("quantdesk", PROGRAM, None);
        let context = test.start_with_context().await;
        let [admin, ledger, vault, mint, market] = std::array::from_fn(|_| Keypair::new());
        Self { context, admin, ledger, vault, mint, market }
    }

    fn venue(&self) -> Venue {
        Venue {
            program: PROGRAM,
            exchange: address::exchange(&PROGRAM, 1),
            ledger: self.ledger.pubkey(),
            vault: self.vault.pubkey(),
            mint: self.mint.pubkey(),
        }
    }

    async fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<(), BanksClientError> {
        let blockhash = self.context.get_new_latest_blockhash().await.unwrap();
        let payer = &self.context.payer;
        let all: Vec<&Keypair> = std::iter::once(payer).chain(signers.iter().copied()).collect();
        let transaction = Transaction::new_signed_with_payer(instructions, Some(&payer.pubkey()), &all, blockhash);
        self.context.banks_client.process_transaction(transaction).await
    }

    async fn bytes(&mut self, address: Address) -> AccountBytes {
        AccountBytes::new(&self.context.banks_client.get_account(address).await.unwrap().unwrap().data)
    }

    async fn tokens(&mut self, address: Address) -> u64 {
        TokenAccount::unpack(self.bytes(address).await.as_slice()).unwrap().amount
    }

    async fn now(&mut self) -> i64 {
        let clock: solana_clock::Clock = self.context.banks_client.get_sysvar().await.unwrap();
        clock.unix_timestamp
    }

    /// Creates an account of `owner` with rent.
    async fn create(&mut self, account: &Keypair, size: usize, owner: Address) -> Instruction {
        let rent = self.context.banks_client.get_rent().await.unwrap().minimum_balance(size);
        system::create_account(&self.context.payer.pubkey(), &account.pubkey(), rent, size as u64, &owner)
    }

    /// Creates a token account of `owner`.
    async fn token_account(&mut self, account: &Keypair, owner: &Address) {
        let create = self.create(account, TokenAccount::LEN, TOKEN_PROGRAM).await;
        let mint = self.mint.pubkey();
        let initialise = token::initialize_account3(&TOKEN_PROGRAM, &account.pubkey(), &mint, owner).unwrap();
        self.send(&[create, initialise], &[account]).await.unwrap();
    }

    /// Mint, vault, ledger and exchange.
    async fn create_exchange(&mut self) {
        let (admin, mint) = (self.admin.insecure_clone(), self.mint.insecure_clone());
        let (ledger, vault) = (self.ledger.insecure_clone(), self.vault.insecure_clone());
        let fund = system::transfer(&self.context.payer.pubkey(), &admin.pubkey(), 10_000_000_000);
        let create = self.create(&mint, Mint::LEN, TOKEN_PROGRAM).await;
        let initialise = token::initialize_mint2(&TOKEN_PROGRAM, &mint.pubkey(), &admin.pubkey(), None, 6).unwrap();
        self.send(&[fund, create, initialise], &[&mint]).await.unwrap();
        let venue = self.venue();
        self.token_account(&vault, &address::vault_authority(&PROGRAM, &venue.ledger)).await;
        // In one transaction, so that nobody else can take the blank ledger.
        let create = self.create(&ledger, ledger_size(EVENTS, CELLS), PROGRAM).await;
        let exchange = venue.create_exchange(admin.pubkey(), 1, EVENTS, &POLICY);
        self.send(&[create, exchange], &[&ledger, &admin]).await.unwrap();
    }

    /// A market with one Pyth source; returns the account its price is posted in.
    async fn list_market(&mut self) -> Address {
        let source = OracleSource::pyth(key_of(&Address::new_from_array([7; 32])));
        let mut spec = MarketSpec::sol();
        spec.side_capacity = 16;
        let parameters = spec.parameters(&[source]);
        let (market, admin) = (self.market.insecure_clone(), self.admin.insecure_clone());
        let size = market_size(parameters.side_capacity, parameters.events_capacity);
        let create = self.create(&market, size, PROGRAM).await;
        let list = self.venue().list_market(admin.pubkey(), market.pubkey(), &parameters);
        self.send(&[create, list], &[&market, &admin]).await.unwrap();

        let publish_time = self.now().await;
        let reading = Reading { price: PRICE, half_width: 0, publish_time, slot: 1 };
        let posted = Address::new_from_array([8; 32]);
        self.context.set_account(&posted, &oracle::account(&source, &reading).unwrap().into());
        posted
    }

    /// A trader with its deposit inside and as much outside.
    async fn open(&mut self, owner: &Keypair) -> (Trader, Address) {
        let (venue, admin, tokens) = (self.venue(), self.admin.insecure_clone(), Keypair::new());
        self.token_account(&tokens, &owner.pubkey()).await;
        let mint_to =
            token::mint_to(&TOKEN_PROGRAM, &venue.mint, &tokens.pubkey(), &admin.pubkey(), &[], 2 * DEPOSIT).unwrap();
        self.send(&[mint_to, venue.open_trader(owner.pubkey(), 3)], &[&admin, owner]).await.unwrap();
        let ledger = self.bytes(venue.ledger).await;
        let trader = view::find_trader(&ledger.ledger().unwrap(), &owner.pubkey(), 3).unwrap();
        let deposit = venue.deposit(&trader, tokens.pubkey(), QuoteAtoms::new(DEPOSIT));
        self.send(&[deposit], &[owner]).await.unwrap();
        (trader, tokens.pubkey())
    }
}

#[track_caller]
fn assert_refused(sent: Result<(), BanksClientError>, error: impl Into<ProgramError>) {
    let expected = TransactionError::InstructionError(0, InstructionError::Custom(error.into().code()));
    match sent {
        Err(BanksClientError::TransactionError(error)) => assert_eq!(error, expected),
        Err(BanksClientError::SimulationError { err, .. }) => assert_eq!(err, expected),
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

fn assert_traded(ledger: &LedgerView<'_>, market: &MarketView<'_>, seller: &Trader, buyer: &Trader) {
    let index = MarketIndex::new(0);
    assert_eq!(view::position_lots(ledger, seller, index), Ok(-30));
    assert_eq!(view::position_lots(ledger, buyer, index), Ok(30));
    // 30 lots at 200,000: $6; 500 ppm for the taker, 100 for the maker.
    let cash = |trader: &Trader| ledger.trader(trader.cell).unwrap().cash.get().get();
    assert_eq!((cash(seller), cash(buyer)), (DEPOSIT as i64 + 600, DEPOSIT as i64 - 3_000));
    assert_eq!(ledger.header.fees.get().get(), 2_400);
    assert_eq!(ledger.row(index).unwrap().open_interest.get(), 30);
    let asks = view::levels(market, Side::Ask, 9, UnixSeconds::ZERO);
    assert_eq!((asks.len(), asks[0].price.get(), asks[0].lots.get(), asks[0].orders), (1, 200_000, 20, 1));
    assert!(view::levels(market, Side::Bid, 9, UnixSeconds::ZERO).is_empty());
    let kinds: Vec<_> = ring::iter(market.events, market.header.events_written).map(|it| it.kind().unwrap()).collect();
    assert_eq!(kinds, [TradeEventKind::Placed, TradeEventKind::Filled]);
}

#[tokio::test]
async fn from_the_first_account_to_the_last_withdrawal() {
    let mut bank = Bank::start().await;
    bank.create_exchange().await;
    let venue = bank.venue();
    let exchange = bank.bytes(venue.exchange).await;
    assert_eq!(Exchange::load(exchange.as_slice()).unwrap().admin, key_of(&bank.admin.pubkey()));
    let posted = bank.list_market().await;
    let admin = bank.admin.insecure_clone();
    bank.send(&[venue.seal_exchange(admin.pubkey())], &[&admin]).await.unwrap();
    let market = bank.market.pubkey();
    let (alice, bob) = (Keypair::new(), Keypair::new());
    let (seller, sellers) = bank.open(&alice).await;
    let (buyer, buyers) = bank.open(&bob).await;
    assert_eq!((bank.tokens(venue.vault).await, bank.tokens(sellers).await), (2 * DEPOSIT, DEPOSIT));

    // Without a price no order is taken.
    let ledger = bank.bytes(venue.ledger).await;
    let row = *ledger.ledger().unwrap().row(MarketIndex::new(0)).unwrap();
    let sale = Ticket::limit(&row, Side::Ask, "200", "0.05").unwrap().build();
    let sale = venue.place_order(&seller, &market, &sale, UnixSeconds::ZERO);
    let sent = bank.send(std::slice::from_ref(&sale), &[&alice]).await;
    assert_refused(sent, EngineError::PriceNotValidForAction);
    bank.send(&[venue.update_price(&market, MarketIndex::new(0), &[posted])], &[]).await.unwrap();

    bank.send(&[sale], &[&alice]).await.unwrap();
    let purchase = Ticket::limit(&row, Side::Bid, "200.5", "0.03").unwrap().immediate_or_cancel().build();
    bank.send(&[venue.place_order(&buyer, &market, &purchase, UnixSeconds::ZERO)], &[&bob]).await.unwrap();
    let (ledger, book) = (bank.bytes(venue.ledger).await, bank.bytes(market).await);
    assert_traded(&ledger.ledger().unwrap(), &book.market().unwrap(), &seller, &buyer);

    // Margin of $6 at 5% stays in.
    let free = DEPOSIT - 3_000 - 300_000;
    let too_much = venue.withdraw(&buyer, buyers, QuoteAtoms::new(free + 1));
    assert_refused(bank.send(&[too_much], &[&bob]).await, EngineError::WithdrawExceedsAvailable);
    bank.send(&[venue.withdraw(&buyer, buyers, QuoteAtoms::new(free))], &[&bob]).await.unwrap();
    assert_eq!((bank.tokens(venue.vault).await, bank.tokens(buyers).await), (2 * DEPOSIT - free, DEPOSIT + free));

    let (ledger, book) = (bank.bytes(venue.ledger).await, bank.bytes(market).await);
    let (ledger, book) = (ledger.ledger().unwrap(), book.market().unwrap());
    invariant::check_all(&ledger, &[book], 2 * DEPOSIT - free).unwrap();
    let kinds: Vec<_> = ring::iter(ledger.events, ledger.header.events_written).map(|it| it.kind().unwrap()).collect();
    use CashEventKind::{
        Deposited, ExchangeCreated, ExchangeSealed, MarketListed, PriceUpdated, TraderOpened, Withdrawn,
    };
    let opened = [TraderOpened, Deposited];
    let founded = [ExchangeCreated, MarketListed, ExchangeSealed];
    let expected = [&founded[..], &opened, &opened, &[PriceUpdated, Withdrawn]].concat();
    assert_eq!(kinds, expected);
}
