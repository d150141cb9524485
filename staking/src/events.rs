//! Events of a contract, read in spans that any provider answers.

use std::{
    ops::{ControlFlow, RangeInclusive},
    time::{Duration, Instant},
};

use alloy::{
    contract::Event,
    providers::Provider,
    rpc::types::Log,
    sol_types::SolEvent,
    transports::{RpcError, TransportError, TransportErrorKind},
};
use eyre::{Result, WrapErr as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Blocks of one request; halved as often as the provider refuses.
const SPAN: u64 = 10_000;
/// A search that takes longer shows how far it is.
const UNSEEN: Duration = Duration::from_secs(2);

/// A search for events, from the newest block to the oldest.
#[derive(Clone, Debug)]
pub struct Search<'a> {
    /// What is looked for, for the progress bar and for errors.
    pub what: &'a str,
    /// Blocks to search.
    pub blocks: RangeInclusive<u64>,
    /// Whether to show progress.
    pub visible: bool,
}

impl Search<'_> {
    /// Every event that matches, oldest first.
    ///
    /// # Errors
    /// As [`Search::newest_first`].
    pub async fn all<P: Provider, E: SolEvent>(&self, event: &Event<P, E>) -> Result<Vec<(E, Log)>> {
        let mut found = Vec::new();
        self.newest_first(event, |event, log| {
            found.push((event, log));
            ControlFlow::Continue(())
        })
        .await?;
        found.reverse();
        Ok(found)
    }

    /// The newest event that matches.
    ///
    /// # Errors
    /// As [`Search::newest_first`].
    pub async fn newest<P: Provider, E: SolEvent>(&self, event: &Event<P, E>) -> Result<Option<(E, Log)>> {
        let mut newest = None;
        self.newest_first(event, |event, log| {
            newest = Some((event, log));
            ControlFlow::Break(())
        })
        .await?;
        Ok(newest)
    }

    /// Shows every event that matches to `visit`, the newest first, until it breaks off.
    ///
    /// # Errors
    /// When the provider cannot be reached, refuses even a single block, or answers with something else than the event.
    pub async fn newest_first<P: Provider, E: SolEvent>(
        &self,
        event: &Event<P, E>,
        mut visit: impl FnMut(E, Log) -> ControlFlow<()>,
    ) -> Result<()> {
        let (oldest, mut to) = (*self.blocks.start(), *self.blocks.end());
        let mut span = SPAN;
        let progress = Progress::new(self);
        while oldest <= to {
            let from = to.saturating_sub(span - 1).max(oldest);
            let filter = event.filter.clone().from_block(from).to_block(to);
            let logs = match event.provider.get_logs(&filter).await {
                Ok(logs) => logs,
                Err(error) if from < to && refuses_span(&error) => {
                    // Half of what was asked for: the rest of a search may be shorter than a span.
                    span = (to - from).div_ceil(2);
                    continue;
                }
                Err(error) => {
                    return Err(error).wrap_err_with(|| format!("asking for {} in blocks {from} to {to}", self.what));
                }
            };
            for log in logs.into_iter().rev() {
                let decoded = E::decode_log(&log.inner)
                    .wrap_err_with(|| format!("asking for {}: the answer is another event", self.what))?;
                if visit(decoded.data, log).is_break() {
                    return Ok(());
                }
            }
            let Some(next) = from.checked_sub(1) else { break };
            to = next;
            progress.searched_down_to(from);
        }
        Ok(())
    }
}

/// Whether fewer blocks may help. Providers word it differently ('query returned more than 10000 results', 'block range
/// is too wide', 'response size exceeded', 413, …), so every answer that is a refusal counts; no answer does not.
fn refuses_span(error: &TransportError) -> bool {
    match error {
        RpcError::ErrorResp(_) => true,
        RpcError::Transport(TransportErrorKind::HttpError(http)) => matches!(http.status, 400 | 413 | 422),
        _ => false,
    }
}

/// Blocks searched so far; on screen only once the search has taken a while.
struct Progress {
    bar: ProgressBar,
    since: Instant,
    visible: bool,
    end: u64,
}

impl Progress {
    fn new(search: &Search<'_>) -> Self {
        let (start, end) = (*search.blocks.start(), *search.blocks.end());
        let bar = ProgressBar::with_draw_target(Some(end.saturating_sub(start)), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len} blocks, {eta} left") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(format!("looking for {}", search.what));
        Self { bar, since: Instant::now(), visible: search.visible, end }
    }

    fn searched_down_to(&self, block: u64) {
        if self.visible && self.bar.is_hidden() && self.since.elapsed() >= UNSEEN {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(self.end.saturating_sub(block));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
