//! The data of every instruction, wrong in every way: one exact code each, and nothing changed.

use quantdesk_client::{
    Refusal, Tag,
    engine::{
        CellIndex, EngineError,
        risk::listing::{ListingParameters, RiskParameters},
    },
    error::ProgramError,
};
use quantdesk_tests::{
    instances::{Instance, World},
    read, refused,
    snapshot::Snapshot,
};
use solana_instruction::Instruction;
use std::mem::offset_of;

/// Sends every variant to the world as it is; a refused transaction leaves the world for the next one.
struct Sender {
    world: World,
    before: Snapshot,
    cases: u32,
}

impl Sender {
    fn new() -> Self {
        let world = World::new();
        let before = Snapshot::of(world.chain());
        Self { world, before, cases: 0 }
    }

    #[track_caller]
    fn refuses(&mut self, instruction: Instruction, error: impl Into<ProgramError>) {
        refused(self.world.scene.desk.chain.send(instruction), error);
        self.before.unchanged(self.world.chain());
        self.cases += 1;
    }

    /// The instance with these bytes at `offset`.
    #[track_caller]
    fn refuses_bytes(&mut self, instance: &Instance, offset: usize, bytes: &[u8], error: impl Into<ProgramError>) {
        let mut instruction = instance.instruction.clone();
        instruction.data[offset..offset + bytes.len()].copy_from_slice(bytes);
        assert_ne!(instruction.data, instance.instruction.data, "{} at {offset}", instance.tag.name());
        self.refuses(instruction, error);
    }

    fn report(&self) {
        println!("{} cases", self.cases);
    }
}

/// Length of each instruction's data.
const fn length(tag: Tag) -> usize {
    match tag {
        Tag::CloseMarket | Tag::SealExchange | Tag::ProcessWithdrawQueue | Tag::SettleMarket | Tag::CloseSession => 8,
        Tag::RotateRole | Tag::SetDelegate | Tag::AllowTarget => 48,
        Tag::AcceptRole => 16,
        // With the instance's listing.
        Tag::ProposeChange => 728,
        Tag::ExecuteChange | Tag::CancelChange => 16,
        Tag::GrowLedger | Tag::CollectFees | Tag::SetMarketStatus | Tag::OpenTrader | Tag::CloseTrader => 16,
        Tag::Heartbeat | Tag::SetBuilderMax | Tag::SetFeeMax | Tag::SetWithdrawDelay => 16,
        Tag::OpenSession => 88,
        Tag::SetReferrer | Tag::Guard => 24,
        // With the instance's two orders.
        Tag::PlaceOrders => 104,
        Tag::CancelByClientId | Tag::CancelTrigger | Tag::EnforceDeadman => 24,
        Tag::PlaceTrigger => 96,
        Tag::AmendOrder => 40,
        // With the instance's one quote.
        Tag::ReplaceQuotes => 56,
        // With the instance's two levels.
        Tag::SetLadder => 128,
        Tag::MoveLadder => 32,
        // With the instance's handles, two and one.
        Tag::CancelOrders => 48,
        Tag::DropExpired | Tag::ExecuteTriggers => 32,
        Tag::CancelAll | Tag::UpdatePrice | Tag::Sweep | Tag::RunDelayed | Tag::Unstake => 16,
        Tag::Deposit | Tag::Withdraw | Tag::CancelOrder | Tag::StakePool | Tag::RequestUnstake | Tag::FundPool => 24,
        Tag::SettleMarketPosition | Tag::CancelForRisk | Tag::Liquidate | Tag::AbsorbShortfall | Tag::Deleverage => 24,
        Tag::TransferCash | Tag::TakeOver => 32,
        Tag::PlaceOrder => 80,
        Tag::CreateExchange | Tag::SetMargin => 120,
        Tag::ListMarket => 712,
    }
}

