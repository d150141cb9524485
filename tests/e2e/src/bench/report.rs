//! Results as JSON and Markdown, and their comparison with the stored ones.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use eyre::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{
    Options,
    gas::Gas,
    load::{Kind, Throughput},
    timing::Spread,
};

/// A ratio that is worse by more than this share is reported.
const TOLERANCE: f64 = 0.2;
/// Longest gap after the crash of a leader, milliseconds.
const FAILOVER: f64 = 2_300.0;

/// Everything that one run measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// Only runs of the same conditions are compared.
    pub conditions: Conditions,
    /// Gas table.
    pub gas: Vec<Gas>,
    /// Load runs: anvil, one node, four nodes.
    pub throughput: Vec<Throughput>,
    /// Time to the final receipt, four nodes.
    pub receipt: Option<Spread>,
    /// The same at the short block time.
    pub short_receipt: Option<Spread>,
    /// Time between blocks, four nodes.
    pub interval: Option<Spread>,
    /// Gap after SIGKILL of the leader, four nodes.
    pub failover: Option<Spread>,
    /// Figures that depend little on the machine, by name; more is better unless the name starts with "time".
    #[serde(default)]
    pub ratios: BTreeMap<String, f64>,
}

/// How it was measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Conditions {
    /// `release` or `dev`.
    pub profile: String,
    /// Processor threads.
    pub threads: usize,
    /// Transactions of each load.
    pub load: u64,
    /// Milliseconds between blocks.
    pub block_time: u64,
    /// The short block time, milliseconds.
    pub short_block_time: u64,
}

