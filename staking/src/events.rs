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

/// Most blocks of one request; fewer where the provider refuses, more again where it answers.
const SPAN: u64 = 10_000;
/// First pause after a provider said that it is asked too often; doubled while it says so.
const PAUSE: Duration = Duration::from_secs(1);
/// A provider that is still asked too often after a pause this long gets no more requests.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);
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
        let (mut span, mut pause) = (Span::default(), PAUSE);
        let progress = Progress::new(self);
        while oldest <= to {
            let from = to.saturating_sub(span.blocks - 1).max(oldest);
            let filter = event.filter.clone().from_block(from).to_block(to);
            let logs = match event.provider.get_logs(&filter).await {
                Ok(logs) => logs,
                Err(error) if is_rate_limit(&error) && pause <= LONGEST_PAUSE => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    continue;
                }
                Err(error) if from < to && !is_rate_limit(&error) && refuses_span(&error) => {
                    // Half of what was asked for: the rest of a search may be shorter than a span.
                    span.refused((to - from).div_ceil(2));
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
            span.answered();
            pause = PAUSE;
            let Some(next) = from.checked_sub(1) else { break };
            to = next;
            progress.searched_down_to(from);
        }
        Ok(())
    }
}

/// How many blocks to ask for. Some providers bound the blocks, others the events in them: so the span doubles where
/// it is answered, but tries that half as often after each time it was too much.
#[derive(Debug)]
struct Span {
    blocks: u64,
    /// Answers since the last refusal.
    answers: u32,
    /// Answers before the next attempt at more.
    needed: u32,
}

impl Default for Span {
    fn default() -> Self {
        Self { blocks: SPAN, answers: 0, needed: 1 }
    }
}

impl Span {
    fn answered(&mut self) {
        self.answers = self.answers.saturating_add(1);
        if self.answers >= self.needed {
            self.blocks = (self.blocks * 2).min(SPAN);
        }
    }

    fn refused(&mut self, blocks: u64) {
        // The first refusal after answers is that of an attempt at more.
        if self.answers > 0 {
            self.needed = self.needed.saturating_mul(2);
        }
        (self.blocks, self.answers) = (blocks, 0);
    }
}

/// Whether the provider is asked too often, whatever for. Providers word this differently too, and some give code -32005
/// for it as well as for too many results.
fn is_rate_limit(error: &TransportError) -> bool {
    match error {
        RpcError::ErrorResp(answer) => {
            let message = answer.message.to_lowercase();
            let said = ["rate limit", "rate exceeded", "per second", "/second", "too many requests"];
            answer.code == 429
                || (answer.code == -32_005 && message.contains("rate"))
                || said.iter().any(|words| message.contains(words))
        }
        RpcError::Transport(TransportErrorKind::HttpError(http)) => http.status == 429,
        _ => false,
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