/// Bytes of each instruction that must be zero.
fn padding(tag: Tag) -> Vec<usize> {
    match tag {
        Tag::CreateExchange => {
            let tiers = (0..4).flat_map(|tier| 60 + tier * 16..64 + tier * 16);
            (20..24).chain(tiers).chain(116..120).collect()
        }
        Tag::SetBuilderMax => (14..16).collect(),
        // What a mode has not: a market and lots.
        Tag::Guard => (10..12).chain(16..24).collect(),
        Tag::SetDelegate => (12..16).collect(),
        Tag::OpenSession => (12..16).chain(53..56).collect(),
        Tag::AllowTarget => (13..16).collect(),
        Tag::PlaceOrders => (13..16).chain(65..68).chain(97..100).collect(),
        Tag::GrowLedger | Tag::CloseTrader | Tag::Deposit | Tag::Withdraw => (12..16).collect(),
        Tag::StakePool | Tag::RequestUnstake | Tag::Unstake | Tag::FundPool => (12..16).collect(),
        Tag::SetMarketStatus => (11..16).collect(),
        Tag::Sweep => (10..16).collect(),
        Tag::CancelByClientId => (12..16).collect(),
        Tag::AmendOrder => (36..40).collect(),
        Tag::ReplaceQuotes => (22..24).chain(53..56).collect(),
        Tag::SetLadder => (90..96).chain(108..112).chain(124..128).collect(),
        Tag::MoveLadder => (28..32).collect(),
        Tag::CancelOrders => (13..16).chain(20..24).chain(36..40).collect(),
        Tag::EnforceDeadman => (17..24).collect(),
        Tag::DropExpired => (9..16).chain(20..24).collect(),
        Tag::RunDelayed => (9..16).collect(),
        Tag::ExecuteTriggers => (13..16).chain(20..24).collect(),
        Tag::PlaceTrigger => (94..96).collect(),
        Tag::TransferCash | Tag::TakeOver | Tag::SetReferrer => (20..24).collect(),
        Tag::CancelForRisk => (17..24).collect(),
        Tag::Liquidate => (21..24).collect(),
        Tag::AbsorbShortfall | Tag::Deleverage => (18..24).collect(),
        Tag::CloseMarket | Tag::ProcessWithdrawQueue | Tag::SettleMarket | Tag::SettleMarketPosition => Vec::new(),
        Tag::RotateRole | Tag::AcceptRole => (9..16).collect(),
        Tag::SealExchange | Tag::ExecuteChange | Tag::CancelChange => Vec::new(),
        // Those of a listing, behind the proposal.
        Tag::ProposeChange => (20..24).chain(padding(Tag::ListMarket).into_iter().map(|place| place + 16)).collect(),
        Tag::SetMargin => {
            let tier = |number: usize| 24 + number * 16;
            let given = (0..3).flat_map(|number| tier(number) + 12..tier(number + 1));
            [11].into_iter().chain(20..24).chain(given).chain(tier(3)..tier(6)).collect()
        }
        Tag::OpenTrader | Tag::UpdatePrice => (10..16).collect(),
        Tag::PlaceOrder => [71].into_iter().chain(76..80).collect(),
        Tag::CancelAll => (14..16).collect(),
        Tag::CollectFees | Tag::CancelOrder | Tag::CancelTrigger | Tag::Heartbeat => Vec::new(),
        Tag::CloseSession | Tag::SetFeeMax | Tag::SetWithdrawDelay => Vec::new(),
        Tag::ListMarket => {
            let tier = |number: usize| 8 + offset_of!(ListingParameters, tiers) + number * 16;
            let source = |number: usize| 8 + offset_of!(ListingParameters, sources) + number * 104;
            let after_lengths = 8 + offset_of!(ListingParameters, taker_delay) + 1;
            // Three tiers and two sources are given.
            let given = (0..3).flat_map(|number| tier(number) + 12..tier(number + 1));
            let sources = (0..2).flat_map(|number| source(number) + 2..source(number) + 8);
            let unused = (tier(3)..tier(6)).chain(source(2)..source(4));
            (after_lengths..tier(0)).chain(given).chain(sources).chain(unused).collect()
        }
    }
}

/// Whether the instruction is about a trader.
const fn names_a_trader(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::CloseTrader
            | Tag::Deposit
            | Tag::Withdraw
            | Tag::TransferCash
            | Tag::PlaceOrder
            | Tag::CancelOrder
            | Tag::CancelAll
            | Tag::CancelOrders
            | Tag::CancelByClientId
            | Tag::AmendOrder
            | Tag::ReplaceQuotes
            | Tag::SetLadder
            | Tag::PlaceOrders
            | Tag::PlaceTrigger
            | Tag::CancelTrigger
            | Tag::ExecuteTriggers
            | Tag::Heartbeat
            | Tag::SetBuilderMax
            | Tag::SetReferrer
            | Tag::SetDelegate
            | Tag::OpenSession
            | Tag::SetFeeMax
            | Tag::SetWithdrawDelay
            | Tag::AllowTarget
            | Tag::Liquidate
            | Tag::TakeOver
            | Tag::StakePool
            | Tag::RequestUnstake
            | Tag::Unstake
            | Tag::FundPool
    )
}

/// Where the incarnation of the trader in the head stands.
const fn generation_of(tag: Tag) -> usize {
    if matches!(tag, Tag::ReplaceQuotes | Tag::SetLadder) { 16 } else { 8 }
}

/// Where the instruction names other accounts, by cell and incarnation.
const fn targets_of(tag: Tag) -> &'static [usize] {
    match tag {
        Tag::SettleMarketPosition => &[8, 16],
        Tag::CancelForRisk | Tag::AbsorbShortfall | Tag::Deleverage => &[8],
        Tag::EnforceDeadman => &[8],
        Tag::TransferCash | Tag::SetReferrer | Tag::Liquidate | Tag::TakeOver => &[12],
        _ => &[],
    }
}

#[test]
fn lengths_are_exact() {
    let mut sender = Sender::new();
    for instance in sender.world.instances() {
        let data = &instance.instruction.data;
        assert_eq!(data.len(), length(instance.tag), "{}", instance.tag.name());
        for len in 0..data.len() {
            let instruction = Instruction { data: data[..len].to_vec(), ..instance.instruction.clone() };
            sender.refuses(instruction, Refusal::DataLength);
        }
        for surplus in [1, 2, 7, 8, 400] {
            let mut instruction = instance.instruction.clone();
            instruction.data.resize(data.len() + surplus, 0);
            sender.refuses(instruction, Refusal::DataLength);
        }
    }
    sender.report();
}