impl Results {
    /// Nothing measured but gas.
    pub fn new(options: &Options, gas: Vec<Gas>) -> Self {
        let conditions = Conditions {
            profile: if cfg!(debug_assertions) { "dev" } else { "release" }.to_owned(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            load: options.accounts * options.per_account,
            block_time: options.block_time,
            short_block_time: options.short_block_time,
        };
        Self {
            conditions,
            gas,
            throughput: Vec::new(),
            receipt: None,
            short_receipt: None,
            interval: None,
            failover: None,
            ratios: BTreeMap::new(),
        }
    }

    fn ratios(&self) -> BTreeMap<String, f64> {
        let mut ratios = BTreeMap::new();
        for run in self.throughput.iter().filter(|run| run.system != "anvil") {
            let anvil = self.throughput.iter().find(|other| other.system == "anvil" && other.kind == run.kind);
            if let Some(anvil) = anvil {
                ratios
                    .insert(format!("{}, {} / anvil", run.kind.name(), run.system), run.per_second / anvil.per_second);
            }
        }
        let (block, short) = (self.conditions.block_time as f64, self.conditions.short_block_time as f64);
        let times = [
            ("time to receipt p50 / block time", &self.receipt, block),
            ("time to receipt p50 / short block time", &self.short_receipt, short),
            ("time between blocks p50 / block time", &self.interval, block),
            ("time of failover p50 / block time", &self.failover, block),
        ];
        for (name, spread, unit) in times {
            if let Some(spread) = spread {
                ratios.insert(name.to_owned(), spread.p50 / unit);
            }
        }
        ratios
    }

    /// What got worse by more than 20 % against `stored`.
    pub fn regressions(&self, stored: &Self) -> Vec<String> {
        if stored.conditions != self.conditions {
            return Vec::new();
        }
        let worse = |name: &str, less_is_better: bool, before: f64, now: f64| {
            let change = if less_is_better { now / before - 1.0 } else { 1.0 - now / before };
            (change > TOLERANCE).then(|| format!("{name}: {now:.2}, stored {before:.2}"))
        };
        let ratios = self
            .ratios
            .iter()
            .filter_map(|(name, now)| worse(name, name.starts_with("time"), *stored.ratios.get(name)?, *now));
        let gas = self.gas.iter().filter_map(|line| {
            let before = stored.gas.iter().find(|other| other.operation == line.operation)?;
            worse(&format!("gas, {}", line.operation), true, before.gas as f64, line.gas as f64)
        });
        ratios.chain(gas).collect()
    }

    fn markdown(&self) -> Result<String> {
        let mut out = String::new();
        let conditions = &self.conditions;
        writeln!(
            out,
            "# Benchmarks\n\nMeasured by `make bench` ({} build, {} processor threads, every process on this machine).\n",
            conditions.profile, conditions.threads
        )?;
        writeln!(out, "## Gas\n\n| operation | gas | bound | | peer |\n|---|--:|--:|---|---|")?;
        for line in &self.gas {
            let Gas { operation, gas, target, peer } = line;
            writeln!(
                out,
                "| {operation} | {} | {} | {} | {peer} |",
                thousands(*gas),
                thousands(*target),
                met(line.met())
            )?;
        }
        writeln!(
            out,
            "\n## Throughput\n\n{} transactions of each kind, blocks every {} ms of at most {} gas.\n",
            thousands(conditions.load),
            conditions.block_time,
            thousands(rota::genesis::GAS_LIMIT)
        )?;
        writeln!(out, "| load | system | per second | beside anvil | blocks | gas per second | target | |")?;
        writeln!(out, "|---|---|--:|--:|--:|--:|--:|---|")?;
        for kind in [Kind::Native, Kind::Token] {
            for run in self.throughput.iter().filter(|run| run.kind == kind) {
                self.throughput_line(&mut out, run)?;
            }
        }
        writeln!(
            out,
            "\n## Time\n\n| what, 4 nodes | samples | p50 | p99 | longest | target | |\n|---|--:|--:|--:|--:|---|---|"
        )?;
        let (block, short) = (conditions.block_time, conditions.short_block_time);
        let limits = |p50: f64, p99: f64| move |spread: &Spread| spread.p50 <= p50 && spread.p99 <= p99;
        let receipt = format!("send to final receipt, {block} ms blocks");
        time_line(&mut out, &receipt, &self.receipt, "p50 ≤ 600 ms, p99 ≤ 1.2 s", limits(600.0, 1_200.0))?;
        let receipt = format!("send to final receipt, {short} ms blocks");
        time_line(&mut out, &receipt, &self.short_receipt, "p50 ≤ 350 ms", limits(350.0, f64::INFINITY))?;
        // A fallback's block now and then is no fault; the median must keep the pace within a tenth.
        let pace = format!("p50 {block} ms ± 10 %");
        let keeps = |spread: &Spread| (spread.p50 / block as f64 - 1.0).abs() <= 0.1;
        time_line(&mut out, "between blocks, no load", &self.interval, &pace, keeps)?;
        time_line(
            &mut out,
            "leader killed, until its height is decided",
            &self.failover,
            "longest ≤ 2.3 s",
            |spread| spread.max <= FAILOVER,
        )?;
        Ok(out)
    }

    fn throughput_line(&self, out: &mut String, run: &Throughput) -> Result<()> {
        let ratio = self.ratios.get(&format!("{}, {} / anvil", run.kind.name(), run.system));
        let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let target = match (run.kind, run.system.as_str()) {
            (Kind::Token, "Rota, 1 node") => Some(4_000.0),
            (Kind::Token, "Rota, 4 nodes") => Some(1_000.0),
            _ => None,
        };
        let verdict = target.map_or("", |target| met(run.per_second >= target));
        let target = target.map_or_else(String::new, |target: f64| format!("{target:.0}"));
        let (kind, per_second) = (run.kind.name(), run.per_second);
        let gas = thousands((run.gas as f64 / run.seconds) as u64);
        writeln!(
            out,
            "| {kind} | {} | {per_second:.0} | {ratio} | {} | {gas} | {target} | {verdict} |",
            run.system, run.blocks
        )?;
        Ok(())
    }
}

fn time_line(
    out: &mut String,
    what: &str,
    spread: &Option<Spread>,
    target: &str,
    holds: impl Fn(&Spread) -> bool,
) -> Result<()> {
    if let Some(spread) = spread {
        let Spread { samples, p50, p99, max } = spread;
        let verdict = met(holds(spread));
        writeln!(out, "| {what} | {samples} | {p50:.0} ms | {p99:.0} ms | {max:.0} ms | {target} | {verdict} |")?;
    }
    Ok(())
}

const fn met(met: bool) -> &'static str {
    if met { "met" } else { "**missed**" }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Compares with the stored results, replaces them, and prints the table.
///
/// # Errors
/// On an I/O failure, or when the stored results are damaged.
pub fn publish(results: &Results, folder: &Path) -> Result<()> {
    let mut results = results.clone();
    results.ratios = results.ratios();
    let file = folder.join("results.json");
    let stored: Option<Results> = match std::fs::read(&file) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).wrap_err_with(|| format!("{} is damaged", file.display()))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).wrap_err_with(|| format!("cannot read {}", file.display())),
    };
    let markdown = results.markdown()?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(&file, serde_json::to_string_pretty(&results)? + "\n")?;
    std::fs::write(folder.join("results.md"), &markdown)?;
    println!("\n{markdown}");
    match stored {
        None => println!("There were no stored results to compare with."),
        Some(stored) if stored.conditions != results.conditions => {
            println!("Not compared: the stored results were measured under other conditions, {:?}.", stored.conditions);
        }
        Some(stored) => {
            let worse = results.regressions(&stored);
            println!("{} of the figures are worse than the stored ones by more than 20 %.", worse.len());
            for line in worse {
                println!("  REGRESSION  {line}");
            }
        }
    }
    println!("Written to {}.", file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(per_second: f64, p50: f64) -> Results {
        let conditions =
            Conditions { profile: "dev".to_owned(), threads: 2, load: 100, block_time: 500, short_block_time: 250 };
        let run = |system: &str, per_second: f64| Throughput {
            system: system.to_owned(),
            kind: Kind::Native,
            transactions: 100,
            seconds: 100.0 / per_second,
            per_second,
            blocks: 1,
            gas: 2_100_000,
        };
        let mut results = Results {
            conditions,
            gas: Vec::new(),
            throughput: vec![run("anvil", 1_000.0), run("Rota, 4 nodes", per_second)],
            receipt: Some(Spread { samples: 1, p50, p99: p50, max: p50 }),
            short_receipt: None,
            interval: None,
            failover: None,
            ratios: BTreeMap::new(),
        };
        results.ratios = results.ratios();
        results
    }

    #[test]
    fn only_what_got_worse_by_a_fifth_is_reported() {
        let stored = results(1_000.0, 400.0);
        assert!(results(810.0, 475.0).regressions(&stored).is_empty());
        assert!(results(2_000.0, 100.0).regressions(&stored).is_empty());
        let slower = results(790.0, 400.0).regressions(&stored);
        assert_eq!(slower, ["native transfers, Rota, 4 nodes / anvil: 0.79, stored 1.00"]);
        let later = results(1_000.0, 490.0).regressions(&stored);
        assert_eq!(later, ["time to receipt p50 / block time: 0.98, stored 0.80"]);
        let mut elsewhere = results(1.0, 5_000.0);
        elsewhere.conditions.threads = 64;
        assert!(elsewhere.regressions(&stored).is_empty());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }
}
