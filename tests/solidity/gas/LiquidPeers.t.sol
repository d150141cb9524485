// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC4626 as OpenZeppelinERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";
import {ERC4626 as SoladyERC4626} from "solady/tokens/ERC4626.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

contract OpenZeppelinVault is OpenZeppelinERC4626 {
    constructor(IERC20 asset_) ERC20("peer", "PEER") OpenZeppelinERC4626(asset_) {}
}

contract SoladyVault is SoladyERC4626 {
    address private immutable ASSET;

    constructor(address asset_) {
        ASSET = asset_;
    }

    function asset() public view override returns (address) {
        return ASSET;
    }

    function name() public pure override returns (string memory) {
        return "peer";
    }

    function symbol() public pure override returns (string memory) {
        return "PEER";
    }
}

interface IVault is IERC20 {
    function deposit(uint256 assets, address receiver) external returns (uint256 shares);
    function redeem(uint256 shares, address receiver, address owner) external returns (uint256 assets);
}

/// @notice Gas of plain ERC-4626 vaults over the same token in the scenario of `Liquid.t.sol`: what a share costs that has no
/// stake, no slashes and no exits to keep books of.
/// forge-config: default.isolate = true
contract LiquidPeersGasTest is StakingFixture {
    string private constant GROUP = "LiquidPeers";
    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);
    address private constant CAROL = address(0xCA201);

    function setUp() public {
        _deploy(8, 16);
    }

    function test_gas_openZeppelin() public {
        _scenario(IVault(address(new OpenZeppelinVault(IERC20(address(token))))), "OpenZeppelin");
    }

    function test_gas_solady() public {
        _scenario(IVault(address(new SoladyVault(address(token)))), "Solady");
    }

    function _scenario(IVault vault_, string memory peer) private {
        _deposit(vault_, ALICE, 1000e18);
        _deposit(vault_, BOB, 100e18);
        // A gain, so that a share is not one token.
        token.transfer(address(vault_), 37e18);
        token.transfer(CAROL, 1000e18);
        vm.prank(CAROL);
        token.approve(address(vault_), 20e18);
        vm.prank(CAROL);
        vault_.deposit(20e18, CAROL);
        _measured(peer, "deposit, new holder");
        vm.prank(CAROL);
        token.approve(address(vault_), 10e18);
        vm.prank(CAROL);
        vault_.deposit(10e18, CAROL);
        _measured(peer, "deposit");
        vm.prank(ALICE);
        vault_.transfer(address(0xDA7E), 1e18);
        _measured(peer, "transfer, new holder");
        vm.prank(ALICE);
        vault_.transfer(address(0xDA7E), 1e18);
        _measured(peer, "transfer");
        token.transfer(ALICE, 1);
        vm.prank(ALICE);
        vault_.redeem(1e18, ALICE, ALICE);
        _measured(peer, "redeem");
    }

    function _deposit(IVault vault_, address who, uint256 amount) private {
        token.transfer(who, amount);
        vm.startPrank(who);
        token.approve(address(vault_), amount);
        vault_.deposit(amount, who);
        vm.stopPrank();
    }

    function _measured(string memory peer, string memory action) private {
        uint256 used = vm.snapshotGasLastCall(GROUP, string.concat(peer, ": ", action));
        assertGt(used, 21_000, "run with --isolate");
    }
}