#[test]
fn tags_are_known() {
    let mut sender = Sender::new();
    let instances = sender.world.instances();
    for tag in (0..=255).filter(|byte| Tag::ALL.iter().all(|tag| tag.byte() != *byte)) {
        for instance in [&instances[0], &instances[7], &instances[13], &instances[20]] {
            sender.refuses_bytes(instance, 0, &[tag], Refusal::UnknownInstruction);
        }
        // Even without arguments and accounts.
        let mut instruction = instances[13].instruction.clone();
        instruction.data.truncate(8);
        instruction.data[0] = tag;
        instruction.accounts.clear();
        sender.refuses(instruction, Refusal::UnknownInstruction);
    }
    sender.report();
}

#[test]
fn heads_are_exact() {
    let mut sender = Sender::new();
    for instance in sender.world.instances() {
        for version in [0, 2, 3, 128, 255] {
            sender.refuses_bytes(&instance, 1, &[version], Refusal::DataVersion);
        }
        for bit in 0..16 {
            sender.refuses_bytes(&instance, 2, &(1u16 << bit).to_le_bytes(), Refusal::FieldInvalid);
        }
        let wrong = if names_a_trader(instance.tag) { no_traders(&sender.world) } else { [0, 1, 47, 48, u32::MAX - 1] };
        for cell in wrong {
            let bytes = cell.to_le_bytes();
            if names_a_trader(instance.tag) {
                sender.refuses_bytes(&instance, 4, &bytes, EngineError::TraderNotFound);
            } else {
                sender.refuses_bytes(&instance, 4, &bytes, Refusal::FieldInvalid);
            }
        }
    }
    sender.report();
}

/// A position's cell, one never used, two beyond the arena, nil.
fn no_traders(world: &World) -> [u32; 5] {
    let (position, _) = read::position(&world.scene.desk, &world.scene.bob.trader, 0).unwrap();
    [position.get(), 47, 48, u32::MAX - 1, u32::MAX]
}

#[test]
fn targets_are_live_incarnations() {
    let mut sender = Sender::new();
    let instances = sender.world.instances();
    let named = instances.iter().flat_map(|it| targets_of(it.tag).iter().map(move |place| (it, *place)));
    for (instance, place) in named {
        for cell in no_traders(&sender.world) {
            sender.refuses_bytes(instance, place, &cell.to_le_bytes(), EngineError::TraderNotFound);
        }
        let right = u32::from_le_bytes(instance.instruction.data[place + 4..place + 8].try_into().unwrap());
        for wrong in [0, right - 1, right + 1, u32::MAX] {
            sender.refuses_bytes(instance, place + 4, &wrong.to_le_bytes(), EngineError::TraderNotFound);
        }
    }
    sender.report();
}

#[test]
fn padding_is_zero() {
    let mut sender = Sender::new();
    for instance in sender.world.instances() {
        for place in padding(instance.tag) {
            for value in [1, 0x80, 0xff] {
                sender.refuses_bytes(&instance, place, &[value], Refusal::FieldInvalid);
            }
        }
    }
    sender.report();
}

#[test]
fn generations_are_the_cells() {
    let mut sender = Sender::new();
    for instance in sender.world.instances().iter().filter(|instance| names_a_trader(instance.tag)) {
        let at = generation_of(instance.tag);
        let right = u32::from_le_bytes(instance.instruction.data[at..at + 4].try_into().unwrap());
        for wrong in [0, right + 1, right + 1_000, u32::MAX].into_iter().chain(right.checked_sub(1)) {
            sender.refuses_bytes(instance, at, &wrong.to_le_bytes(), EngineError::TraderNotFound);
        }
    }
    sender.report();
}

/// Another trader's cell with its own incarnation: alive, but not the signer's.
#[test]
fn cells_of_other_owners() {
    let mut sender = Sender::new();
    let (alice, bob) = (sender.world.scene.alice.trader, sender.world.scene.bob.trader);
    for instance in sender.world.instances().iter().filter(|instance| names_a_trader(instance.tag)) {
        let victim = if instance.instruction.accounts[0].pubkey == bob.authority { alice } else { bob };
        let mut instruction = instance.instruction.clone();
        instruction.data[4..8].copy_from_slice(&victim.cell.get().to_le_bytes());
        let at = generation_of(instance.tag);
        instruction.data[at..at + 4].copy_from_slice(&victim.generation.get().to_le_bytes());
        sender.refuses(instruction, Refusal::NotAuthorized);
    }
    assert_ne!(bob.cell, CellIndex::NIL);
    sender.report();
}

/// One field of an instruction with values that must be refused.
struct Field {
    tag: Tag,
    offset: usize,
    bytes: usize,
    values: Vec<u64>,
    error: ProgramError,
}

