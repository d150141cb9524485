// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {Test} from "forge-std/Test.sol";

interface IBurnable {
    function burn(uint256 value) external;
}

/// @notice The devnet's native token: a fixed supply, permits, burning.
contract NativeTokenTest is Test {
    IERC20Metadata internal token;

    function setUp() public {
        token = IERC20Metadata(
            vm.deployCode("NativeToken.sol:NativeToken", abi.encode("Rota", "ROTA", 1000e18, address(this)))
        );
    }

    function test_supply_isMintedOnce() public view {
        assertEq(token.name(), "Rota");
        assertEq(token.symbol(), "ROTA");
        assertEq(token.decimals(), 18);
        assertEq(token.totalSupply(), 1000e18);
        assertEq(token.balanceOf(address(this)), 1000e18);
    }

    function test_burn_shrinksTheSupply() public {
        IBurnable(address(token)).burn(400e18);
        assertEq(token.totalSupply(), 600e18);
    }

    function test_permit_allows() public {
        (address holder, uint256 key) = makeAddrAndKey("holder");
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                holder,
                address(this),
                7,
                0,
                block.timestamp
            )
        );
        bytes32 domain = IERC20Permit(address(token)).DOMAIN_SEPARATOR();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, permit)));
        IERC20Permit(address(token)).permit(holder, address(this), 7, block.timestamp, v, r, s);
        assertEq(token.allowance(holder, address(this)), 7);
    }
}
