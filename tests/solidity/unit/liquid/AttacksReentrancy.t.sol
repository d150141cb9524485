// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IRouter} from "contracts/interfaces/IRouter.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @dev A token with hooks, as ERC-777 has them: it calls back in the n-th transfer from now, before the balances move or after.
contract HookToken is ERC20("Hook", "HOOK") {
    address private _target;
    bytes private _call;
    uint256 private _skip;
    bool private _late;
    uint256 public transfers;
    bool public succeeded;
    bytes public answer;

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function arm(address target, bytes calldata call, uint256 skip, bool late) external {
        (_target, _call, _skip, _late) = (target, call, skip, late);
        (succeeded, answer) = (false, "");
    }

    function _update(address from, address to, uint256 value) internal override {
        ++transfers;
        bool now_ = _target != address(0) && _skip == 0;
        if (_target != address(0) && !now_) --_skip;
        if (now_ && !_late) _fire();
        super._update(from, to, value);
        if (now_ && _late) _fire();
    }

    function _fire() private {
        address target = _target;
        _target = address(0);
        (succeeded, answer) = target.call(_call);
    }
}

/// @notice A native token that calls back. Every door is tried in the middle of every other one, at each of its transfers: it
/// is closed, or what it does is what it had done before or after, to the wei. And no price is told that is neither that of
/// before nor that of after.
contract LiquidReentrancyTest is LiquidFixture {
    address private constant EVE = address(0xE7E);
    uint256 private constant DOORS = 24;
    /// @dev Of these the first are guarded by the staked token.
    uint256 private constant GUARDED = 10;
    /// @dev The first of three that take tokens on behalf of the caller.
    uint256 private constant MEASURING = 19;

    struct Door {
        address target;
        bytes call;
    }

    HookToken private hook;
    IRouter private router;
    bool private outerDone;
    uint32 private ticketOf;
    uint32 private cohort;

    /// @dev Stake, a matured ticket, a finalised batch, a payable one and an open one that can be sealed; rewards, fees, a gift and
    /// cover; and the token that calls back may do all that Eve may.
    function setUp() public {
        _deployLiquid();
        hook = new HookToken();
        hook.mint(address(this), 1_000_000e18);
        vault = IStakeVault(vm.deployCode("StakeVault.sol:StakeVault", abi.encode(_vaultConfig(address(hook)))));
        IStakedToken.Config memory config = _config();
        config.maxShareBps = 10_000;
        _deployLiquidOn(IERC20(address(hook)), config);
        router = IRouter(vm.deployCode("Router.sol:Router", abi.encode(address(st), address(1))));
        for (uint32 id = 1; id <= 4; ++id) {
            allocator.setWeight(id, 100);
        }
        _toEpoch(_epoch() + RAMP);
        _enter(EVE);
        _enter(address(hook));
        vm.startPrank(EVE);
        share.approve(address(hook), type(uint256).max);
        queue.setOperator(address(hook), true);
        vm.stopPrank();
        _nextEpoch();
        _delegateAll();
        _reward(10e18);
        st.harvest(_one(1), 8);

        _leave(40e18);
        uint32 early = _epoch();
        _nextEpoch();
        _leave(20e18);
        cohort = _epoch();
        _deposit(ALICE, 200e18);
        vm.warp(vault.claimableFrom(cohort));
        for (uint32 id = 1; id <= 4; ++id) {
            if (st.ticketOf(id, early) != 0) st.collect(id, early);
            if (st.ticketOf(id, cohort) != 0) ticketOf = id;
        }
        queue.finalize();
        _reward(9e18);
        hook.transfer(address(st), 3e18);
        hook.transfer(address(cover), 5e18);
        cover.book();
        hook.transfer(address(cover), 2e18);
        _request(EVE, 10e18);
        _request(address(hook), 10e18);
        vm.warp(queue.sealableFrom());
    }

    function test_reentrancy_everyDoorWithinEveryOther() public {
        assertGe(_tryAll(), 912, "pairs tried");
    }

    /// @notice The same while a slash waits to be applied, which lets the cover fund pay within each of them.
    function test_reentrancy_everyDoorWithinEveryOther_aSlashToApply() public {
        _slash(1, _epoch(), 0.001e18);
        assertGe(_tryAll(), 1728, "pairs tried");
    }

    /// @notice What others read in the middle of an action is the price of before or of after.
    function test_reentrancy_noPriceInBetween() public {
        _checkPrices();
        _slash(1, _epoch(), 0.001e18);
        _checkPrices();
    }

    // --- trying

    function _tryAll() private returns (uint256 tried) {
        // More than the gas of a test.
        vm.pauseGasMetering();
        for (uint256 i = 0; i < DOORS; ++i) {
            tried += this.tryWithin(i);
        }
    }

    /// @dev All doors within door `i`. A call of its own, so that its memory is free after it.
    function tryWithin(uint256 i) external returns (uint256 tried) {
        Door memory outer = _doors(EVE)[i];
        Door[] memory inner = _doors(address(hook));
        uint256 start = vm.snapshotState();
        (bytes32 alone, uint256 halves) = _alone(outer);
        for (uint256 j = 0; j < DOORS; ++j) {
            for (uint256 n = 0; n < halves; ++n) {
                vm.revertToState(start);
                _within(outer, inner[j], n);
                _check(i, j, alone, start, outer, inner[j]);
                ++tried;
            }
        }
        vm.revertToState(start);
    }

    /// @dev What a door does by itself, and how often it lets the token call: before and after each transfer.
    function _alone(Door memory door) private returns (bytes32 digest, uint256 halves) {
        uint256 before = hook.transfers();
        assertTrue(_enterDoor(EVE, door), "each door is open by itself");
        return (_digest(), 2 * (hook.transfers() - before));
    }

    /// @dev Goes through one door; at the n-th chance the token goes through the other.
    function _within(Door memory outer, Door memory inner, uint256 n) private {
        hook.arm(inner.target, inner.call, n / 2, n % 2 == 1);
        outerDone = _enterDoor(EVE, outer);
    }

    function _check(uint256 i, uint256 j, bytes32 alone, uint256 start, Door memory outer, Door memory inner) private {
        string memory pair = string.concat(vm.toString(j), " within ", vm.toString(i));
        (bool done, bool entered) = (outerDone, hook.succeeded());
        bytes32 found = _digest();
        if (i < GUARDED && j < GUARDED) {
            assertTrue(done, pair);
            assertFalse(entered, pair);
            assertEq(bytes4(hook.answer()), ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector, pair);
        }
        if (done && !entered) {
            assertEq(found, alone, pair);
            return;
        }
        vm.revertToState(start);
        bool first = _enterDoor(address(hook), inner);
        bool second = _enterDoor(EVE, outer);
        if (!done) {
            // Refused as a whole: where what arrives is measured, or if it fails after the other one anyway.
            assertTrue(!second || (i >= MEASURING && i < MEASURING + 3), pair);
            return;
        }
        if (first && found == _digest()) return;
        vm.revertToState(start);
        _enterDoor(EVE, outer);
        _enterDoor(address(hook), inner);
        assertEq(found, _digest(), pair);
    }

    function _checkPrices() private {
        Door[] memory outer = _doors(EVE);
        Door memory look = Door(address(st), abi.encodeCall(st.convertToAssets, (1e27)));
        uint256 start = vm.snapshotState();
        uint256 before = st.convertToAssets(1e27);
        uint256 looked;
        for (uint256 i = 0; i < DOORS; ++i) {
            (, uint256 halves) = _alone(outer[i]);
            for (uint256 n = 0; n < halves; ++n) {
                vm.revertToState(start);
                _within(outer[i], look, n);
                assertTrue(hook.succeeded(), "a view");
                uint256 told = abi.decode(hook.answer(), (uint256));
                assertTrue(told == before || told == st.convertToAssets(1e27), vm.toString(i));
                ++looked;
            }
            vm.revertToState(start);
        }
        assertGe(looked, 38);
    }

    function _enterDoor(address who, Door memory door) private returns (bool done) {
        vm.prank(who);
        (done,) = door.target.call(door.call);
    }

    /// @dev All doors as `who` goes through them: what comes out is its, what it leaves with is Eve's.
    function _doors(address who) private view returns (Door[] memory d) {
        d = new Door[](DOORS);
        IRouter.Permit memory none;
        d[0] = Door(address(st), abi.encodeCall(st.deposit, (7e18, who)));
        d[1] = Door(address(st), abi.encodeCall(st.mint, (7e18, who)));
        d[2] = Door(address(st), abi.encodeCall(st.withdraw, (2e18, who, EVE)));
        d[3] = Door(address(st), abi.encodeCall(st.redeem, (2e18, who, EVE)));
        d[4] = Door(address(st), abi.encodeCall(st.harvest, (_one(1), 8)));
        d[5] = Door(address(st), abi.encodeCall(st.skim, ()));
        d[6] = Door(address(st), abi.encodeCall(st.delegate, ()));
        d[7] = Door(address(st), abi.encodeCall(st.collect, (ticketOf, cohort)));
        d[8] = Door(address(st), abi.encodeCall(st.collectFees, ()));
        d[9] = Door(address(st), abi.encodeCall(st.sync, (type(uint256).max)));
        d[10] = Door(address(share), abi.encodeCall(share.transfer, (CAROL, 1e18)));
        d[11] = Door(address(cover), abi.encodeCall(cover.book, ()));
        d[12] = Door(address(queue), abi.encodeCall(queue.seal, ()));
        d[13] = Door(address(queue), abi.encodeCall(queue.finalize, ()));
        d[14] = Door(address(queue), abi.encodeCall(queue.claim, (1, who, EVE)));
        d[15] = Door(address(queue), abi.encodeCall(queue.redeem, (5e18, who, EVE)));
        d[16] = Door(address(queue), abi.encodeCall(queue.withdraw, (5e18, who, EVE)));
        d[17] = Door(address(queue), abi.encodeCall(queue.requestRedeem, (3e18, who, EVE)));
        d[18] = Door(address(queue), abi.encodeCall(queue.cancelRedeem, (3, 3e18, who, EVE)));
        d[19] = Door(address(queue), abi.encodeCall(queue.deposit, (7e18, who)));
        d[20] = Door(address(queue), abi.encodeCall(queue.mint, (7e18, who)));
        d[21] = Door(address(router), abi.encodeCall(router.deposit, (7e18, who, 0, block.timestamp, address(0), none)));
        d[22] = Door(address(router), abi.encodeCall(router.redeemInstantly, (2e18, who, 0, block.timestamp, none)));
        d[23] = Door(address(router), abi.encodeCall(router.requestExit, (3e18, none)));
    }

    /// @dev Everything that the doors move.
    function _digest() private view returns (bytes32 digest) {
        address[10] memory all = [
            EVE,
            address(hook),
            CAROL,
            TREASURY,
            address(st),
            address(queue),
            address(cover),
            address(vault),
            address(rewards),
            address(router)
        ];
        digest = keccak256(abi.encode(st.position(), st.liquidity(), share.totalSupply(), cover.held()));
        for (uint256 i = 0; i < all.length; ++i) {
            digest = keccak256(abi.encode(digest, hook.balanceOf(all[i]), share.balanceOf(all[i])));
        }
        for (uint256 id = 1; id <= 4; ++id) {
            digest = keccak256(
                abi.encode(
                    digest,
                    queue.batchOf(id),
                    queue.pendingRedeemRequest(id, EVE) + queue.claimableRedeemRequest(id, EVE),
                    queue.pendingRedeemRequest(id, address(hook)) + queue.claimableRedeemRequest(id, address(hook)),
                    st.activeOf(uint32(id))
                )
            );
        }
        digest = keccak256(abi.encode(digest, queue.openBatch(), queue.nextToFinalise(), st.syncedSlashes()));
    }

    // --- the stage

    function _enter(address who) private {
        hook.transfer(who, 500e18);
        vm.startPrank(who);
        hook.approve(address(st), type(uint256).max);
        hook.approve(address(queue), type(uint256).max);
        hook.approve(address(router), type(uint256).max);
        share.approve(address(router), type(uint256).max);
        st.deposit(400e18, who);
        vm.stopPrank();
    }

    function _leave(uint256 shares) private {
        _request(EVE, shares);
        _request(address(hook), shares);
        _seal();
    }

    function _reward(uint256 amount) private {
        hook.transfer(address(rewards), amount);
        rewards.credit(1, amount, _epoch() - 1);
    }
}
