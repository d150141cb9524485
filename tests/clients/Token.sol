// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice An ordinary ERC-20 for the client checks, with the ways a call can fail.
contract Token is ERC20 {
    /// @notice A custom error with values.
    error Token_Refused(uint256 value);

    constructor(uint256 supply) ERC20("Client check", "CHECK") {
        _mint(msg.sender, supply);
    }

    /// @notice Reverts with `Error(string)`.
    function failWithReason() external pure {
        revert("not today");
    }

    /// @notice Reverts with a custom error.
    function failWithError(uint256 value) external pure {
        revert Token_Refused(value);
    }

    /// @notice Reverts with `Panic(0x11)`.
    function failWithPanic(uint256 value) external pure returns (uint256) {
        return value - 1;
    }

    /// @notice Reverts without data.
    function failSilently() external pure {
        assembly {
            revert(0, 0)
        }
    }
}
