// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {RollupKit} from "../kit/RollupKit.sol";

/// @notice Gas of whole transactions (run with `--isolate`), against the targets of the gas table. The batch data is three
/// bytes: its calldata is the price of data availability, not of the checks.
/// forge-config: default.isolate = true
contract RollupGasTest is RollupKit {
    function test_gas_post_10() public {
        _measurePost(10, false, 160_000, "post, set of 10, 7 signatures");
    }

    function test_gas_post_64() public {
        _measurePost(64, false, 380_000, "post, set of 64, 43 signatures");
    }

    function test_gas_post_128() public {
        _measurePost(128, false, 630_000, "post, set of 128, 86 signatures");
    }

    function test_gas_post_10_withDeposits() public {
        _measurePost(10, true, 166_000, "post, set of 10, with deposits");
    }

    function test_gas_post_10_late() public {
        _prepare(10);
        Bundle memory bundle = _quorum(_header(1200, 2), 10);
        chain.anchor(bundle.header.l1OriginNumber);
        vm.roll(block.number + 10_000);
        _postMeasured(bundle, 160_000, "post, set of 10, old origin that was anchored");
    }

    function test_gas_finalize() public {
        _prepare(10);
        skip(CHALLENGE_WINDOW);
        chain.finalize(chain.finalizable());
        vm.snapshotGasLastCall("Rollup", "finalize");
    }

    function test_gas_deposit() public {
        address sender = makeAddr("depositor");
        token.transfer(sender, 10 ether);
        vm.startPrank(sender);
        token.approve(address(portal), type(uint256).max);
        portal.deposit(sender, 1 ether);
        _mine(1);
        portal.deposit(sender, 1 ether);
        vm.snapshotGasLastCall("Rollup", "deposit, first in a block");
        portal.deposit(sender, 1 ether);
        vm.snapshotGasLastCall("Rollup", "deposit, again in the same block");
    }

    function _measurePost(uint256 size, bool deposits, uint256 target, string memory name) private {
        _prepare(size);
        if (deposits) {
            token.approve(address(portal), 4 ether);
            for (uint256 i = 0; i < 4; ++i) {
                portal.deposit(makeAddr("to"), 1 ether);
                _mine(1);
            }
        }
        IBatchChain.BatchHeader memory header = _header(1200, 2);
        if (deposits) header.depositEnd = 4;
        _postMeasured(_quorum(header, size), target, name);
    }

    /// @dev A chain in its stride: the set is the measured one, a batch came before, time has passed.
    function _prepare(uint256 size) private {
        _freeze(2, _keys("gas", size, 50_000e9));
        _post(_next(1200, 2));
        _mine(20);
    }

    /// @dev The smallest quorum: ⌊2n/3⌋ + 1 equal members.
    function _quorum(IBatchChain.BatchHeader memory header, uint256 size) private view returns (Bundle memory bundle) {
        bundle = _bundle(header);
        _sign(bundle.certificate, keysOf[2], (1 << (2 * size / 3 + 1)) - 1);
    }

    function _postMeasured(Bundle memory bundle, uint256 target, string memory name) private {
        _post(bundle);
        assertLe(vm.snapshotGasLastCall("Rollup", name), target);
    }
}