fn field(tag: Tag, offset: usize, bytes: usize, values: impl Into<Vec<u64>>, error: impl Into<ProgramError>) -> Field {
    Field { tag, offset, bytes, values: values.into(), error: error.into() }
}

/// Every number and every byte with a meaning, outside of it.
fn fields() -> Vec<Field> {
    let after = |last: u64| (last + 1..=255).collect::<Vec<_>>();
    let large = [1 << 32, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];
    let past = [1, 1_000_000_000, 1 << 63, u64::MAX];
    vec![
        field(Tag::CreateExchange, 8, 8, [0, 1, 8, u64::MAX], Refusal::WrongAddress),
        field(
            Tag::CreateExchange,
            16,
            4,
            [0, 3, 63, 65, 1 << 16, 1 << 31, (1 << 32) - 1],
            EngineError::CapacityInvalid,
        ),
        field(Tag::CreateExchange, 24, 4, [0, 999, 1_000_001, (1 << 32) - 1], EngineError::PolicyInvalid),
        field(Tag::CreateExchange, 28, 4, [0, 3_599, 604_801, (1 << 32) - 1], EngineError::PolicyInvalid),
        field(Tag::CreateExchange, 40, 4, [1_000_001, (1 << 32) - 1], EngineError::PolicyInvalid),
        field(Tag::CreateExchange, 44, 4, [0, 86_399, 2_592_001, (1 << 32) - 1], EngineError::PolicyInvalid),
        field(Tag::GrowLedger, 8, 4, [0, 81, 1 << 16, (1 << 32) - 1], EngineError::CapacityInvalid),
        field(Tag::CollectFees, 8, 8, [0], EngineError::AmountZero),
        field(Tag::CollectFees, 8, 8, large, EngineError::WithdrawExceedsAvailable),
        field(Tag::Deposit, 16, 8, [0], EngineError::AmountZero),
        field(Tag::Deposit, 16, 8, [1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX], EngineError::DepositTooLarge),
        field(Tag::Withdraw, 16, 8, [0], EngineError::AmountZero),
        field(Tag::Withdraw, 16, 8, large, EngineError::WithdrawExceedsAvailable),
        field(Tag::PlaceOrder, 12, 4, [0, 4_000_001, 1 << 31, (1 << 32) - 1], EngineError::OrderPriceOutOfRange),
        field(Tag::PlaceOrder, 12, 4, [1, 179_999], EngineError::OrderOutsideBand),
        field(
            Tag::PlaceOrder,
            16,
            8,
            [vec![0, 10_000_000_001], large[1..].to_vec()].concat(),
            EngineError::OrderLotsOutOfRange,
        ),
        field(Tag::PlaceOrder, 24, 8, [1], EngineError::ClientIdInUse),
        field(Tag::PlaceOrder, 32, 8, past, EngineError::OrderExpired),
        field(Tag::PlaceOrder, 40, 8, past, Refusal::InstructionExpired),
        field(Tag::PlaceOrder, 66, 1, after(1), Refusal::FieldInvalid),
        field(Tag::PlaceOrder, 67, 1, after(6), Refusal::FieldInvalid),
        field(Tag::PlaceOrder, 72, 4, [1, 1 << 31, (1 << 32) - 1], Refusal::FieldInvalid),
        field(Tag::PlaceOrder, 68, 1, after(3), Refusal::FieldInvalid),
        field(Tag::PlaceOrder, 69, 1, after(1), Refusal::FieldInvalid),
        field(Tag::PlaceOrder, 70, 1, [0], EngineError::MatchLimitOutOfRange),
        field(Tag::CancelOrder, 12, 4, [2, 15, 16, 1 << 31, (1 << 32) - 1], EngineError::OrderNotFound),
        field(Tag::CancelOrder, 16, 8, [vec![0, 1], large.to_vec()].concat(), EngineError::OrderNotFound),
        field(Tag::CancelAll, 12, 1, after(2), Refusal::FieldInvalid),
        field(Tag::CancelAll, 13, 1, [0], Refusal::FieldInvalid),
        // More or fewer than there are.
        field(Tag::CancelOrders, 12, 1, [vec![0, 1], after(2)].concat(), Refusal::DataLength),
        field(Tag::DropExpired, 8, 1, [vec![0], after(1)].concat(), Refusal::DataLength),
        field(Tag::DropExpired, 16, 4, [14, 15, 16, 1 << 31, (1 << 32) - 1], EngineError::NothingToClose),
        field(Tag::DropExpired, 24, 8, [vec![0, 1], large.to_vec()].concat(), EngineError::NothingToClose),
        field(Tag::CancelByClientId, 16, 8, [vec![0, 2], large.to_vec()].concat(), EngineError::OrderNotFound),
        field(Tag::ReplaceQuotes, 20, 1, after(3), Refusal::FieldInvalid),
        field(Tag::ReplaceQuotes, 21, 1, [vec![0], (2..=16).collect()].concat(), Refusal::DataLength),
        field(Tag::ReplaceQuotes, 21, 1, after(16), Refusal::FieldInvalid),
        field(Tag::ReplaceQuotes, 24, 8, past, EngineError::OrderExpired),
        field(Tag::ReplaceQuotes, 32, 8, past, Refusal::InstructionExpired),
        field(Tag::ReplaceQuotes, 40, 8, [0, 10_000_000_001], EngineError::OrderLotsOutOfRange),
        field(Tag::ReplaceQuotes, 48, 4, [0, 4_000_001, 1 << 31, (1 << 32) - 1], EngineError::OrderPriceOutOfRange),
        field(Tag::ReplaceQuotes, 52, 1, after(1), Refusal::FieldInvalid),
        field(Tag::AmendOrder, 12, 4, [2, 15, 16, 1 << 31, (1 << 32) - 1], EngineError::OrderNotFound),
        field(Tag::AmendOrder, 16, 8, [vec![0, 1], large.to_vec()].concat(), EngineError::OrderNotFound),
        field(
            Tag::AmendOrder,
            24,
            8,
            [vec![0, 10_000_000_001], large[1..].to_vec()].concat(),
            EngineError::OrderLotsOutOfRange,
        ),
        field(Tag::AmendOrder, 32, 4, [0, 4_000_001, 1 << 31, (1 << 32) - 1], EngineError::OrderPriceOutOfRange),
        field(Tag::AmendOrder, 32, 4, [230_000, 4_000_000], EngineError::OrderOutsideBand),
        field(Tag::CancelTrigger, 12, 4, [0, 1, 1 << 31, (1 << 32) - 1], EngineError::TriggerNotFound),
        field(Tag::CancelTrigger, 16, 8, [vec![0, 1], large.to_vec()].concat(), EngineError::TriggerNotFound),
        field(Tag::ExecuteTriggers, 12, 1, [vec![0], after(1)].concat(), Refusal::DataLength),
        field(Tag::ExecuteTriggers, 16, 4, [0, 1, 1 << 31, (1 << 32) - 1], EngineError::NoTriggerDue),
        field(Tag::ExecuteTriggers, 24, 8, [vec![0, 1], large.to_vec()].concat(), EngineError::NoTriggerDue),
        field(Tag::Heartbeat, 12, 4, [1, 4, 86_401, 1 << 31, (1 << 32) - 1], Refusal::FieldInvalid),
        field(Tag::EnforceDeadman, 16, 1, [0], Refusal::FieldInvalid),
        field(Tag::RunDelayed, 8, 1, [0], Refusal::FieldInvalid),
        field(Tag::UpdatePrice, 8, 2, [1, 2, 3], Refusal::WrongAddress),
        field(Tag::UpdatePrice, 8, 2, [4, 31, 32, 255, 65_535], EngineError::MarketNotFound),
    ]
}

