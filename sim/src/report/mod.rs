//! What a run leaves behind: the plain record, the terminal summary, the HTML page and its charts.
//!
//! Reads nothing of the simulator but [`record::RunRecord`], so a stored JSON record gives the
//! same summary and page again.

mod charts;
mod format;
mod html;
mod record;
mod summary;

pub use format::{duration, integer, usd, usd_whole};
pub use html::write;
pub use record::{
    ActorSeries, ChartEvent, Check, EquityPoint, Exhibit, FinalBalance, InstructionMeter, InstructionStats, LadderRung,
    MarketSeries, MoneyFlow, PricePoint, Refusal, RunRecord, Sample, SolvencyPoint, Totals, Trace, thinned,
};
pub use summary::render;
