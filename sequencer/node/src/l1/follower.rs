//! The task that follows L1.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::eips::BlockNumberOrTag;
use rota_protocol::config::ChainConfig;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    L1Error, L1Event, L1Progress, L1View,
    records::Span,
    source::{L1Header, L1Log},
};
use crate::chain::L1Ref;

/// Below the confirmed head, headers of this many blocks are fetched one by one; older ones are looked up when needed.
const RECENT: u64 = 64;
const BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(8);
/// Five slots of Ethereum: proposers rarely miss that many in a row.
const STANDSTILL: Duration = Duration::from_secs(60);

/// How L1 is followed.
#[derive(Clone, Copy, Debug)]
pub struct FollowerConfig {
    /// Chain id that L1 must have.
    pub chain_id: u64,
    /// First block that can hold an event.
    pub start: u64,
    /// Block that all contracts exist in; nothing is confirmed before.
    pub origin: u64,
    /// Blocks on top of a confirmed one; 0 waits for L1's own finality.
    pub confirmations: u64,
    /// Time between two looks.
    pub poll_interval: Duration,
    /// Largest block range of one log query.
    pub log_range: u64,
    /// Time without a new block after which another endpoint is asked.
    pub standstill: Duration,
}

impl FollowerConfig {
    /// For `chain`, with the node's own polling.
    pub const fn new(chain: &ChainConfig, poll_interval: Duration, log_range: u64) -> Self {
        Self {
            chain_id: chain.l1_chain_id,
            start: chain.deployed_at_block,
            origin: chain.genesis_origin.number,
            confirmations: chain.l1_confirmations,
            poll_interval,
            log_range,
            standstill: STANDSTILL,
        }
    }
}

/// Appends confirmed L1 blocks and their events to an [`L1View`].
pub struct Follower {
    view: L1View,
    config: FollowerConfig,
    /// Current size of log queries: halved when an endpoint refuses one, doubled again when it answers.
    range: u64,
    /// Turn of the endpoint that was asked for its chain last, and gave the right one.
    checked: Option<usize>,
    /// Endpoints in a row that serve another chain.
    wrong: usize,
    /// Highest block of the endpoint in use, and when it was first seen there.
    newest: Option<(u64, Instant)>,
    /// Up to this epoch no frozen set is missing.
    sets_checked: u32,
}

impl Follower {
    /// The only writer of `view`.
    pub const fn new(view: L1View, config: FollowerConfig) -> Self {
        Self { view, config, range: config.log_range, checked: None, wrong: 0, newest: None, sets_checked: 0 }
    }

