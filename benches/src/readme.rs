//! The compute units that `README.md` tells of each instruction, taken from the committed page.

use anyhow::{Context, Result};
use quantdesk_client::Tag;
use std::path::{Path, PathBuf};

/// Column of the instruction table, counted from the line's start, in which the compute units stand.
const COLUMN: usize = 5;

/// Where the text is kept.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")
}

/// The text with the page's figures in its instruction table. Fails if the page lacks the case of an instruction.
pub fn with_figures(readme: &str, page: &str) -> Result<String> {
    let mut out = String::with_capacity(readme.len());
    for line in readme.split_inclusive('\n') {
        let mut cells: Vec<&str> = line.split('|').collect();
        let tag = Tag::ALL
            .into_iter()
            .find(|tag| cells.get(2).is_some_and(|cell| cell.trim() == format!("`{}`", tag.name())));
        let figure = tag.map(|tag| measured(page, case_of(tag))).transpose()?.map(|figure| format!(" {figure} "));
        if let (Some(figure), Some(cell)) = (&figure, cells.get_mut(COLUMN)) {
            *cell = figure;
        }
        out.push_str(&cells.join("|"));
    }
    Ok(out)
}

/// Compute units of a case as the page writes them: in a table by depth those at 250 orders a side.
fn measured<'a>(page: &'a str, case: &str) -> Result<&'a str> {
    let mut column = None;
    let mut inside = false;
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let table = line.starts_with('|');
        if table && !inside {
            let cases = cells.get(1).is_some_and(|name| name.starts_with("case"));
            column = cells.iter().position(|name| cases && matches!(*name, "CU" | "250"));
        } else if let (true, Some(column), Some(name)) = (table, column, cells.get(1))
            && *name == case
        {
            return cells.get(column).copied().with_context(|| format!("case '{case}' has no figure"));
        }
        inside = table;
    }
    anyhow::bail!("no case '{case}' in benches/compute_units.md")
}

/// The case of the page that stands for an instruction.
const fn case_of(tag: Tag) -> &'static str {
    match tag {
        Tag::CreateExchange => "CreateExchange",
        Tag::ListMarket => "ListMarket",
        Tag::GrowLedger => "GrowLedger, 80 cells",
        Tag::CollectFees => "CollectFees",
        Tag::OpenTrader => "OpenTrader",
        Tag::CloseTrader => "CloseTrader, traded in 1 market",
        Tag::Deposit => "Deposit",
        Tag::Withdraw => "Withdraw, 1 position",
        Tag::PlaceOrder => "PlaceOrder, post-only, middle of the book",
        Tag::CancelOrder => "CancelOrder, middle of the book",
        Tag::CancelAll => "CancelAll, 8 orders",
        Tag::CancelOrders => "CancelOrders, 8 orders",
        Tag::CancelByClientId => "CancelByClientId, 8th of 16 orders",
        Tag::ReplaceQuotes => "ReplaceQuotes, 10 quotes moved",
        Tag::SetLadder => "SetLadder, 8 levels a side",
        Tag::MoveLadder => "MoveLadder, 8 levels a side",
        Tag::PlaceTrigger => "PlaceTrigger, tip, 4 others",
        Tag::CancelTrigger => "CancelTrigger, 4th of 5",
        Tag::ExecuteTriggers => "ExecuteTriggers, 1 fill",
        Tag::AmendOrder => "AmendOrder, fewer lots",
        Tag::PlaceOrders => "PlaceOrders, 5 orders rest",
        Tag::UpdatePrice => "UpdatePrice, Pyth and Switchboard",
        Tag::SetMarketStatus => "SetMarketStatus",
        Tag::SetMargin => "SetMargin, 3 tiers",
        Tag::CloseMarket => "CloseMarket",
        Tag::SealExchange => "SealExchange",
        Tag::ProposeChange => "ProposeChange, a listing",
        Tag::ExecuteChange => "ExecuteChange, a listing",
        Tag::CancelChange => "CancelChange",
        Tag::Guard => "Guard, a mode",
        Tag::RotateRole => "RotateRole",
        Tag::AcceptRole => "AcceptRole",
        Tag::ProcessWithdrawQueue => "ProcessWithdrawQueue",
        Tag::TransferCash => "TransferCash, 1 position",
        Tag::Heartbeat => "Heartbeat",
        Tag::SetBuilderMax => "SetBuilderMax",
        Tag::SetReferrer => "SetReferrer",
        Tag::SetDelegate => "SetDelegate",
        Tag::OpenSession => "OpenSession",
        Tag::CloseSession => "CloseSession",
        Tag::SetFeeMax => "SetFeeMax",
        Tag::SetWithdrawDelay => "SetWithdrawDelay",
        Tag::AllowTarget => "AllowTarget",
        Tag::SettleMarket => "SettleMarket",
        Tag::SettleMarketPosition => "SettleMarketPosition",
        Tag::Sweep => "Sweep, 50 accounts with a position each, 100 cells",
        Tag::EnforceDeadman => "EnforceDeadman, 8 orders",
        Tag::DropExpired => "DropExpired, 8 orders",
        Tag::RunDelayed => "RunDelayed, 1 taker, 1 maker",
        Tag::CancelForRisk => "CancelForRisk, 1 order",
        Tag::Liquidate => "Liquidate, 1 fill",
        Tag::TakeOver => "TakeOver, as much as restores the account",
        Tag::AbsorbShortfall => "AbsorbShortfall, the pool pays",
        Tag::Deleverage => "Deleverage, whole, 1 counterparty",
        Tag::StakePool => "StakePool, more",
        Tag::RequestUnstake => "RequestUnstake",
        Tag::Unstake => "Unstake",
        Tag::FundPool => "FundPool",
    }
}

#[cfg(test)]
mod tests {
    use super::{measured, with_figures};

    #[test]
    fn the_readme_tells_what_the_page_does() {
        let (readme, page) = (include_str!("../../README.md"), include_str!("../compute_units.md"));
        assert_eq!(with_figures(readme, page).unwrap(), readme, "benches/run mends it");
    }

    #[test]
    fn a_session_costs_no_more_than_it_may() {
        let page = include_str!("../compute_units.md");
        let row = page.lines().find(|line| line.starts_with("| PlaceOrder by session over owner-signed")).unwrap();
        assert!(row.contains("| met "), "{row}");
    }

    #[test]
    fn only_the_figures_of_the_instruction_table_change() {
        let page = "| case | 0 | 250 |\n|---|---|---|\n| Heartbeat | 1 | 1,234 |\n";
        let row = "text `Heartbeat`\n| 26 | `Heartbeat` | owner | ledger | 9 | |\n";
        let told = "text `Heartbeat`\n| 26 | `Heartbeat` | owner | ledger | 1,234 | |\n";
        assert_eq!(with_figures(row, page).unwrap(), told);
        assert_eq!(measured(page, "Sweep").unwrap_err().to_string(), "no case 'Sweep' in benches/compute_units.md");
    }
}
