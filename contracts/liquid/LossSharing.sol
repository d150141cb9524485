// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title LossSharing
/// @notice Who bears a slash: those who stay and the sealed exits whose stake still answered for the fault lose the same
/// percentage, whichever operator failed; exits sealed before it lose nothing (Q16).
/// @dev Pure, amounts in token wei. An exit sealed in epoch `e` backed the sets of `e` and `e + 1`: it answers for a fault
/// under `sigma` iff `e + 1 >= sigma`, as a cohort of the stake vault does.
library LossSharing {
    /// @notice What a holding of `value` is booked at after a slash of `fractionWad`: rounded down and one wei less, because
    /// the vault rounds its loss up over the whole pool. So the books never say more than the vault holds.
    function valueAfter(uint256 value, uint256 fractionWad) internal pure returns (uint256) {
        if (value == 0 || fractionWad >= 1e18) return 0;
        return FixedPointMathLib.zeroFloorSub(value - FixedPointMathLib.fullMulDivUp(value, fractionWad, 1e18), 1);
    }

    /// @notice Shares `loss` and lowers `exits` in place. Only when stayers and liable exits together cannot bear it, the
    /// uncollected fees and then all other exits pay the rest, the latter in proportion.
    /// @param loss What was lost, at most stayers + fees + all exits.
    /// @param stayers What belongs to those who stay.
    /// @param fees Fees nobody collected yet.
    /// @param exits What sealed exits are owed, oldest first.
    /// @param epochs When they were sealed.
    /// @param sigma Set of the fault.
    /// @return stayersPart Borne by those who stay, before cover and drip.
    /// @return feesPart Borne by the fees.
    /// @return exitsPart Sum borne by exits; rounded up for each.
    /// @return base What was liable before, stayers and exits.
    function share(
        uint256 loss,
        uint256 stayers,
        uint256 fees,
        uint256[] memory exits,
        uint32[] memory epochs,
        uint32 sigma
    ) internal pure returns (uint256 stayersPart, uint256 feesPart, uint256 exitsPart, uint256 base) {
        (uint256 liable, uint256 others) = _sums(exits, epochs, sigma);
        base = stayers + liable;
        uint256 borne = FixedPointMathLib.min(loss, base);
        exitsPart = _charge(borne, base, exits, epochs, sigma, true);
        stayersPart = FixedPointMathLib.zeroFloorSub(borne, exitsPart);
        uint256 rest = loss - borne;
        if (rest == 0) return (stayersPart, 0, exitsPart, base);
        feesPart = FixedPointMathLib.min(rest, fees);
        rest = FixedPointMathLib.min(rest - feesPart, others);
        exitsPart += _charge(rest, others, exits, epochs, sigma, false);
    }

    /// @notice True if an exit sealed in `epoch` answers for a fault under `sigma`.
    function isLiable(uint32 epoch, uint32 sigma) internal pure returns (bool) {
        return uint256(epoch) + 1 >= sigma;
    }

    function _sums(uint256[] memory exits, uint32[] memory epochs, uint32 sigma)
        private
        pure
        returns (uint256 liable, uint256 others)
    {
        for (uint256 i = 0; i < exits.length; ++i) {
            if (isLiable(epochs[i], sigma)) liable += exits[i];
            else others += exits[i];
        }
    }

    function _charge(
        uint256 loss,
        uint256 base,
        uint256[] memory exits,
        uint32[] memory epochs,
        uint32 sigma,
        bool liable
    ) private pure returns (uint256 charged) {
        if (loss == 0) return 0;
        for (uint256 i = 0; i < exits.length; ++i) {
            if (isLiable(epochs[i], sigma) != liable) continue;
            uint256 part = FixedPointMathLib.fullMulDivUp(exits[i], loss, base);
            exits[i] -= part;
            charged += part;
        }
    }
}