    /// Follows L1 until cancelled. An unreachable or contradictory L1 is retried for ever.
    ///
    /// # Errors
    /// Storage failure, the wrong L1, or a reorganisation below the rollup's start: the node must stop.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), L1Error> {
        loop {
            let step = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                step = self.step() => step,
            };
            let pause = match step {
                Ok(true) => Duration::ZERO,
                Ok(false) => self.config.poll_interval,
                Err(error) if error.is_transient() => self.failed(&error),
                Err(error) => return Err(error),
            };
            let shared = Arc::clone(&self.view.shared);
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
                // Impatience must not turn into a flood on an L1 that is down.
                () = shared.nudge.notified(), if self.view.progress().failures == 0 => {}
            }
        }
    }

    fn failed(&self, error: &L1Error) -> Duration {
        self.publish(|progress| progress.failures = progress.failures.saturating_add(1));
        let failures = self.view.progress().failures;
        metrics::counter!("rota_l1_errors_total").increment(1);
        warn!(%error, failures, "L1 is not answering as it should");
        MAX_BACKOFF.min(BACKOFF * 2u32.saturating_pow(failures.min(10) - 1))
    }

    fn publish(&self, change: impl FnOnce(&mut L1Progress)) {
        self.view.shared.progress.send_modify(|progress| {
            progress.polls += 1;
            change(progress);
        });
    }

    /// Looks at L1 once; true if there is more to fetch at once. An endpoint that contradicts itself is left.
    pub(crate) async fn step(&mut self) -> Result<bool, L1Error> {
        // The batcher asks the same source and may move on to another endpoint meanwhile; that one is not to blame.
        let turn = self.view.shared.source.turn();
        let step = self.look(turn).await;
        let source = &self.view.shared.source;
        match &step {
            Err(error @ L1Error::WrongChain { .. }) => {
                self.wrong += 1;
                // One that others stand in for does not stop the node. The next one is asked at once.
                if self.wrong < source.endpoints() && source.leave(turn) {
                    warn!(endpoint = source.name(turn), %error, "leaving an L1 endpoint");
                    return Ok(true);
                }
            }
            Err(error) => {
                self.wrong = 0;
                if error.is_contradiction() {
                    warn!(endpoint = source.name(turn), %error, "leaving an L1 endpoint");
                    source.leave(turn);
                }
            }
            Ok(_) => self.wrong = 0,
        }
        step
    }

    /// Fails if the endpoint of `turn` was left: what came since is of another one, which may serve another chain.
    fn unchanged(&self, turn: usize) -> Result<(), L1Error> {
        match self.view.shared.source.turn() == turn {
            true => Ok(()),
            false => Err(L1Error::Rpc("the endpoint was left while it was read".into())),
        }
    }

    /// Whether the endpoint of `turn` was left because its newest block, now `head`, is the same as a long time ago: a node that is
    /// stuck answers everything, and nothing it says is wrong.
    fn stands_still(&mut self, turn: usize, head: u64) -> bool {
        let since = match self.newest {
            Some((newest, since)) if head <= newest => since,
            _ => {
                self.newest = Some((head, Instant::now()));
                return false;
            }
        };
        if since.elapsed() < self.config.standstill {
            return false;
        }
        // The next endpoint, or this one if there is no other, gets the same time.
        self.newest = None;
        let source = &self.view.shared.source;
        let left = source.leave(turn);
        warn!(endpoint = source.name(turn), head, left, seconds = since.elapsed().as_secs(), "L1 stands still");
        left
    }

    async fn look(&mut self, turn: usize) -> Result<bool, L1Error> {
        let shared = Arc::clone(&self.view.shared);
        let source = &shared.source;
        // Each time that an endpoint takes over: one of another chain would look like a deep reorganisation.
        if self.checked != Some(turn) {
            let (expected, actual) = (self.config.chain_id, source.chain_id().await?);
            self.unchanged(turn)?;
            if expected != actual {
                return Err(L1Error::WrongChain { expected, actual });
            }
            self.checked = Some(turn);
        }
        let head = self.header(BlockNumberOrTag::Latest).await?;
        if self.stands_still(turn, head.block.number) {
            return Ok(true);
        }
        let target = match self.config.confirmations {
            // L1 has finalized nothing yet: nothing is confirmed.
            0 => source.header(BlockNumberOrTag::Finalized).await?.map(|header| header.block.number),
            depth => head.block.number.checked_sub(depth),
        };
        let stored = shared.records.stored()?;
        let next = stored.map_or(self.config.start, |block| block.number + 1);
        let Some(target) = target.filter(|target| *target >= next.max(self.config.origin)) else {
            self.arrived(head.block)?;
            return Ok(false);
        };

        if let Some(stored) = stored
            && !self.still_there(&stored).await?
        {
            let ancestor = self.common_ancestor(stored).await;
            self.unchanged(turn)?;
            let ancestor = ancestor?;
            warn!(from = stored.number, to = ancestor.number, "L1 reorganised deeper than its confirmations");
            metrics::counter!("rota_l1_deep_reorgs_total").increment(1);
            self.rewind(Some(&ancestor))?;
            self.arrived(head.block)?;
            return Ok(true);
        }

        let end = target.min(next.saturating_add(self.range - 1));
        let (span, events) = match self.fetch(next, end, target, stored).await {
            Err(error) if error.is_transient() && self.range > 1 => {
                self.range = (self.range / 2).max(1);
                return Err(error);
            }
            fetched => fetched?,
        };
        self.range = self.range.saturating_mul(2).min(self.config.log_range);
        // Only recent blocks have a state that every endpoint can be asked about. What was stored on the way there is
        // not published before.
        let complete = end == target;
        let verdict = self.verify(&span, &events, complete).await;
        self.unchanged(turn)?;
        if let Err(error) = verdict {
            if matches!(error, L1Error::Withheld(_)) {
                // What is missing may have been withheld from an earlier span.
                self.rewind(shared.records.confirmed()?.as_ref())?;
            }
            return Err(error);
        }
        shared.records.append(&span, complete)?;
        {
            let mut state = shared.state.write();
            events.into_iter().for_each(|event| state.apply(event));
        }
        debug!(from = next, to = end, events = span.logs.len(), complete, "L1 read");
        self.arrived(head.block)?;
        Ok(end < target)
    }

    /// Finds out whether logs are missing in a span that continues the state: what the contracts number must have no
    /// gaps and, if the span's end is `recent`, add up to what they count there.
    async fn verify(&mut self, span: &Span, events: &[L1Event], recent: bool) -> Result<(), L1Error> {
        let (logs, gaps) = {
            let state = self.view.shared.state.read();
            (state.check(events)?, state.gaps(events, self.sets_checked))
        };
        let Some(end) = span.headers.last().filter(|_| recent) else { return Ok(()) };
        let source = &self.view.shared.source;
        logs.compare(&source.totals(end.block.hash).await?)?;
        for (before, epoch) in gaps {
            let actual = source.set_before(epoch, end.block.hash).await?;
            if actual != before {
                return Err(L1Error::Withheld(format!("the set of epoch {actual}, frozen before that of {epoch}")));
            }
        }
        // Nothing can be frozen below the last set.
        self.sets_checked = logs.last_set;
        Ok(())
    }

    fn rewind(&mut self, to: Option<&L1Ref>) -> Result<(), L1Error> {
        let shared = &self.view.shared;
        shared.records.rewind(to)?;
        *shared.state.write() = shared.records.state()?;
        self.sets_checked = 0;
        Ok(())
    }

    fn arrived(&self, head: L1Ref) -> Result<(), L1Error> {
        let confirmed = self.view.shared.records.confirmed()?.unwrap_or_default();
        let recovered = self.view.progress().failures;
        if recovered > 0 {
            info!(failures = recovered, head = head.number, "L1 answers again");
        }
        metrics::gauge!("rota_l1_head").set(head.number as f64);
        metrics::gauge!("rota_l1_confirmed").set(confirmed.number as f64);
        self.publish(|progress| {
            progress.head = head;
            progress.confirmed = confirmed;
            progress.failures = 0;
        });
        Ok(())
    }

    async fn header(&self, at: BlockNumberOrTag) -> Result<L1Header, L1Error> {
        let header = self.view.shared.source.header(at).await?;
        header.ok_or(match at.as_number() {
            Some(number) => L1Error::Moved { number },
            None => L1Error::Absent { tag: at },
        })
    }

    async fn still_there(&self, block: &L1Ref) -> Result<bool, L1Error> {
        let header = self.view.shared.source.header(BlockNumberOrTag::Number(block.number)).await?;
        Ok(header.is_some_and(|header| header.block.hash == block.hash))
    }

    async fn common_ancestor(&self, from: L1Ref) -> Result<L1Ref, L1Error> {
        for block in self.view.shared.records.descending(from.number) {
            let block = block?;
            if self.still_there(&block).await? {
                return Ok(block);
            }
        }
        Err(L1Error::LostGenesis { number: self.config.start })
    }

    /// Reads the blocks `from..=to` with their events, all of one chain that continues `parent`.
    async fn fetch(
        &self,
        from: u64,
        to: u64,
        target: u64,
        parent: Option<L1Ref>,
    ) -> Result<(Span, Vec<L1Event>), L1Error> {
        let source = &self.view.shared.source;
        let first_header = from.max((target.saturating_sub(RECENT) + 1).min(to));
        let mut headers: Vec<L1Header> = Vec::new();
        for number in first_header..=to {
            let header = self.header(BlockNumberOrTag::Number(number)).await?;
            let before = headers.last().map(|header| header.block).or(parent.filter(|_| number == from));
            if before.is_some_and(|before| before.hash != header.parent) {
                return Err(L1Error::Moved { number });
            }
            headers.push(header);
        }
        let logs = source.logs(from, to).await?;
        // Unchanged afterwards: then the logs in between belong to the same chain.
        if let Some(end) = headers.last()
            && !self.still_there(&end.block).await?
        {
            return Err(L1Error::Moved { number: to });
        }
        let foreign = |log: &&L1Log| {
            let known = headers.iter().find(|header| header.block.number == log.block.number);
            !(from..=to).contains(&log.block.number) || known.is_some_and(|known| known.block.hash != log.block.hash)
        };
        if let Some(log) = logs.iter().find(foreign) {
            return Err(L1Error::Moved { number: log.block.number });
        }
        let events = logs.iter().map(L1Event::decode).collect::<Result<_, _>>()?;
        Ok((Span { headers, logs }, events))
    }
}