/// The same for ladders. Another quoter, middle or number means something.
fn ladder_fields() -> Vec<Field> {
    let after = |last: u64| (last + 1..=255).collect::<Vec<_>>();
    let past = [1, 1_000_000_000, 1 << 63, u64::MAX];
    let lots = [0, 10_000_000_001, u64::MAX];
    let prices = [0, 4_000_001, 1 << 31, (1 << 32) - 1];
    let counts = [vec![0], (2..=8).collect()].concat();
    let set = Tag::SetLadder;
    let mut fields = vec![
        field(set, 24, 8, past, Refusal::InstructionExpired),
        field(set, 80, 4, [230_000], EngineError::OrderOutsideBand),
        field(set, 84, 4, [1, 170_000], EngineError::OrderOutsideBand),
        field(Tag::MoveLadder, 20, 4, [1, 15, 16, 31, 32, 1 << 31, (1 << 32) - 1], EngineError::LadderNotFound),
        field(Tag::MoveLadder, 24, 4, [47, 1 << 31, (1 << 32) - 1], EngineError::LadderNotFound),
    ];
    fields.extend([64, 72, 96, 112].map(|offset| field(set, offset, 8, lots, EngineError::OrderLotsOutOfRange)));
    fields.extend([80, 84].map(|offset| field(set, offset, 4, prices, EngineError::OrderPriceOutOfRange)));
    fields.extend([88, 89].map(|offset| field(set, offset, 1, counts.clone(), Refusal::DataLength)));
    fields.extend([88, 89].map(|offset| field(set, offset, 1, after(8), Refusal::FieldInvalid)));
    fields
}

