// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {IAuthority} from "@openzeppelin/contracts/access/manager/IAuthority.sol";

/// @title Governed
/// @notice Functions that an OpenZeppelin `AccessManager` lets call: whoever may call at once, or the manager itself when it
/// executes what was scheduled there.
/// @dev What the staked token needs of `AccessManaged`, in a tenth of its size (EIP-170): the authority is fixed, and a
/// scheduled call is executed through the manager only.
abstract contract Governed {
    /// @notice The `AccessManager`.
    address public immutable authority;

    constructor(address authority_) {
        authority = authority_;
    }

    /// @dev Reverts with `AccessManagedUnauthorized`.
    modifier restricted() {
        if (!IAuthority(authority).canCall(msg.sender, address(this), msg.sig)) {
            revert IAccessManaged.AccessManagedUnauthorized(msg.sender);
        }
        _;
    }
}
