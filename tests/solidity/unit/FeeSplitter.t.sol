// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IFeeSplitter} from "contracts/interfaces/IFeeSplitter.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @dev A token that has no `burn`.
contract PlainToken is ERC20("Plain", "PLN") {
    constructor() {
        _mint(msg.sender, 1e24);
    }
}

/// @dev A token that answers every unknown call, `burn` too, and does nothing.
contract SwallowingToken is ERC20("Swallow", "SWL") {
    constructor() {
        _mint(msg.sender, 1e24);
    }

    fallback() external {}
}

/// @notice The split table and the burn (protocol section 9).
contract FeeSplitterTest is NetworkKit {
    address internal constant DEAD = 0x000000000000000000000000000000000000dEaD;

    function setUp() public {
        _deployNetwork();
    }

    function test_baseFee_split() public view {
        (uint256 pool, uint256 toEcosystem, uint256 burnt) = feeSplitter.splitBaseFee(1000);
        assertEq(pool, 400);
        assertEq(toEcosystem, 300);
        assertEq(burnt, 300);
    }

    function test_priorityFee_split() public view {
        (uint256 leader, uint256 pool, uint256 toEcosystem) = feeSplitter.splitPriorityFee(1000);
        assertEq(leader, 200);
        assertEq(pool, 600);
        assertEq(toEcosystem, 200);
    }

    function testFuzz_splits_neverExceedTheAmount(uint128 amount) public view {
        (uint256 a, uint256 b, uint256 c) = feeSplitter.splitBaseFee(amount);
        assertLe(a + b + c, amount);
        assertGe(a + b + c + 2, amount, "at most two wei of rounding");
        (a, b, c) = feeSplitter.splitPriorityFee(amount);
        assertLe(a + b + c, amount);
        assertGe(a + b + c + 2, amount);
    }

    function test_settle_paysAndBurns() public {
        uint256 supply = token.totalSupply();
        token.transfer(address(feeSplitter), 100);
        vm.expectEmit(address(feeSplitter));
        emit IFeeSplitter.Settled(ecosystem, 60, 40);
        feeSplitter.settle(60, 40);
        assertEq(token.balanceOf(ecosystem), 60);
        assertEq(token.totalSupply(), supply - 40, "really burnt");
        assertEq(token.balanceOf(DEAD), 0);
        assertEq(token.balanceOf(address(feeSplitter)), 0);
    }

    function test_settle_destroysStrayTokens() public {
        uint256 supply = token.totalSupply();
        token.transfer(address(feeSplitter), 107);
        feeSplitter.settle(60, 40);
        assertEq(token.totalSupply(), supply - 47);
    }

    function test_settle_needsTheTokens() public {
        token.transfer(address(feeSplitter), 99);
        vm.expectRevert(abi.encodeWithSelector(IFeeSplitter.FeeSplitter_NotFunded.selector, 99, 100));
        feeSplitter.settle(60, 40);
    }

    function test_settle_withoutBurn_sendsToDead() public {
        IERC20 plain = new PlainToken();
        IFeeSplitter splitter = _splitter(address(plain));
        plain.transfer(address(splitter), 100);
        splitter.settle(60, 40);
        assertEq(plain.balanceOf(ecosystem), 60);
        assertEq(plain.balanceOf(DEAD), 40);
    }

    function test_settle_withBurnThatDoesNothing_sendsToDead() public {
        IERC20 swallowing = IERC20(address(new SwallowingToken()));
        IFeeSplitter splitter = _splitter(address(swallowing));
        swallowing.transfer(address(splitter), 100);
        splitter.settle(0, 100);
        assertEq(swallowing.balanceOf(DEAD), 100);
    }

    function test_recipient_isGoverned() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        feeSplitter.setEcosystemRecipient(address(this));
        vm.startPrank(network.timelock);
        vm.expectRevert(abi.encodeWithSelector(IFeeSplitter.FeeSplitter_InvalidRecipient.selector, address(0)));
        feeSplitter.setEcosystemRecipient(address(0));
        vm.expectRevert(abi.encodeWithSelector(IFeeSplitter.FeeSplitter_InvalidRecipient.selector, feeSplitter));
        feeSplitter.setEcosystemRecipient(address(feeSplitter));
        vm.expectEmit(address(feeSplitter));
        emit IFeeSplitter.EcosystemRecipientChanged(address(this));
        feeSplitter.setEcosystemRecipient(address(this));
        assertEq(feeSplitter.ecosystemRecipient(), address(this));
        assertEq(feeSplitter.token(), address(token));
        assertEq(feeSplitter.DEAD(), DEAD);
    }

    function _splitter(address asset) private returns (IFeeSplitter) {
        return
            IFeeSplitter(
                vm.deployCode("FeeSplitter.sol:FeeSplitter", abi.encode(asset, ecosystem, network.accessManager))
            );
    }
}