/// The same for fees, guards and orders in a batch.
fn fee_fields() -> Vec<Field> {
    let after = |last: u64| (last + 1..=255).collect::<Vec<_>>();
    let past = [1, 1_000_000_000, 1 << 63, u64::MAX];
    let most = u64::from(u32::MAX);
    let order = Tag::PlaceOrders;
    vec![
        // A volume without a discount, and the reverse.
        field(Tag::CreateExchange, 48, 8, [1, u64::MAX], EngineError::FeeScheduleInvalid),
        field(Tag::CreateExchange, 56, 4, [1, most], EngineError::FeeScheduleInvalid),
        field(Tag::CreateExchange, 112, 4, [500_001, most], EngineError::FeeScheduleInvalid),
        field(Tag::SetBuilderMax, 12, 2, [1_001, 65_535], Refusal::FieldInvalid),
        field(Tag::OpenSession, 48, 4, [0], EngineError::SessionInvalid),
        field(Tag::OpenSession, 52, 1, [vec![0], after(31)].concat(), EngineError::SessionInvalid),
        field(Tag::OpenSession, 56, 8, [vec![0], past.to_vec()].concat(), EngineError::SessionInvalid),
        field(Tag::SetWithdrawDelay, 12, 4, [2_592_001, 1 << 31, most], Refusal::FieldInvalid),
        field(Tag::AllowTarget, 12, 1, after(1), Refusal::FieldInvalid),
        field(Tag::AllowTarget, 12, 1, [0], EngineError::TargetNotFound),
        field(Tag::PlaceOrder, 48, 8, [1], EngineError::BookMoved),
        // Without a builder's incarnation, or without its cell, nobody is meant.
        field(Tag::PlaceOrder, 56, 4, [1, 47, 48, most], EngineError::BuilderNotFound),
        field(Tag::PlaceOrder, 60, 4, [1 << 31, most], EngineError::BuilderNotFound),
        field(Tag::PlaceOrder, 64, 2, [1, 1_000, 65_535], EngineError::BuilderFeeTooHigh),
        // More or fewer than there are.
        field(order, 12, 1, [vec![0, 1], after(2)].concat(), Refusal::DataLength),
        field(order, 16, 8, past, EngineError::OrderExpired),
        field(order, 24, 8, past, Refusal::InstructionExpired),
        field(order, 32, 8, [1], EngineError::BookMoved),
        field(order, 40, 8, [0, 10_000_000_001, u64::MAX], EngineError::OrderLotsOutOfRange),
        field(order, 48, 8, [1], EngineError::ClientIdInUse),
        field(order, 56, 4, [0, 4_000_001, most], EngineError::OrderPriceOutOfRange),
        field(order, 56, 4, [1, 179_999], EngineError::OrderOutsideBand),
        // That of the first one, which is placed by then.
        field(order, 80, 8, [1, 2], EngineError::ClientIdInUse),
        field(order, 88, 4, [0, 4_000_001, most], EngineError::OrderPriceOutOfRange),
        field(order, 60, 1, after(1), Refusal::FieldInvalid),
        field(order, 61, 1, after(6), Refusal::FieldInvalid),
        field(order, 68, 4, [1, 1 << 31, most], Refusal::FieldInvalid),
        field(order, 62, 1, after(3), Refusal::FieldInvalid),
        field(order, 95, 1, after(1), Refusal::FieldInvalid),
        field(order, 96, 1, [0], EngineError::MatchLimitOutOfRange),
    ]
}

/// The same for a conditional order.
fn trigger_fields() -> Vec<Field> {
    let after = |last: u64| (last + 1..=255).collect::<Vec<_>>();
    let large = [1 << 32, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];
    let past = [1, 1_000_000_000, 1 << 63, u64::MAX];
    let prices = [4_000_001, 1 << 31, (1 << 32) - 1];
    let tag = Tag::PlaceTrigger;
    let inconsistent = |offset: usize, bytes: usize, values: &[u64]| {
        field(tag, offset, bytes, values.to_vec(), EngineError::TriggerInvalid)
    };
    vec![
        inconsistent(12, 4, &[0]),
        field(tag, 12, 4, prices, EngineError::OrderPriceOutOfRange),
        inconsistent(16, 8, &[0]),
        field(tag, 16, 8, [vec![10_000_000_001], large[1..].to_vec()].concat(), EngineError::OrderLotsOutOfRange),
        field(tag, 24, 8, large[1..].to_vec(), EngineError::TriggerTipTooLarge),
        field(tag, 32, 8, [1], EngineError::ClientIdInUse),
        inconsistent(40, 8, &[1, 2, u64::MAX]),
        field(tag, 48, 8, past, EngineError::OrderExpired),
        field(tag, 56, 8, past, Refusal::InstructionExpired),
        inconsistent(64, 4, &[1, 100, (1 << 32) - 1]),
        inconsistent(68, 4, &[1, 200_000]),
        inconsistent(72, 4, &[1_000_001, (1 << 32) - 1]),
        inconsistent(76, 4, &[1, 1_000_000, 1_000_001]),
        inconsistent(84, 4, &[1, 86_400, 86_401]),
        inconsistent(88, 2, &[1, 2, 1_000, 65_535]),
        inconsistent(90, 1, &[2, 3]),
        field(tag, 90, 1, after(3), Refusal::FieldInvalid),
        field(tag, 91, 1, after(2), Refusal::FieldInvalid),
        field(tag, 92, 1, [1], EngineError::ReduceOnlyNothingToReduce),
        field(tag, 92, 1, after(1), Refusal::FieldInvalid),
        field(tag, 93, 1, after(1), Refusal::FieldInvalid),
    ]
}

