// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice Gas of whole transactions of the reward vault, against the targets of the gas table. Always with isolation:
/// base cost, calldata and cold storage are included.
/// forge-config: default.isolate = true
contract RewardsGasTest is NetworkKit {
    string private constant GROUP = "Rewards";
    uint256 private constant MEMBERS = 8;

    address private immutable ALICE = makeAddr("alice");

    function setUp() public {
        _deployNetwork();
        _start(MEMBERS);
        _fund(10_000e18);
        _deposit(100_000e18);
        _delegate(1, ALICE, 100e18);
        vm.prank(ALICE);
        token.transfer(address(this), token.balanceOf(ALICE));
    }

    function _work() private pure returns (Work[] memory work) {
        work = new Work[](MEMBERS);
        for (uint256 i = 0; i < MEMBERS; ++i) {
            work[i] = Work(300, 290, 5, 3e18);
        }
    }

    function _pay(uint256 epochs) private {
        for (uint256 i = 0; i < epochs; ++i) {
            _payEpoch(_work(), 100e18);
        }
    }

    function _measured(string memory name, uint256 limit) private returns (uint256 used) {
        used = vm.snapshotGasLastCall(GROUP, name);
        assertGt(used, 21_000, "run with --isolate");
        assertLe(used, limit, name);
    }

    function test_gas_openAndCredit() public {
        _pay(3);
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 0, 100e18));
        _open(header, entries);
        _measured("open an epoch, 8 members", 300_000);
        rewardVault.credit(epoch, membersOf[epoch], entries, 100);
        _measured("credit an epoch, 8 operators", MEMBERS * 60_000);
    }

    function test_gas_creditFirstEpochOfAnOperator() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        _nextEpoch();
        _open(_finalBatch(_tally(epoch, entries, 0, 100e18)), entries);
        rewardVault.credit(epoch, membersOf[epoch], entries, 100);
        vm.snapshotGasLastCall(GROUP, "credit an epoch, 8 operators, their first");
    }

    function test_gas_claim() public {
        _pay(20);
        uint256 state = vm.snapshotState();
        rewardVault.claim(1, ALICE, 1);
        // An account without tokens gets its balance slot as well: 22,100 gas instead of 5,000.
        _measured("claim, one pool, one segment, the first, to an empty account", 95_000 + 17_100);
        vm.revertToState(state);
        token.transfer(ALICE, 1);
        rewardVault.claim(1, ALICE, 1);
        _measured("claim, one pool, one segment, the first", 95_000);
        _pay(20);
        rewardVault.claim(1, ALICE, 1);
        _measured("claim, one pool, one segment", 95_000);
        _delegate(1, ALICE, 1e18);
        _pay(4);
        rewardVault.claim(1, ALICE, 2);
        _measured("claim, one pool, two segments", 120_000);
        rewardVault.claimCommission(1);
        _measured("claim commission", 95_000);
        rewardVault.claimPosting(poster);
        _measured("claim posting rewards", 95_000);
    }
}
