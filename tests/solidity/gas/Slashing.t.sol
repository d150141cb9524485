// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";

import {SlashingFixture} from "../harness/SlashingFixture.sol";

/// @dev One delegator: puts in what it holds and takes half of it out again.
contract Delegator {
    function join(IERC20 token, IStakeVault vault, uint32 id) external {
        uint256 amount = token.balanceOf(address(this));
        token.approve(address(vault), amount);
        vault.undelegate(id, vault.delegate(id, amount) / 2);
    }
}

/// @dev Many delegators in few transactions.
contract Crowd {
    function join(IERC20 token, IStakeVault vault, uint32 id, uint256 count) external {
        for (uint256 i = 0; i < count; ++i) {
            Delegator delegator = new Delegator();
            token.transfer(address(delegator), 2e18);
            delegator.join(token, vault, id);
        }
    }
}

/// @notice Gas of penalties as transactions of their own (a module is an account here; what a proof adds is measured with
/// the modules), with the unbonding time and the windows of mainnet. Run with `--isolate`.
contract SlashingGas is SlashingFixture {
    string private constant GROUP = "Slashing";
    uint32 private constant SIGMA = 22;
    uint64 private constant TOTAL = 1_000_000;

    function setUp() public {
        _deploySlashing(8, 16);
        _toEpoch(20);
        for (uint256 i = 0; i < 8; ++i) {
            _operator(i, 1000e18);
        }
        _toEpoch(21);
        for (uint8 i = 0; i < 8; ++i) {
            set.takeSeat(i + 1, i);
        }
        _freeze(SIGMA);
        _toEpoch(SIGMA);
    }

    function _unbonding() internal pure override returns (uint32) {
        return 23;
    }

    function _slasherConfig() internal view override returns (ISlasher.Config memory config) {
        config = super._slasherConfig();
        (config.evidenceEpochs, config.correlationEpochs) = (4, 2);
    }

    /// @notice S5: a slash costs the same with 1, 10, 1,000 and 10,000 delegators, all of them with stake in the pool and in
    /// the cohort.
    function test_gas_S5_independentOfDelegators() public {
        _first();
        uint256 one = _convictAfter(1, 1, "convict, 1 delegator");
        assertEq(_convictAfter(2, 10, "convict, 10 delegators"), one);
        assertEq(_convictAfter(3, 1000, "convict, 1,000 delegators"), one);
        assertEq(_convictAfter(4, 10_000, "convict, 10,000 delegators"), one);
        assertLe(one, 250_000);
    }

    /// @notice What does count: the cohorts that have something to lose. The window is read in any case.
    function test_gas_cohorts() public {
        uint8[5] memory open = [0, 1, 6, 13, 25];
        uint32 last = SIGMA + 25;
        // No other set is frozen, so evidence against SIGMA stays good and every cohort can be open. In the last epoch
        // nobody leaves: then the slash itself opens the pool's checkpoint, the dearer case.
        for (uint32 epoch = SIGMA; epoch < last; ++epoch) {
            _toEpoch(epoch);
            for (uint32 i = 0; i < open.length; ++i) {
                if (epoch - SIGMA < open[i]) _undelegate(_owner(i), i + 1, 1e18);
            }
        }
        _toEpoch(last);
        _first();
        uint256[5] memory used;
        for (uint32 i = 0; i < open.length; ++i) {
            _convict(i + 1, SIGMA, 1, TOTAL);
            used[i] = _snapshot(string.concat("convict, cohorts open of 26 in reach: ", vm.toString(open[i])));
            // The same for each.
            if (i != 0) assertApproxEqAbs(used[i] - used[0], uint256(open[i]) * (used[1] - used[0]), 100);
        }
        assertLe(used[1] - used[0], 5000, "cost of a cohort");
        assertLe(used[4], 370_000, "all cohorts open");
    }

    /// @notice In ordinary operation evidence is at most `EVIDENCE_EPOCHS` old, so six cohorts are in reach.
    function test_gas_ordinary() public {
        for (uint32 epoch = SIGMA; epoch <= SIGMA + 4; ++epoch) {
            if (epoch != SIGMA) _freezeUntil(epoch, epoch);
            _undelegate(_owner(0), 1, 1e18);
        }
        _first();
        _convict(1, SIGMA, 1, TOTAL);
        assertLe(_snapshot("convict, at the age limit, every cohort open"), 280_000);
        _convict(2, SIGMA, TOTAL / 10, TOTAL);
        vm.prank(address(0xB0B));
        slashing.topUp(1);
        assertLe(_snapshot("topUp, every cohort open"), 180_000);
    }

    /// @notice Later proofs of one operator: the staircase, and what a top-up of all of its steps costs.
    function test_gas_staircase() public {
        for (uint32 epoch = SIGMA; epoch <= SIGMA + 4; ++epoch) {
            if (epoch != SIGMA) _freezeUntil(epoch, epoch);
            _undelegate(_owner(0), 1, 1e18);
        }
        _first();
        _convict(1, SIGMA + 4, 1, TOTAL);
        _convict(1, SIGMA + 2, 1, TOTAL);
        assertLe(_snapshot("convict again, of who left in between"), 190_000);
        _convict(1, SIGMA + 3, TOTAL / 10, TOTAL);
        assertLe(_snapshot("convict again, dearer"), 220_000);
        _convict(1, SIGMA, TOTAL / 5, TOTAL);
        assertLe(_snapshot("convict again, three steps"), 320_000);
        assertEq(vault.slashSeq(), 1 + 1 + 1 + 1 + 3);
    }

    function test_gas_offline() public {
        _jail(2, SIGMA);
        _jail(1, SIGMA);
        assertLe(_snapshot("jailOffline"), 90_000);
        _toEpoch(SIGMA + 2);
        _jail(1, SIGMA + 2);
        vm.warp(block.timestamp + APPEAL);
        _first();
        _slashOffline(1, SIGMA + 2);
        assertLe(_snapshot("slashOffline"), 180_000);
    }

    function test_gas_escrow() public {
        _first();
        // In life others hold the token and the fire has burnt before.
        token.transfer(feeSplitter, 1);
        slashEscrow.withdraw(reporter);
        assertLe(_snapshot("withdraw"), 60_000);
        slashEscrow.burn();
        assertLe(_snapshot("burn"), 80_000);
    }

    /// @dev A network that has seen a slash under this set: no slot is counted as fresh that is not in the long run.
    function _first() private {
        _convict(8, SIGMA, 1, TOTAL);
    }

    function _convictAfter(uint32 id, uint160 delegators, string memory name) private returns (uint256) {
        // A test has a gas limit, too.
        vm.pauseGasMetering();
        Crowd crowd = new Crowd();
        token.transfer(address(crowd), delegators * 2e18);
        for (uint256 left = delegators; left != 0;) {
            uint256 some = left < 20 ? left : 20;
            crowd.join(token, vault, id, some);
            left -= some;
        }
        vm.resumeGasMetering();
        _convict(id, SIGMA, 1, TOTAL);
        return _snapshot(name);
    }

    /// @dev Gas of the last call, which must have been a transaction of its own.
    function _snapshot(string memory name) private returns (uint256 used) {
        used = vm.snapshotGasLastCall(GROUP, name);
        assertGt(used, 21_000, "run with --isolate");
    }
}