/// The same for what came with the risk engine.
fn risk_fields() -> Vec<Field> {
    let large = [1 << 32, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];
    let others = [4, 31, 32, 255, 65_535];
    let amount = |tag: Tag, offset: usize| {
        [
            field(tag, offset, 8, [0], EngineError::AmountZero),
            field(tag, offset, 8, large, EngineError::WithdrawExceedsAvailable),
        ]
    };
    let mut fields = vec![
        field(Tag::RotateRole, 8, 1, [0, 5, 6, 255], Refusal::FieldInvalid),
        field(Tag::AcceptRole, 8, 1, [0, 5, 6, 255], Refusal::FieldInvalid),
        field(Tag::AcceptRole, 8, 1, [1, 2, 4], EngineError::RotationNotPending),
        field(Tag::SetMarketStatus, 8, 2, others, EngineError::MarketNotFound),
        // Active as it is, settled and closed, which are nobody's to set.
        field(Tag::SetMarketStatus, 10, 1, [0, 1, 3, 4, 5, 255], EngineError::MarketStatusInvalid),
        // A market that is over.
        field(Tag::SetMarketStatus, 8, 2, [1, 2], EngineError::MarketStatusInvalid),
        // A cap has no mode; there is no fourth kind.
        field(Tag::Guard, 8, 1, (1..=255).collect::<Vec<_>>(), Refusal::FieldInvalid),
        field(Tag::Guard, 9, 1, [0], EngineError::ModeInvalid),
        field(Tag::Guard, 9, 1, (4..=255).collect::<Vec<_>>(), Refusal::FieldInvalid),
        field(Tag::Guard, 12, 4, [0, 604_801, 1 << 31, (1 << 32) - 1], EngineError::ModeInvalid),
        field(Tag::SetMargin, 8, 2, others, EngineError::MarketNotFound),
        field(Tag::SetMargin, 8, 2, [1, 2], EngineError::MarketStatusInvalid),
        field(Tag::SetMargin, 10, 1, [0, 1, 2], Refusal::FieldInvalid),
        field(Tag::SetMargin, 10, 1, [7, 255], EngineError::ListingTiersInvalid),
        field(Tag::SetMargin, 12, 4, [0, (1 << 32) - 1], EngineError::ListingTiersInvalid),
        field(Tag::SetMargin, 16, 4, [0, 86_399, 2_592_001, (1 << 32) - 1], EngineError::ListingRiskInvalid),
        field(Tag::ProposeChange, 8, 8, [1, u64::MAX], Refusal::FieldInvalid),
        field(Tag::ProposeChange, 16, 2, [0, 1, 65_534], Refusal::FieldInvalid),
        field(Tag::ProposeChange, 18, 1, [0, 7, 255], Refusal::FieldInvalid),
        // Of the other kinds the payload is another.
        field(Tag::ProposeChange, 18, 1, [1, 2, 3, 4, 6], Refusal::DataLength),
        field(Tag::ProposeChange, 19, 1, [1, 255], Refusal::FieldInvalid),
        field(Tag::ExecuteChange, 8, 8, [0, 5, u64::MAX], EngineError::ChangeNotFound),
        field(Tag::CancelChange, 8, 8, [0, 5, u64::MAX], EngineError::ChangeNotFound),
        field(Tag::Sweep, 8, 2, [0], Refusal::FieldInvalid),
        field(Tag::CancelForRisk, 16, 1, [0], Refusal::FieldInvalid),
        field(Tag::Liquidate, 20, 1, [0], EngineError::MatchLimitOutOfRange),
        field(Tag::TakeOver, 24, 8, [0], EngineError::NothingToClose),
        field(Tag::AbsorbShortfall, 16, 2, [1, 2, 3, 4, 31, 32, 255, 65_535], EngineError::MarketNotFound),
        field(Tag::Deleverage, 16, 2, [0], Refusal::FieldInvalid),
        field(Tag::RequestUnstake, 16, 8, [0], EngineError::AmountZero),
        field(Tag::RequestUnstake, 16, 8, [vec![10_000_001], large.to_vec()].concat(), EngineError::StakeTooLarge),
    ];
    fields.extend([Tag::StakePool, Tag::FundPool].into_iter().flat_map(|tag| amount(tag, 16)));
    fields.extend(amount(Tag::TransferCash, 24));
    fields
}

