// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice The amounts of an epoch against the formulas of protocol section 9, computed here from the work alone, for any
/// work, any weights, any reserve and any division into pages.
contract RewardVaultFuzz is NetworkKit {
    uint256 internal constant SCALE = 1e27;
    uint256 internal constant COUNT = 4;

    struct Expected {
        uint256 toPools;
        uint256 toOperators;
        uint256 ecosystem;
        uint256 burnt;
        uint256 emission;
    }

    function setUp() public {
        _deployNetwork();
        _start(COUNT);
        _deposit(10_000_000e18);
    }

    /// forge-config: default.fuzz.runs = 512
    function testFuzz_epoch_isPaidByTheFormula(
        uint256[4] memory bonds,
        Work[4] memory work,
        uint128 base,
        uint256 reserve,
        uint256 page
    ) public {
        for (uint256 i = 0; i < COUNT; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            _delegate(uint32(i + 1), _owner(i), bound(bonds[i], 1, 50_000e18));
        }
        _nextEpoch();
        _nextEpoch();
        reserve = bound(reserve, 1, 3e18);
        _fund(reserve);
        uint32 epoch = _epoch();
        Work[] memory done = new Work[](COUNT);
        uint256 fees = base % 5000e18;
        for (uint256 i = 0; i < COUNT; ++i) {
            done[i] = Work(work[i].assigned % 400, work[i].own % 400, work[i].substituted % 40, work[i].priority % 1e21);
            fees += done[i].priority;
        }
        bytes memory entries = _entries(epoch, done);
        _nextEpoch();
        // forge-lint: disable-next-line(unsafe-typecast)
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 0, uint128(fees)));
        reserve = rewardVault.reserve(); // the poster was paid
        uint256 supply = token.totalSupply();
        uint256 held = token.balanceOf(address(rewardVault));
        _open(header, entries);
        page = bound(page, 1, COUNT);
        for (uint256 credited = 0; credited < COUNT; credited += page) {
            rewardVault.credit(epoch, membersOf[epoch], entries, page);
        }

        Expected memory expected = _expect(epoch, done, fees, reserve);
        assertEq(feeSplitter.claimableEcosystem(), expected.ecosystem, "ecosystem");
        assertEq(supply - token.totalSupply(), expected.burnt, "burnt");
        uint256 stays = fees - expected.ecosystem - expected.burnt;
        assertEq(token.balanceOf(address(rewardVault)), held + stays, "held");
        uint256 paid = expected.toPools + expected.toOperators;
        assertEq(rewardVault.reserve() + paid, reserve + stays, "everything else is the reserve's");
        assertLe(expected.emission, reserve, "W4");
    }

    function _weigh(uint256[4] memory bonds) private {
        for (uint256 i = 0; i < COUNT; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            _delegate(uint32(i + 1), _owner(i), bound(bonds[i], 1, 50_000e18));
        }
        _nextEpoch();
        _nextEpoch();
    }

    function _bounded(Work[4] memory work, uint256 base) private pure returns (Work[] memory done, uint256 fees) {
        done = new Work[](COUNT);
        fees = base;
        for (uint256 i = 0; i < COUNT; ++i) {
            done[i] = Work(work[i].assigned % 400, work[i].own % 400, work[i].substituted % 40, work[i].priority % 1e21);
            fees += done[i].priority;
        }
    }

    function _pay(IBatchChain.BatchHeader memory header, bytes memory entries, uint256 page) private {
        uint32 epoch = header.tally.epoch;
        _open(header, entries);
        for (uint256 credited = 0; credited < COUNT; credited += page) {
            rewardVault.credit(epoch, membersOf[epoch], entries, page);
        }
    }

    function _expect(uint32 epoch, Work[] memory work, uint256 fees, uint256 reserve)
        private
        view
        returns (Expected memory expected)
    {
        uint256 blocks;
        uint256 priority;
        uint256 totalWeight;
        for (uint256 i = 0; i < COUNT; ++i) {
            blocks += work[i].own + work[i].substituted;
            priority += work[i].priority;
            totalWeight += _memberWeight(epoch, i);
        }
        uint256 rate = parameters.rewardPerBlock;
        if (blocks != 0 && reserve / blocks < rate) rate = reserve / blocks;
        if (blocks == 0) rate = 0;
        expected.emission = rate * blocks;
        uint256 base = fees - priority;
        expected.ecosystem = base * 30 / 100 + priority * 20 / 100;
        expected.burnt = base * 30 / 100;
        for (uint256 i = 0; i < COUNT; ++i) {
            (uint256 pool, uint256 operator) = _expectOne(epoch, i, work[i], rate, base * 40 / 100, totalWeight);
            expected.toPools += pool;
            expected.toOperators += operator;
        }
    }

    function _expectOne(uint32 epoch, uint256 i, Work memory work, uint256 rate, uint256 pools, uint256 totalWeight)
        private
        view
        returns (uint256 pool, uint256 operator)
    {
        pool = work.own * rate + work.substituted * rate / 2 + uint256(work.priority) * 60 / 100;
        uint256 did = work.own < work.assigned ? work.own : work.assigned;
        if (work.assigned != 0) pool += pools * _memberWeight(epoch, i) * did / (totalWeight * work.assigned);
        operator = pool / 10 + uint256(work.priority) * 20 / 100;
        pool -= pool / 10;
        uint32 id = _memberId(epoch, i);
        (, uint256 units) = stakeVault.poolAt(id, epoch);
        assertEq(rewardVault.claimableCommission(id), operator, "operator");
        assertEq(rewardVault.cumAt(id, epoch), pool * SCALE / units, "pool");
        assertEq(rewardVault.claimable(id, _owner(i)), units * (pool * SCALE / units) / SCALE, "delegator");
    }
}
