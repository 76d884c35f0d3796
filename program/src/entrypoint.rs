//! The product on one screen: tag → instruction.

use crate::{
    error::Refusal,
    instruction::{Context, crank, exchange, order, order::session::ACCOUNTS_WITH_SESSION, pool, risk, trader},
    tag::{Head, Tag},
};
use pinocchio::{AccountView, Address, ProgramResult};

#[cfg(target_os = "solana")]
mod runtime {
    #![allow(unsafe_code, missing_docs, reason = "the entry point of the loader's C ABI")]
    use super::process;

    // `UpdatePrice` takes up to 15 accounts: three and four sources with three each. One more is parsed so that a
    // surplus is refused, not ignored.
    pinocchio::program_entrypoint!(process, 16);
    pinocchio::no_allocator!();
    pinocchio::nostd_panic_handler!();
}

/// Runs one instruction. Hot tags first.
#[inline(always)]
pub fn process(program_id: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let (head, arguments) = Head::split(data)?;
    let mut context = Context { program_id, accounts, head, arguments, in_session: false };
    match head.tag {
        tag if tag == Tag::PlaceOrder.byte() => order::place_order::process(&mut context),
        tag if tag == Tag::MoveLadder.byte() => order::move_ladder::process(&mut context),
        tag if tag == Tag::UpdatePrice.byte() => crank::update_price::process(&mut context),
        _ if context.accounts.len() == ACCOUNTS_WITH_SESSION => process_of_four(&mut context),
        _ => process_others(&mut context),
    }
}

/// Four accounts: an order that a session key signs, or something else.
#[cold]
#[inline(never)]
fn process_of_four(context: &mut Context<'_>) -> ProgramResult {
    match order::session::action_of(context.head.tag) {
        Some(action) => order::session::process(context, action, process_others),
        None => process_others(context),
    }
}

#[inline(never)]
fn process_others(context: &mut Context<'_>) -> ProgramResult {
    match context.head.tag {
        tag if tag == Tag::ReplaceQuotes.byte() => order::replace_quotes::process(context),
        tag if tag == Tag::CancelOrder.byte() => order::cancel_order::process(context),
        tag if tag == Tag::CancelAll.byte() => order::cancel_all::process(context),
        _ => process_cold(context),
    }
}

#[inline(never)]
fn process_cold(context: &mut Context<'_>) -> ProgramResult {
    match context.head.tag {
        tag if tag == Tag::PlaceOrders.byte() => order::place_orders::process(context),
        tag if tag == Tag::CancelOrders.byte() => order::cancel_orders::process(context),
        tag if tag == Tag::CancelByClientId.byte() => order::cancel_by_client_id::process(context),
        tag if tag == Tag::AmendOrder.byte() => order::amend_order::process(context),
        tag if tag == Tag::SetLadder.byte() => order::set_ladder::process(context),
        tag if tag == Tag::ExecuteTriggers.byte() => crank::execute_triggers::process(context),
        tag if tag == Tag::PlaceTrigger.byte() => order::place_trigger::process(context),
        tag if tag == Tag::CancelTrigger.byte() => order::cancel_trigger::process(context),
        tag if tag == Tag::Heartbeat.byte() => trader::heartbeat::process(context),
        tag if tag == Tag::SetBuilderMax.byte() => trader::set_builder_max::process(context),
        tag if tag == Tag::SetReferrer.byte() => trader::set_referrer::process(context),
        tag if tag == Tag::SetDelegate.byte() => trader::set_delegate::process(context),
        tag if tag == Tag::OpenSession.byte() => trader::open_session::process(context),
        tag if tag == Tag::CloseSession.byte() => trader::close_session::process(context),
        tag if tag == Tag::SetFeeMax.byte() => trader::set_fee_max::process(context),
        tag if tag == Tag::SetWithdrawDelay.byte() => trader::set_withdraw_delay::process(context),
        tag if tag == Tag::AllowTarget.byte() => trader::allow_target::process(context),
        tag if tag == Tag::Deposit.byte() => trader::deposit::process(context),
        tag if tag == Tag::Withdraw.byte() => trader::withdraw::process(context),
        tag if tag == Tag::OpenTrader.byte() => trader::open_trader::process(context),
        tag if tag == Tag::CloseTrader.byte() => trader::close_trader::process(context),
        tag if tag == Tag::CreateExchange.byte() => exchange::create_exchange::process(context),
        tag if tag == Tag::ListMarket.byte() => exchange::list_market::process(context),
        tag if tag == Tag::GrowLedger.byte() => exchange::grow_ledger::process(context),
        tag if tag == Tag::CollectFees.byte() => exchange::collect_fees::process(context),
        tag if tag == Tag::Sweep.byte() => crank::sweep::process(context),
        tag if tag == Tag::EnforceDeadman.byte() => crank::enforce_deadman::process(context),
        tag if tag == Tag::DropExpired.byte() => crank::drop_expired::process(context),
        tag if tag == Tag::RunDelayed.byte() => crank::run_delayed::process(context),
        tag if tag == Tag::CancelForRisk.byte() => risk::cancel_for_risk::process(context),
        tag if tag == Tag::Liquidate.byte() => risk::liquidate::process(context),
        tag if tag == Tag::TakeOver.byte() => risk::take_over::process(context),
        tag if tag == Tag::AbsorbShortfall.byte() => risk::absorb_shortfall::process(context),
        tag if tag == Tag::Deleverage.byte() => risk::deleverage::process(context),
        tag if tag == Tag::ProcessWithdrawQueue.byte() => trader::process_withdraw_queue::process(context),
        tag if tag == Tag::TransferCash.byte() => trader::transfer_cash::process(context),
        tag if tag == Tag::StakePool.byte() => pool::stake_pool::process(context),
        tag if tag == Tag::RequestUnstake.byte() => pool::request_unstake::process(context),
        tag if tag == Tag::Unstake.byte() => pool::unstake::process(context),
        tag if tag == Tag::FundPool.byte() => pool::fund_pool::process(context),
        tag if tag == Tag::SetMarketStatus.byte() => exchange::set_market_status::process(context),
        tag if tag == Tag::SetMargin.byte() => exchange::set_margin::process(context),
        tag if tag == Tag::CloseMarket.byte() => exchange::close_market::process(context),
        tag if tag == Tag::SealExchange.byte() => exchange::seal_exchange::process(context),
        tag if tag == Tag::ProposeChange.byte() => exchange::propose_change::process(context),
        tag if tag == Tag::ExecuteChange.byte() => exchange::execute_change::process(context),
        tag if tag == Tag::CancelChange.byte() => exchange::cancel_change::process(context),
        tag if tag == Tag::Guard.byte() => exchange::guard::process(context),
        tag if tag == Tag::RotateRole.byte() => exchange::rotate_role::process(context),
        tag if tag == Tag::AcceptRole.byte() => exchange::accept_role::process(context),
        tag if tag == Tag::SettleMarket.byte() => crank::settle_market::process(context),
        tag if tag == Tag::SettleMarketPosition.byte() => crank::settle_market_position::process(context),
        _ => Err(Refusal::UnknownInstruction.into()),
    }
}
