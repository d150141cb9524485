// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {CallbackToken, FeeToken} from "../harness/Tokens.sol";
import {RewardVaultKit} from "../kit/RewardVaultKit.sol";

/// @notice The reward vault on a whole network: formulas to the wei, every refusal, who is paid for what
/// (protocol section 9; invariants W1 to W5).
contract RewardVaultTest is RewardVaultKit {
    // ------------------------------------------------------------------------------------------------ reserve (W4)

    function test_W4_emptyReserve_paysFeesOnly() public {
        _deployNetwork();
        _start(4);
        _deposit(100_000e18);
        assertEq(rewardVault.reserve(), 0);
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _post(_tally(epoch, entries, 20, FEES));
        bytes32 hash = batchChain.hashOf(header);
        _to(block.timestamp + parameters.challengeWindow);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.PosterRewarded(poster, 1, 0);
        batchChain.finalize(hash);
        _open(header, entries);
        rewardVault.credit(epoch, membersOf[epoch], entries, 4);
        uint256 pool1 = 90e18 + 48e18;
        assertEq(rewardVault.claimable(1, _owner(0)), pool1 - pool1 / 10);
        assertEq(rewardVault.claimable(3, _owner(2)), 0);
        assertEq(rewardVault.reserve(), 225e18, "what nobody earned");
    }

    function test_W4_scarceReserve_isSharedByBlocks() public {
        _deployNetwork();
        _start(4);
        _fund(parameters.postingReward + 119); // after the poster, 119 wei for 20 blocks: 5 each
        Work[] memory work = new Work[](4);
        work[0] = Work(10, 10, 0, 0);
        work[1] = Work(10, 0, 10, 0);
        _payEpoch(work, 0);
        assertEq(rewardVault.claimable(1, _owner(0)), 45);
        assertEq(rewardVault.claimableCommission(1), 5);
        assertEq(rewardVault.claimable(2, _owner(1)), 23); // 25 less 10 % rounded down
        assertEq(rewardVault.reserve(), 119 - 50 - 25);
    }

    function test_noBlocks_noEmission() public {
        uint256 reserve = rewardVault.reserve();
        _payEpoch(new Work[](4), 0);
        assertEq(rewardVault.reserve(), reserve - parameters.postingReward);
    }

    function test_rewardPoster_onlyTheBatchChain() public {
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_OnlyBatchChain.selector, address(this)));
        rewardVault.rewardPoster(poster, 1);
    }

    function test_rewardPoster_takesWhatIsLeft() public {
        _deployNetwork();
        _fund(7);
        vm.startPrank(address(batchChain));
        rewardVault.rewardPoster(poster, 1);
        rewardVault.rewardPoster(poster, 2);
        assertEq(rewardVault.claimablePosting(poster), 7);
        assertEq(rewardVault.reserve(), 0);
    }

    function test_fund_refusesZero() public {
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_Zero.selector));
        rewardVault.fund(0);
    }

    /// @notice What did not arrive is not in the reserve.
    function test_fund_refusesATokenThatTakesAFee() public {
        FeeToken fee = new FeeToken();
        IRewardVault other = _vaultOf(address(fee));
        fee.mint(address(this), 100e18);
        fee.approve(address(other), 100e18);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_TokenTookFee.selector, 99e18, 100e18));
        other.fund(100e18);
        assertEq(other.reserve(), 0);
    }

    /// @notice A token that calls back in the middle of a transfer cannot have one arrival counted twice.
    function test_fund_isGuarded() public {
        CallbackToken hostile = new CallbackToken();
        IRewardVault other = _vaultOf(address(hostile));
        hostile.mint(address(this), 1e18);
        hostile.approve(address(other), 1e18);
        hostile.arm(address(other), abi.encodeCall(other.fund, (1)));
        other.fund(1e18);
        assertFalse(hostile.succeeded());
        assertEq(
            hostile.answer(), abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector)
        );
        assertEq(other.reserve(), 1e18);
    }

    function _vaultOf(address asset) private returns (IRewardVault) {
        IRewardVault.Config memory config = _config();
        config.token = asset;
        return IRewardVault(vm.deployCode("RewardVault.sol:RewardVault", abi.encode(config)));
    }

    function test_fund_emits() public {
        token.approve(address(rewardVault), 5);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.Funded(address(this), 5);
        rewardVault.fund(5);
    }

    function test_claim_refusesZeroSegments() public {
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_Zero.selector));
        rewardVault.claim(1, alice, 0);
    }

    /// @notice Who claims itself is claimed for by nobody else; others are by anybody.
    function test_claim_byTheAccountAlone() public {
        address account = makeAddr("claims itself");
        assertFalse(rewardVault.claimsItself(account));
        vm.prank(account);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.ClaimsItself(account, true);
        rewardVault.setClaimsItself(true);
        assertTrue(rewardVault.claimsItself(account));
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_OnlyAccount.selector, account));
        rewardVault.claim(1, account, 1);
        vm.prank(account);
        assertEq(rewardVault.claim(1, account, 1), 0);
        rewardVault.claim(1, makeAddr("another"), 1);
        vm.prank(account);
        rewardVault.setClaimsItself(false);
        rewardVault.claim(1, account, 1);
    }

    function test_claim_ofNothing_isNoError() public {
        assertEq(rewardVault.claim(99, alice, 1), 0);
        assertEq(rewardVault.claimCommission(99), 0);
        assertEq(rewardVault.claimPosting(alice), 0);
    }

    /// @dev Only member 1 works and all fees are priority: its pool earns 60 % less 10 %.
    function _payOne(uint128 priority) internal returns (uint256 toPool) {
        Work[] memory work = new Work[](4);
        work[0].priority = priority;
        _payEpoch(work, priority);
        toPool = uint256(priority) * 60 / 100;
        toPool -= toPool / 10;
    }

    // ---------------------------------------------------------------------------------- who is paid for what (W1–W3)

    function test_W2_stakeEarnsFromTwoEpochsLater() public {
        uint32 joined = _epoch();
        _delegate(1, alice, 3 * BOND);
        _payOne(100e18); // joined
        assertEq(rewardVault.claimable(1, alice), 0);
        _payOne(100e18); // joined + 1
        assertEq(rewardVault.claimable(1, alice), 0);
        uint256 toPool = _payOne(100e18); // joined + 2
        assertEq(rewardVault.lastCredited(1), joined + 2);
        assertEq(rewardVault.claimable(1, alice), toPool * 3 / 4);
        assertEq(rewardVault.claimable(1, _owner(0)), 2 * toPool + toPool / 4);
    }

    function test_W2_stakeThatLeftIsPaidForWhatItBacked() public {
        _delegate(1, alice, 3 * BOND);
        _nextEpoch();
        _nextEpoch(); // counts
        vm.prank(alice);
        stakeVault.undelegate(1, 3 * BOND);
        uint256 toPool = _payOne(100e18);
        assertEq(rewardVault.claimable(1, alice), toPool * 3 / 4, "still backs the epoch it left in");
        _payOne(100e18);
        assertEq(rewardVault.claimable(1, alice), toPool * 3 / 4 * 2);
        _payOne(100e18);
        assertEq(rewardVault.claimable(1, alice), toPool * 3 / 4 * 2, "nothing after that");
        assertEq(rewardVault.claim(1, alice, 9), toPool * 3 / 4 * 2);
    }

    function test_W1_lateCreditIsNotLostByAnEarlierClaim() public {
        uint256 first = _payOne(100e18);
        uint32 epoch = _epoch();
        Work[] memory work = new Work[](4);
        work[0].priority = 100e18;
        bytes memory entries = _entries(epoch, work);
        _nextEpoch();
        _nextEpoch();
        _nextEpoch();
        assertEq(rewardVault.claim(1, _owner(0), 9), first, "claimed while two epochs wait for their credit");
        assertEq(rewardVault.paidThrough(1, _owner(0)), epoch - 1);
        _open(_finalBatch(_tally(epoch, entries, 0, 100e18)), entries);
        assertEq(rewardVault.claim(1, _owner(0), 9), 0, "claimed while it is open");
        rewardVault.credit(epoch, membersOf[epoch], entries, 4);
        assertEq(rewardVault.claim(1, _owner(0), 9), first);
    }

    function test_W3_orderAndSplittingOfClaimsDoNotMatter() public {
        _delegate(1, alice, BOND);
        _delegate(1, bob, 2 * BOND);
        _payOne(100e18);
        _payOne(100e18);
        _delegate(1, alice, BOND);
        _payOne(100e18);
        vm.prank(bob);
        stakeVault.undelegate(1, BOND);
        for (uint256 i = 0; i < 4; ++i) {
            _payOne(100e18);
        }
        uint256 forAlice = rewardVault.claimable(1, alice);
        uint256 forBob = rewardVault.claimable(1, bob);
        uint256 snapshot = vm.snapshotState();
        assertEq(rewardVault.claim(1, alice, 9), forAlice);
        assertEq(rewardVault.claim(1, bob, 9), forBob);
        vm.revertToState(snapshot);
        assertEq(rewardVault.claim(1, bob, 9), forBob);
        assertEq(rewardVault.claim(1, alice, 9), forAlice);
        vm.revertToState(snapshot);
        // one stretch at a time: the same, and each step is bounded
        uint256 paid = rewardVault.claim(1, alice, 1);
        assertGt(paid, 0);
        assertLt(paid, forAlice);
        paid += rewardVault.claim(1, alice, 1);
        assertEq(paid, forAlice);
        assertEq(rewardVault.claim(1, alice, 1), 0);
    }

    function test_claim_ofStakeThatDoesNotCountYet_losesNothing() public {
        _payOne(100e18);
        _delegate(1, alice, BOND);
        assertEq(rewardVault.claim(1, alice, 1), 0);
        _payOne(100e18);
        assertEq(rewardVault.claim(1, alice, 1), 0);
        _payOne(100e18);
        uint256 toPool = _payOne(100e18);
        assertEq(rewardVault.claim(1, alice, 1), toPool / 2);
    }

    function test_poolWithoutUnits_returnsToTheReserve() public {
        // Operator 1 takes everything out while seated: its weight stays in the sets frozen already.
        vm.prank(_owner(0));
        stakeVault.undelegate(1, BOND);
        _nextEpoch();
        uint32 epoch = _epoch();
        assertEq(_memberId(epoch, 0), 1);
        // The set of the next epoch no longer has it; a tally that names a pool without units is made by hand.
        _nextEpoch();
        vm.mockCall(
            address(stakeVault),
            abi.encodeWithSignature("poolAt(uint32,uint32)", uint32(1), epoch),
            abi.encode(uint256(0), uint256(0))
        );
        Work[] memory work = new Work[](4);
        work[0].priority = 100e18;
        bytes memory entries = _entries(epoch, work);
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 0, 100e18));
        uint256 reserve = rewardVault.reserve();
        _open(header, entries);
        rewardVault.credit(epoch, membersOf[epoch], entries, 4);
        assertEq(rewardVault.claimableCommission(1), 20e18 + 6e18);
        assertEq(rewardVault.reserve(), reserve + 54e18);
        assertEq(rewardVault.lastCredited(1), epoch);
    }

    /// @dev A sum that does not fit its word is not cut: the amount goes back to the reserve and crediting goes on.
    function test_sumThatDoesNotFit_returnsToTheReserve() public {
        uint32 epoch = _epoch();
        bytes32 trace = keccak256(abi.encode(uint256(1), _slotOfCum()));
        vm.store(address(rewardVault), trace, bytes32(uint256(1)));
        vm.store(
            address(rewardVault),
            keccak256(abi.encode(trace)),
            bytes32((uint256(type(uint224).max) - 1) << 32 | uint256(epoch - 1))
        );
        assertEq(rewardVault.cumAt(1, epoch - 1), type(uint224).max - 1);
        uint256 reserve = rewardVault.reserve();
        _payOne(100e18);
        assertEq(rewardVault.cumAt(1, epoch), type(uint224).max - 1);
        assertEq(rewardVault.reserve(), reserve - parameters.postingReward + 54e18);
        assertEq(rewardVault.lastCredited(1), epoch);
    }

    // The mapping `_cum`: found by looking where a credit writes.
    function _slotOfCum() private returns (uint256 slot) {
        uint256 snapshot = vm.snapshotState();
        _payOne(100e18);
        for (slot = 0; slot < 32; ++slot) {
            if (vm.load(address(rewardVault), keccak256(abi.encode(uint256(1), slot))) != 0) {
                bytes32 first = keccak256(abi.encode(keccak256(abi.encode(uint256(1), slot))));
                if (uint256(vm.load(address(rewardVault), first)) >> 32 == rewardVault.cumAt(1, type(uint32).max)) {
                    break;
                }
            }
        }
        vm.revertToState(snapshot);
        assertLt(slot, 32);
    }

    function test_W5_rotatedAndRetiredOperatorsStillPayEveryone() public {
        bytes memory proof = _proof(_owner(0), _secret(77), registry.nonces(_owner(0)));
        vm.prank(_owner(0));
        registry.rotateSigner(1, vm.addr(_secret(77)), proof);
        vm.prank(_owner(1));
        registry.retire(2);
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        // 1 signs with its old key until its new one counts; the batch is sealed by a set that has dropped 2
        _nextEpoch();
        _open(_finalBatch(_tally(epoch, entries, 20, FEES)), entries);
        rewardVault.credit(epoch, membersOf[epoch], entries, 4);
        uint256 pool1 = 10 * 0.01e18 + 90e18 + 48e18;
        uint256 pool2 = 5 * 0.01e18 + 45e18 + 12e18;
        assertEq(rewardVault.claim(1, _owner(0), 9), pool1 - pool1 / 10);
        assertEq(rewardVault.claim(2, _owner(1), 9), pool2 - pool2 / 10);
        assertEq(rewardVault.claimCommission(2), pool2 / 10 + 4e18);
    }

    function test_commission_ofTheEpochItWasEarnedIn() public {
        uint32 start = _epoch();
        vm.prank(_owner(0));
        registry.setCommission(1, 1500); // from start + 7
        for (uint256 i = 0; i < 7; ++i) {
            _payOne(100e18);
        }
        assertEq(rewardVault.lastCredited(1), start + 6);
        assertEq(rewardVault.claimableCommission(1), 7 * (20e18 + 6e18));
        _payOne(100e18);
        assertEq(rewardVault.claimableCommission(1), 7 * (20e18 + 6e18) + 20e18 + 9e18);
    }

    // -------------------------------------------------------------------------------------------------- governance

    function test_rates_changeForLaterEpochsOnly() public {
        uint32 epoch = _epoch();
        vm.startPrank(network.timelock);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.RewardPerBlockChanged(1e18, epoch + 1);
        rewardVault.setRewardPerBlock(1e18);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.PostingRewardChanged(2e18, epoch + 1);
        rewardVault.setPostingReward(2e18);
        vm.stopPrank();
        assertEq(rewardVault.rewardPerBlock(), 0.01e18);
        assertEq(rewardVault.postingReward(), 0.1e18);
        assertEq(rewardVault.rewardPerBlockAt(epoch), 0.01e18);
        assertEq(rewardVault.rewardPerBlockAt(epoch + 1), 1e18);
        Work[] memory work = new Work[](4);
        work[0] = Work(1, 1, 0, 0);
        _payEpoch(work, 0);
        assertEq(rewardVault.claimable(1, _owner(0)), 0.009e18, "the epoch before the change");
        assertEq(rewardVault.postingReward(), 2e18);
        _payEpoch(work, 0);
        assertEq(rewardVault.claimable(1, _owner(0)), 0.009e18 + 0.9e18);
    }

    function test_rates_areBoundedAndGoverned() public {
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        rewardVault.setRewardPerBlock(1);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, address(this)));
        rewardVault.setPostingReward(1);
        uint96 maxBlock = rewardVault.MAX_REWARD_PER_BLOCK();
        uint96 maxPosting = rewardVault.MAX_POSTING_REWARD();
        vm.startPrank(network.timelock);
        rewardVault.setRewardPerBlock(maxBlock);
        rewardVault.setPostingReward(maxPosting);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_AboveMaximum.selector, maxBlock + 1, maxBlock));
        rewardVault.setRewardPerBlock(maxBlock + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.RewardVault_AboveMaximum.selector, maxPosting + 1, maxPosting)
        );
        rewardVault.setPostingReward(maxPosting + 1);
    }

    function test_constructor_refusesZeroAddresses() public {
        bytes memory good = abi.encode(_config());
        bytes memory code = vm.getCode("RewardVault.sol:RewardVault");
        for (uint256 field = 0; field < 8; ++field) {
            bytes memory bad = bytes.concat(good);
            assembly ("memory-safe") {
                mstore(add(add(bad, 0x20), mul(field, 0x20)), 0)
            }
            bytes memory reason = _create(bytes.concat(code, bad));
            assertEq(reason, abi.encodeWithSelector(IRewardVault.RewardVault_ZeroAddress.selector));
        }
        assertEq(_create(bytes.concat(code, good)), "");
    }

    function _config() private view returns (IRewardVault.Config memory) {
        return IRewardVault.Config({
            token: address(token),
            portal: address(portal),
            batchChain: address(batchChain),
            registry: address(registry),
            stakeVault: address(stakeVault),
            sequencerSet: address(sequencerSet),
            feeSplitter: address(feeSplitter),
            authority: network.accessManager,
            rewardPerBlock: 1,
            postingReward: 1,
            genesis: GENESIS,
            epochSeconds: 20
        });
    }

    function _create(bytes memory code) private returns (bytes memory reason) {
        address created;
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        if (created != address(0)) return "";
        reason = new bytes(4);
        assembly ("memory-safe") {
            returndatacopy(add(reason, 0x20), 0, 4)
        }
    }
}
