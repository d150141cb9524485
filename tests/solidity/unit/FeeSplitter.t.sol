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

/// @dev A token that refuses to pay one account.
contract RefusingToken is ERC20("Refusing", "REF") {
    address private _refused;

    error Refused(address to);

    constructor() {
        _mint(msg.sender, 1e24);
    }

    function refuse(address to) external {
        _refused = to;
    }

    function _update(address from, address to, uint256 value) internal override {
        if (to != address(0) && to == _refused) revert Refused(to);
        super._update(from, to, value);
    }
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

    function test_settle_booksAndBurns() public {
        uint256 supply = token.totalSupply();
        token.transfer(address(feeSplitter), 100);
        vm.expectEmit(address(feeSplitter));
        emit IFeeSplitter.Settled(60, 40);
        feeSplitter.settle(60, 40);
        assertEq(feeSplitter.claimableEcosystem(), 60);
        assertEq(token.totalSupply(), supply - 40, "really burnt");
        assertEq(token.balanceOf(DEAD), 0);
        assertEq(token.balanceOf(address(feeSplitter)), 60);
    }

    /// @notice Several settlements add up, and the whole goes once, to the recipient of the day, whoever asks.
    function test_claimEcosystem() public {
        token.transfer(address(feeSplitter), 100);
        feeSplitter.settle(60, 40);
        token.transfer(address(feeSplitter), 7);
        feeSplitter.settle(5, 2);
        assertEq(feeSplitter.claimableEcosystem(), 65);
        vm.prank(network.timelock);
        feeSplitter.setEcosystemRecipient(guard);
        vm.expectEmit(address(feeSplitter));
        emit IFeeSplitter.EcosystemClaimed(guard, 65);
        assertEq(feeSplitter.claimEcosystem(), 65);
        assertEq(token.balanceOf(guard), 65);
        assertEq(token.balanceOf(address(feeSplitter)), 0);
        assertEq(feeSplitter.claimEcosystem(), 0, "once");
    }

    /// @notice What is booked is nobody else's: another settlement can neither spend nor destroy it.
    function test_settle_cannotSpendWhatIsBooked() public {
        token.transfer(address(feeSplitter), 60);
        feeSplitter.settle(60, 0);
        vm.expectRevert(abi.encodeWithSelector(IFeeSplitter.FeeSplitter_NotFunded.selector, 60, 61));
        feeSplitter.settle(1, 0);
        vm.expectRevert(abi.encodeWithSelector(IFeeSplitter.FeeSplitter_NotFunded.selector, 60, 61));
        feeSplitter.settle(0, 1);
        feeSplitter.settle(0, 0);
        assertEq(token.balanceOf(address(feeSplitter)), 60);
    }

    /// @notice A recipient that the token refuses to pay holds up its own payment only.
    function test_settle_asksNoRecipient() public {
        RefusingToken refusing = new RefusingToken();
        IFeeSplitter splitter = _splitter(address(refusing));
        refusing.transfer(address(splitter), 100);
        refusing.refuse(ecosystem);
        splitter.settle(60, 40);
        assertEq(refusing.balanceOf(DEAD), 40);
        vm.expectRevert(abi.encodeWithSelector(RefusingToken.Refused.selector, ecosystem));
        splitter.claimEcosystem();
        assertEq(splitter.claimableEcosystem(), 60, "still there");
        vm.prank(network.timelock);
        splitter.setEcosystemRecipient(guard);
        assertEq(splitter.claimEcosystem(), 60);
        assertEq(refusing.balanceOf(guard), 60);
    }

    /// @notice A token that lets nothing be destroyed stops no settlement either; the rest goes with a later one.
    function test_settle_withBurnRefused_isRepeated() public {
        RefusingToken refusing = new RefusingToken();
        IFeeSplitter splitter = _splitter(address(refusing));
        refusing.transfer(address(splitter), 100);
        refusing.refuse(DEAD);
        vm.expectEmit(address(splitter));
        emit IFeeSplitter.BurnPostponed(40);
        splitter.settle(60, 40);
        assertEq(refusing.balanceOf(address(splitter)), 100);
        assertEq(splitter.claimableEcosystem(), 60);
        assertEq(splitter.postponedBurn(), 40);
        // Nobody can have it booked instead.
        vm.expectRevert(abi.encodeWithSelector(IFeeSplitter.FeeSplitter_NotFunded.selector, 100, 140));
        splitter.settle(40, 0);
        refusing.refuse(address(0));
        splitter.settle(0, 0);
        assertEq(splitter.postponedBurn(), 0);
        assertEq(refusing.balanceOf(DEAD), 40);
        assertEq(refusing.balanceOf(address(splitter)), 60);
    }

    function test_settle_destroysStrayTokens() public {
        uint256 supply = token.totalSupply();
        token.transfer(address(feeSplitter), 107);
        feeSplitter.settle(60, 40);
        assertEq(token.totalSupply(), supply - 47);
        assertEq(feeSplitter.claimableEcosystem(), 60);
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
        assertEq(plain.balanceOf(address(splitter)), 60);
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
