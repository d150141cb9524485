//! Amounts of the native token as people write them.

use alloy::primitives::{
    U256,
    utils::{format_ether, parse_units},
};
use eyre::{Result, bail, eyre};

/// Parses an amount in whole tokens (`12`, `0.5`) or in the smallest unit (`5wei`, `7gwei`).
///
/// # Errors
/// On an empty, negative or over-precise number, naming what was given.
pub fn parse_amount(text: &str) -> Result<U256> {
    let text = text.trim();
    let (number, unit, decimals) = match (text.strip_suffix("gwei"), text.strip_suffix("wei")) {
        (Some(number), _) => (number.trim(), "gwei", 9),
        (None, Some(number)) => (number.trim(), "wei", 0),
        (None, None) => (text, "ether", 18),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        bail!("'{text}' is not an amount: write whole tokens such as 12 or 0.5, or 5wei");
    }
    // The library drops digits it has no room for; whoever typed them meant them.
    if fraction.trim_end_matches('0').len() > decimals {
        bail!("'{text}' has more than {decimals} decimals");
    }
    let parsed = parse_units(&format!("{whole}.{fraction}"), unit);
    Ok(parsed.map_err(|error| eyre!("'{text}' is not an amount: {error}"))?.get_absolute())
}

/// Shows an amount in whole tokens without trailing zeros: `12`, `0.5`.
pub fn show_amount(amount: U256) -> String {
    let text = format_ether(amount);
    let trimmed = text.trim_end_matches('0').trim_end_matches('.');
    if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_trip_through_text() {
        for (text, wei, shown) in [
            ("1", "1000000000000000000", "1"),
            ("0.5", "500000000000000000", "0.5"),
            ("5wei", "5", "0.000000000000000005"),
            ("7gwei", "7000000000", "0.000000007"),
            ("100000", "100000000000000000000000", "100000"),
        ] {
            let parsed = parse_amount(text).unwrap();
            assert_eq!(parsed.to_string(), wei, "{text}");
            assert_eq!(show_amount(parsed), shown, "{text}");
        }
        assert_eq!(show_amount(U256::ZERO), "0");
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for text in
            ["", "-1", "+3", "abc", "1.0000000000000000001", "0.5wei", "0x10", "1,5", "1.", ".5", "1.2.3", "1e3"]
        {
            let error = parse_amount(text).unwrap_err().to_string();
            assert!(error.contains(text), "{text}: {error}");
        }
    }
}
