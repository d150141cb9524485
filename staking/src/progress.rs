//! Progress for everything that takes longer than two seconds: what is awaited, and until when.

use std::time::Duration;

use eyre::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

/// A spinner with a changing message; silent when `--json` output must stay clean or there is no terminal.
pub fn spinner(message: impl Into<String>, visible: bool) -> ProgressBar {
    let bar = if visible { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message(message.into());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar over `seconds` seconds that says what is awaited.
pub fn countdown(what: impl Into<String>, seconds: u64, visible: bool) -> ProgressBar {
    let bar = if visible { ProgressBar::new(seconds.max(1)) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:30}] {pos}/{len} s") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what.into());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Polls `condition` until it yields a value.
///
/// # Errors
/// When `deadline` passes, naming what was awaited, or when `condition` fails for good.
pub async fn wait_until<T>(
    what: &str,
    deadline: Duration,
    every: Duration,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition().await? {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain for {what}", deadline.as_secs());
        }
        sleep(every).await;
    }
}