/// The same for a listing; its bounds from both sides are tested with `ListMarket`.
fn listing_fields() -> Vec<Field> {
    let at = |offset: usize| 8 + offset;
    let tag = Tag::ListMarket;
    let parameters = EngineError::ListingParametersInvalid;
    let (fees, oracle, tiers) =
        (EngineError::ListingFeesInvalid, EngineError::ListingOracleInvalid, EngineError::ListingTiersInvalid);
    let kind = at(offset_of!(ListingParameters, sources));
    let listing_risk = EngineError::ListingRiskInvalid;
    let risk = |offset: usize| at(offset_of!(ListingParameters, risk)) + offset;
    vec![
        field(tag, at(offset_of!(ListingParameters, tick_size)), 8, [0, 1, u64::MAX], parameters),
        field(tag, at(offset_of!(ListingParameters, lot_size)), 8, [0, 1, u64::MAX], parameters),
        field(tag, at(offset_of!(ListingParameters, lots_min)), 8, [0, u64::MAX], parameters),
        field(tag, at(offset_of!(ListingParameters, lots_max)), 8, [0, u64::MAX], parameters),
        field(tag, at(offset_of!(ListingParameters, position_max)), 8, [0, 1], parameters),
        field(tag, at(offset_of!(ListingParameters, position_max)), 8, [u64::MAX], EngineError::ListingBoundExceeded),
        field(tag, at(offset_of!(ListingParameters, open_interest_max)), 8, [0], parameters),
        field(tag, at(offset_of!(ListingParameters, tick_value)), 4, [0, 2, (1 << 32) - 1], parameters),
        field(tag, at(offset_of!(ListingParameters, price_max)), 4, [0], parameters),
        field(tag, at(offset_of!(ListingParameters, price_max)), 4, [(1 << 32) - 1], EngineError::ListingBoundExceeded),
        field(tag, at(offset_of!(ListingParameters, band)), 4, [0, (1 << 32) - 1], parameters),
        field(tag, at(offset_of!(ListingParameters, taker_fee)), 4, [0, (1 << 32) - 1], fees),
        field(tag, at(offset_of!(ListingParameters, maker_fee)), 4, [1 << 31, (1 << 31) - 1], fees),
        field(tag, at(offset_of!(ListingParameters, maintenance)), 4, [0, (1 << 32) - 1], tiers),
        field(tag, at(offset_of!(ListingParameters, confidence_max)), 4, [0, (1 << 32) - 1], oracle),
        field(tag, at(offset_of!(ListingParameters, divergence_max)), 4, [0, (1 << 32) - 1], oracle),
        field(tag, at(offset_of!(ListingParameters, fresh_seconds)), 4, [0, (1 << 32) - 1], oracle),
        field(tag, at(offset_of!(ListingParameters, dead_seconds)), 4, [0, (1 << 32) - 1], oracle),
        field(
            tag,
            at(offset_of!(ListingParameters, side_capacity)),
            4,
            [0, 9, (1 << 32) - 1],
            EngineError::CapacityInvalid,
        ),
        field(
            tag,
            at(offset_of!(ListingParameters, events_capacity)),
            4,
            [0, 1, (1 << 32) - 1],
            EngineError::CapacityInvalid,
        ),
        field(tag, at(offset_of!(ListingParameters, sources_min)), 1, [0, 3, 255], oracle),
        field(tag, at(offset_of!(ListingParameters, sources_len)), 1, (5..=255).collect::<Vec<_>>(), oracle),
        // Fewer than are given, so that one given stands where there should be none.
        field(tag, at(offset_of!(ListingParameters, sources_len)), 1, [0, 1], Refusal::FieldInvalid),
        field(tag, at(offset_of!(ListingParameters, tiers_len)), 1, [0, 1, 2], Refusal::FieldInvalid),
        field(tag, at(offset_of!(ListingParameters, tiers_len)), 1, (7..=255).collect::<Vec<_>>(), tiers),
        field(tag, at(offset_of!(ListingParameters, taker_delay)), 1, (26..=255).collect::<Vec<_>>(), parameters),
        field(tag, kind, 1, [0].into_iter().chain(6..=255).collect::<Vec<_>>(), oracle),
        field(tag, risk(offset_of!(RiskParameters, step)), 4, [0, 50_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, step)), 4, [10_000], EngineError::ListingEnvelopeExceeded),
        field(tag, risk(offset_of!(RiskParameters, step_seconds)), 4, [0, 61], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, stable_step)), 4, [0, 1_301], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, basis_max)), 4, [0, 99, 50_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, funding_dead_zone)), 4, [5_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, funding_cap)), 4, [0, 200_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, liquidation_fee)), 4, [50_001], listing_risk),
        field(
            tag,
            risk(offset_of!(RiskParameters, liquidation_fee)),
            4,
            [50_000],
            EngineError::ListingEnvelopeExceeded,
        ),
        field(tag, risk(offset_of!(RiskParameters, takeover_discount)), 4, [0, 100_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, liquidation_buffer)), 4, [500_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, interest_scale_max)), 4, [0, 999_999, 10_000_001], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, interest_scale_lower)), 8, [u64::MAX], listing_risk),
        field(tag, risk(offset_of!(RiskParameters, interest_scale_upper)), 8, [0], listing_risk),
    ]
}

#[test]
fn fields_have_a_meaning() {
    let mut sender = Sender::new();
    let instances = sender.world.instances();
    let fields = fields().into_iter().chain(ladder_fields()).chain(fee_fields()).chain(trigger_fields());
    for field in fields.chain(risk_fields()).chain(listing_fields()) {
        let instance = instances.iter().find(|instance| instance.tag == field.tag).unwrap();
        let current = &instance.instruction.data[field.offset..field.offset + field.bytes];
        for value in field.values {
            let bytes = &value.to_le_bytes()[..field.bytes];
            assert_ne!(bytes, current, "{} at {}", field.tag.name(), field.offset);
            sender.refuses_bytes(instance, field.offset, bytes, field.error);
        }
    }
    sender.report();
}
