// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title Native token
/// @notice The gas currency of the L2 as an 18-decimal ERC-20 on L1, with EIP-2612 permits and burning, for devnets and
/// tests. A network with its own token passes that token's address to the deployment instead.
/// @dev The supply is minted once, to `holder`; nobody can mint more.
contract NativeToken is ERC20, ERC20Burnable, ERC20Permit {
    /// @param name_ ERC-20 name, also the name of the permit domain
    /// @param symbol_ ERC-20 symbol
    /// @param supply wei of the whole supply
    /// @param holder who receives it
    constructor(string memory name_, string memory symbol_, uint256 supply, address holder)
        ERC20(name_, symbol_)
        ERC20Permit(name_)
    {
        _mint(holder, supply);
    }
}
