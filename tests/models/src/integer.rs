//! Exact integers with the rounding in the name.

use alloy_primitives::{U256, U512};

/// `a * b / c`, rounded down; `None` if `c` is zero or the result does not fit.
pub fn mul_div_down(a: U256, b: U256, c: U256) -> Option<U256> {
    if c.is_zero() {
        return None;
    }
    match a.checked_mul(b) {
        Some(product) => Some(product / c),
        None => narrow(a.widening_mul::<256, 4, 512, 8>(b) / U512::from(c)),
    }
}

/// `a * b / c`, rounded up; `None` if `c` is zero or the result does not fit.
pub fn mul_div_up(a: U256, b: U256, c: U256) -> Option<U256> {
    if c.is_zero() {
        return None;
    }
    match a.checked_mul(b) {
        Some(product) => Some(product.div_ceil(c)),
        None => narrow(a.widening_mul::<256, 4, 512, 8>(b).div_ceil(U512::from(c))),
    }
}

fn narrow(wide: U512) -> Option<U256> {
    (wide.bit_len() <= 256).then(|| U256::from_limbs_slice(&wide.as_limbs()[..4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_the_name_says() {
        let n = U256::from::<u64>;
        assert_eq!(mul_div_down(n(7), n(3), n(2)), Some(n(10)));
        assert_eq!(mul_div_up(n(7), n(3), n(2)), Some(n(11)));
        assert_eq!(mul_div_up(n(8), n(3), n(2)), Some(n(12)));
        assert_eq!(mul_div_down(n(1), n(1), n(0)), None);
        assert_eq!(mul_div_up(n(1), n(1), n(0)), None);
    }

    #[test]
    fn products_beyond_256_bits_are_exact() {
        let max = U256::MAX;
        assert_eq!(mul_div_down(max, max, max), Some(max));
        assert_eq!(mul_div_down(max, U256::from(2), U256::from(3)), Some(max / U256::from(3) * U256::from(2)));
        assert_eq!(mul_div_up(max, max - U256::ONE, max), Some(max - U256::ONE));
        assert_eq!(mul_div_down(max, U256::from(2), U256::ONE), None);
    }
}
