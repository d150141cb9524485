// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "forge-std/Vm.sol";

import {IAllocator} from "contracts/interfaces/IAllocator.sol";
import {ICoverFund} from "contracts/interfaces/ICoverFund.sol";
import {IERC7575Share} from "contracts/interfaces/IERC7575.sol";
import {IExitQueue} from "contracts/interfaces/IExitQueue.sol";
import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice What indexers read of liquid staking, beside the events that the tests of each entry assert.
contract LiquidEventsTest is LiquidFixture {
    function setUp() public {
        _deployLiquid();
    }

    function test_construction_namesTheAsset() public {
        vm.recordLogs();
        _deployLiquidOn(token, _config());
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 seen;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IERC7575Share.VaultUpdate.selector) continue;
            assertEq(logs[i].emitter, address(st));
            assertEq(address(uint160(uint256(logs[i].topics[1]))), address(token));
            assertEq(abi.decode(logs[i].data, (address)), address(st));
            ++seen;
        }
        assertEq(seen, 1);
    }

    function test_stake_goesAndComes() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        vm.expectEmit(address(st));
        emit IStakedToken.StakeDelegated(1, 237.5e18);
        st.delegate();
        allocator.setWeight(1, 0);
        uint32 cohort = _epoch();
        vm.expectEmit(address(st));
        emit IStakedToken.StakeUndelegated(1, cohort, 237.5e18);
        st.rebalance(1);
        vm.warp(vault.claimableFrom(cohort));
        vm.expectEmit(address(st));
        emit IStakedToken.TicketCollected(1, cohort, 237.5e18);
        st.collect(1, cohort);
        vm.expectEmit(address(allocator));
        emit IAllocator.OperatorUnlisted(1);
        allocator.unlist(1);
    }

    function test_gains_andFees() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        token.transfer(address(rewards), 100e18);
        rewards.credit(1, 100e18, _epoch() - 1);
        vm.expectEmit(address(st));
        emit IStakedToken.GainBooked(100e18, 10e18, block.timestamp + 4 * EPOCH);
        st.harvest(_one(1), 1);
        vm.expectEmit(address(st));
        emit IStakedToken.FeesCollected(TREASURY, 10e18);
        st.collectFees();
        vm.expectEmit(address(st));
        emit IStakedToken.FeeChanged(500, BOB);
        st.setFee(500, BOB);
    }

    function test_instantExit_tellsTheFee() public {
        uint256 shares = _deposit(ALICE, 1000e18) / 20;
        _nextEpoch();
        uint256 net = st.previewRedeem(shares);
        uint256 fee = st.convertToAssets(shares) - net;
        assertGt(fee, 0);
        vm.expectEmit(address(st));
        emit IStakedToken.InstantExit(ALICE, net, fee);
        vm.prank(ALICE);
        st.redeem(shares, ALICE, ALICE);
    }

    function test_exit_fromRequestToClaim() public {
        uint256 shares = _deposit(ALICE, 100e18);
        _request(ALICE, shares);
        vm.expectEmit(address(queue));
        emit IExitQueue.RequestCancelled(ALICE, CAROL, 1, shares / 4);
        vm.prank(ALICE);
        queue.cancelRedeem(1, shares / 4, CAROL, ALICE);
        shares -= shares / 4;
        vm.warp(queue.sealableFrom());
        vm.expectEmit(address(st));
        emit IStakedToken.ExitSealed(1, _epoch(), shares, 75e18);
        vm.expectEmit(address(queue));
        emit IExitQueue.BatchSealed(1, shares, 75e18);
        queue.seal();
        skip(EPOCH);
        vm.expectEmit(address(st));
        emit IStakedToken.ExitReleased(1, 75e18);
        vm.expectEmit(address(queue));
        emit IExitQueue.BatchFinalised(1, shares, 75e18);
        queue.finalize();
    }

    function test_loss_tellsWhoBoreIt() public {
        _deposit(ALICE, 999e18);
        _nextEpoch();
        _delegateAll();
        _fundCover(4e18);
        _harvest(1, 4e18);
        // 5 % of 237.5 and a wei; 3.6 of the gain have not vested.
        _slash(1, _epoch(), 0.05e18);
        uint256 loss = 11.875e18 + 1;
        vm.expectEmit(address(st));
        emit IStakedToken.LossApplied(1, loss, 0, 4e18, 3.6e18, 0, loss - 7.6e18);
        vm.expectEmit(address(st));
        emit IStakedToken.BunkerEntered(block.timestamp + 2 * EPOCH, _epoch());
        vm.expectEmit(address(cover));
        emit ICoverFund.Drawn(4e18, 0);
        st.sync(1);
    }
}
