// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ALL_LATER} from "contracts/interfaces/IStakeVault.sol";

import {StakingFixture} from "../harness/StakingFixture.sol";

/// @notice Gas of whole transactions of the staking contracts. Always with isolation: the measured call is
/// a transaction of its own, base cost, calldata and cold storage included.
/// forge-config: default.isolate = true
contract StakingGasTest is StakingFixture {
    string private constant GROUP = "Staking";
    address private constant ALICE = address(0xA11CE);
    address private constant BOB = address(0xB0B);

    function setUp() public {
        _setUp(128);
    }

    function _setUp(uint8 maxSeats) private {
        _deploy(maxSeats, 1024);
        // Epoch numbers as they are in life, so that no slot is counted as fresh because a number is zero.
        _toEpoch(20);
        token.transfer(escrow, 1);
    }

    /// @dev Gas of the last call, which must have been a transaction of its own.
    function _measured(string memory name, uint256 limit) private {
        uint256 used = vm.snapshotGasLastCall(GROUP, name);
        assertGt(used, 21_000, "run with --isolate");
        assertLe(used, limit, name);
    }

    function test_gas_registerAndFirstBond() public {
        // The network has other operators and other stake; this owner is new.
        _operator(0, 1000e18);
        address owner = _owner(1);
        bytes memory proof = _proof(_key(1), owner, 0);
        address signer = vm.addr(_key(1));
        token.transfer(owner, 10_000e18);
        vm.prank(owner);
        token.approve(address(vault), 1000e18);

        vm.prank(owner);
        registry.register(signer, owner, 1000, URI, proof);
        uint256 registering = vm.snapshotGasLastCall(GROUP, "register");
        vm.prank(owner);
        vault.delegate(2, 1000e18);
        uint256 bonding = vm.snapshotGasLastCall(GROUP, "first bond");
        assertGt(registering, 21_000, "run with --isolate");
        assertLe(registering + bonding, 300_000, "register + first bond");
    }

    function test_gas_delegate() public {
        uint32 id = _operator(0, 1000e18);
        _delegate(ALICE, id, 10e18);
        token.transfer(ALICE, 100e18);
        // Both the pool and the delegator have a checkpoint of an earlier epoch: the dearest case. The allowance is exact.
        _toEpoch(21);
        _approve(10e18);
        vm.prank(ALICE);
        vault.delegate(id, 10e18);
        _measured("delegate, first in an epoch", 115_000);
        _approve(10e18);
        vm.prank(ALICE);
        vault.delegate(id, 10e18);
        _measured("delegate, again in the same epoch", 80_000);
        // Without the refund for the last of an allowance: the honest floor of docs/adr/0002-storage-of-staking.md.
        _toEpoch(22);
        _approve(20e18);
        vm.prank(ALICE);
        vault.delegate(id, 10e18);
        _measured("delegate, first in an epoch, allowance left", 120_000);
    }

    /// @notice In a pool so full that the owner's bond has to be looked at: two cold reads and a call more
    /// (docs/adr/0002-storage-of-staking.md).
    function test_gas_delegateNearTheLimit() public {
        uint32 id = _operator(0, MAX_POOL - MIN_SELF_BOND);
        _delegate(ALICE, id, 10e18);
        token.transfer(ALICE, 100e18);
        _toEpoch(21);
        _approve(10e18);
        vm.prank(ALICE);
        vault.delegate(id, 10e18);
        _measured("delegate, first in an epoch, pool nearly full", 121_000);
    }

    function test_gas_delegateNewcomer() public {
        uint32 id = _operator(0, 1000e18);
        token.transfer(ALICE, 100e18);
        _approve(20e18);
        _toEpoch(21);
        vm.prank(ALICE);
        vault.delegate(id, 10e18);
        _measured("delegate, new delegator, first in an epoch", 115_000);
    }

    function test_gas_undelegateAndClaim() public {
        uint32 id = _operator(0, 1000e18);
        uint256 units = _delegate(ALICE, id, 10e18);
        uint256 more = _delegate(BOB, id, 10e18);
        _toEpoch(21);
        vm.prank(ALICE);
        vault.undelegate(id, units / 2);
        _measured("undelegate", 140_000);
        _undelegate(BOB, id, more);
        vm.warp(vault.claimableFrom(21));
        // Alice has no tokens left, so her balance slot is a new one; Bob's shares keep the cohort alive.
        assertEq(token.balanceOf(ALICE), 0);
        vm.prank(ALICE);
        vault.claim(id, 21);
        _measured("claim", 70_000);
    }

    function test_gas_rotateSigner() public {
        uint32 id = _operator(0, 1000e18);
        _toEpoch(23);
        address owner = _owner(0);
        bytes memory proof = _proof(_key(7), owner, registry.nonces(owner));
        address signer = vm.addr(_key(7));
        vm.prank(owner);
        registry.rotateSigner(id, signer, proof);
        _measured("rotate signer", 95_000);
    }

    function test_gas_freeze10() public {
        _setUp(10);
        _seat(10);
        _measureFreeze("freeze, 10 seats", 260_000);
    }

    function test_gas_freeze64() public {
        _setUp(64);
        _seat(64);
        _measureFreeze("freeze, 64 seats", 1_100_000);
    }

    function test_gas_freeze128() public {
        _seat(128);
        _measureFreeze("freeze, 128 seats", 2_100_000);
    }

    /// @notice Like the case above with the dearest history: every pool and every self bond changed in the current epoch,
    /// so that the value that counts is the one before the latest:
    /// two more cold reads per seat (docs/adr/0002-storage-of-staking.md).
    function test_gas_freeze128_everyoneChanged() public {
        _seat(128);
        for (uint32 i = 0; i < 128; ++i) {
            _delegate(_owner(i), i + 1, 1e18);
        }
        _measureFreeze("freeze, 128 seats, all changed in the epoch", 2_500_000);
    }

    function test_gas_leaderLookup128() public {
        _seat(128);
        uint32[] memory ids = new uint32[](128);
        for (uint32 i = 0; i < 128; ++i) {
            ids[i] = i + 1;
        }
        // Flat in epochs: the set of epoch 23 is asked fifty frozen sets later.
        _freeze(23);
        bytes memory members = _members(ids, 23);
        for (uint32 e = 24; e < 74; ++e) {
            _freeze(e);
        }
        bytes memory call = abi.encodeCall(set.leaderAt, (23, 1_000_123, 1_000_000, 3, members));
        set.leaderAt(23, 1_000_123, 1_000_000, 3, members);
        uint256 execution = vm.snapshotGasLastCall(GROUP, "leaderAt, 128 members, execution");
        // A view is not a transaction of its own under --isolate: add the base cost and the calldata, with the floor price
        // of EIP-7623.
        uint256 tokens = 0;
        for (uint256 i = 0; i < call.length; ++i) {
            tokens += call[i] == 0 ? 1 : 4;
        }
        uint256 used = 21_000 + (execution + 4 * tokens > 10 * tokens ? execution + 4 * tokens : 10 * tokens);
        vm.snapshotValue(GROUP, "leaderAt, 128 members", used);
        assertLe(used, 170_000);
    }

    function test_gas_takeSeat() public {
        _seat(8);
        uint32 id = _operator(200, 5000e18);
        _toEpoch(23);
        set.recordRandao();
        set.takeSeat(id, 9);
        _measured("takeSeat, free seat", 90_000);
    }

    /// @notice Invariant S5 of the vault's part: the cost of a slash depends neither on the number of delegators nor on
    /// what they did, only on the open cohorts.
    function test_gas_slash_independentOfDelegators() public {
        uint256 one = _slashAfter(1, 1);
        uint256 hundred = _slashAfter(2, 100);
        assertEq(one, hundred, "slash depends on delegators");
        assertLe(one, 160_000);
    }

    function _approve(uint256 amount) private {
        vm.prank(ALICE);
        token.approve(address(vault), amount);
    }

    function _slashAfter(uint256 index, uint160 delegators) private returns (uint256 used) {
        uint32 id = _operator(index, 1000e18);
        uint32 sigma = _epoch();
        for (uint160 i = 1; i <= delegators; ++i) {
            address who = address(i << 80 | uint160(index));
            uint256 units = _delegate(who, id, 100e18);
            _undelegate(who, id, units / 2);
        }
        _toEpoch(sigma + 2);
        vm.prank(slasher);
        vault.slash(id, sigma, ALL_LATER, 0.05e18);
        used = vm.snapshotGasLastCall(GROUP, delegators == 1 ? "slash, 1 delegator" : "slash, 100 delegators");
    }

    /// @dev `count` operators on the first seats, all of them members of the set frozen for epoch 22, in epoch 22.
    function _seat(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            _operator(i, 1000e18 + i * 1e18);
        }
        _toEpoch(21);
        for (uint256 i = 0; i < count; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            set.takeSeat(uint32(i + 1), uint8(i));
        }
        _freeze(22);
        _toEpoch(22);
    }

    /// @dev In life the first call of the epoch recorded prevrandao long before.
    function _measureFreeze(string memory name, uint256 limit) private {
        set.recordRandao();
        _toSecondHalf(22);
        set.freeze(23);
        _measured(name, limit);
    }
}
