// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {CallbackToken, FeeToken} from "../harness/Tokens.sol";
import {NetworkKit} from "../kit/NetworkKit.sol";

/// @notice The reward vault on a whole network: formulas to the wei, every refusal, who is paid for what
/// (protocol section 9; invariants W1 to W5).
contract RewardVaultTest is NetworkKit {
    uint128 internal constant FEES = 1000e18;
    uint256 internal constant SCALE = 1e27;

    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    function setUp() public {
        _deployNetwork();
        _start(4);
        _fund(10_000e18);
        _deposit(100_000e18);
    }

    /// @dev Member 1 leads 10 of 10, 2 leads 5 of 10, 3 none of 10 but replaces 5, 4 had no slot; priority 80 and 20.
    function _work() internal pure returns (Work[] memory work) {
        work = new Work[](4);
        work[0] = Work(10, 10, 0, 80e18);
        work[1] = Work(10, 5, 0, 20e18);
        work[2] = Work(10, 0, 5, 0);
    }

    /// @dev The epoch that runs, ended and open: its header is FINAL, its entries not credited.
    function _openWork() internal returns (uint32 epoch, bytes memory entries) {
        epoch = _epoch();
        entries = _entries(epoch, _work());
        _nextEpoch();
        _open(_finalBatch(_tally(epoch, entries, 20, FEES)), entries);
    }

    // ------------------------------------------------------------------------------------------- formulas to the wei

    function test_epoch_isPaidToTheWei() public {
        uint256 reserve = rewardVault.reserve();
        uint256 supply = token.totalSupply();
        uint32 epoch = _payEpoch(_work(), FEES);

        // base 900: pools 360 (90 each at full work), ecosystem 270, burnt 270; emission 0.01 a block
        uint256 pool1 = 10 * 0.01e18 + 90e18 + 48e18;
        uint256 pool2 = 5 * 0.01e18 + 45e18 + 12e18;
        uint256 pool3 = 5 * 0.005e18;
        assertEq(rewardVault.claimableCommission(1), pool1 / 10 + 16e18);
        assertEq(rewardVault.claimableCommission(2), pool2 / 10 + 4e18);
        assertEq(rewardVault.claimableCommission(3), pool3 / 10);
        assertEq(rewardVault.claimableCommission(4), 0);
        assertEq(rewardVault.cumAt(1, epoch), (pool1 - pool1 / 10) * SCALE / BOND);
        assertEq(rewardVault.claimable(1, _owner(0)), pool1 - pool1 / 10);
        assertEq(rewardVault.claimable(2, _owner(1)), pool2 - pool2 / 10);
        assertEq(rewardVault.claimable(3, _owner(2)), pool3 - pool3 / 10);
        assertEq(rewardVault.claimable(4, _owner(3)), 0);
        assertEq(rewardVault.lastCredited(4), epoch);
        assertEq(feeSplitter.claimableEcosystem(), 270e18 + 20e18);
        assertEq(feeSplitter.claimEcosystem(), 290e18);
        assertEq(token.balanceOf(ecosystem), 290e18);
        assertEq(supply - token.totalSupply(), 270e18);
        // what nobody earned: half the fallback emission, 225 of the pools' base fees; the posting reward was paid too
        assertEq(
            rewardVault.reserve(), reserve - parameters.postingReward - 20 * 0.01e18 + 5 * 0.005e18 + (360e18 - 135e18)
        );
    }

    function test_events_tellTheAmounts() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 20, FEES));
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.EpochOpened(epoch, keccak256(abi.encode(header)), FEES, 0.2e18);
        _open(header, entries);
        uint256 pool1 = 10 * 0.01e18 + 90e18 + 48e18;
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.OperatorCredited(epoch, 1, pool1 - pool1 / 10, pool1 / 10 + 16e18);
        rewardVault.credit(epoch, membersOf[epoch], entries, 1);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.EpochCredited(epoch, 5 * 0.005e18 + 225e18);
        rewardVault.credit(epoch, membersOf[epoch], entries, 3);
    }

    function test_claims_payAndEmit() public {
        uint32 epoch = _payEpoch(_work(), FEES);
        uint256 due = rewardVault.claimable(1, _owner(0));
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.RewardsClaimed(1, _owner(0), due, epoch);
        assertEq(rewardVault.claim(1, _owner(0), 9), due);
        assertEq(token.balanceOf(_owner(0)), due);
        assertEq(rewardVault.claimable(1, _owner(0)), 0);
        assertEq(rewardVault.claim(1, _owner(0), 9), 0, "once");
        assertEq(rewardVault.paidThrough(1, _owner(0)), epoch);

        uint256 commission = rewardVault.claimableCommission(1);
        vm.prank(_owner(0));
        registry.setRewardRecipient(1, alice);
        vm.expectEmit(address(rewardVault));
        emit IRewardVault.CommissionClaimed(1, alice, commission);
        assertEq(rewardVault.claimCommission(1), commission);
        assertEq(token.balanceOf(alice), commission);
        assertEq(rewardVault.claimCommission(1), 0, "once");

        vm.expectEmit(address(rewardVault));
        emit IRewardVault.PostingClaimed(poster, parameters.postingReward);
        assertEq(rewardVault.claimPosting(poster), parameters.postingReward);
        assertEq(token.balanceOf(poster), parameters.postingReward);
        assertEq(rewardVault.claimPosting(poster), 0, "once");
    }

    function test_moreOwnThanAssigned_earnsNoMoreThanTheShare() public {
        Work[] memory work = new Work[](4);
        work[0] = Work(1, 50, 0, 0);
        _payEpoch(work, FEES);
        uint256 pool = 50 * 0.01e18 + 100e18; // a quarter of 40 % of 1000
        assertEq(rewardVault.claimable(1, _owner(0)), pool - pool / 10);
    }

    // ------------------------------------------------------------------------------------------------------ pages

    function test_credit_pageByPage() public {
        (uint32 epoch, bytes memory entries) = _openWork();
        (bool due, uint32 dueEpoch, uint32 cursor) = rewardVault.creditDue();
        assertTrue(due);
        assertEq(dueEpoch, epoch);
        assertEq(cursor, 0);
        rewardVault.credit(epoch, membersOf[epoch], entries, 3);
        (uint32 open, uint32 done, uint32 count) = rewardVault.openStatus();
        assertEq(open, epoch);
        assertEq(done, 3);
        assertEq(count, 4);
        rewardVault.credit(epoch, membersOf[epoch], entries, 3);
        (due,,) = rewardVault.creditDue();
        assertFalse(due);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_NoOpenEpoch.selector));
        rewardVault.credit(epoch, membersOf[epoch], entries, 3);
    }

    function test_credit_refusals() public {
        (uint32 epoch, bytes memory entries) = _openWork();
        bytes memory members = membersOf[epoch];
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_Zero.selector));
        rewardVault.credit(epoch, members, entries, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_WrongEpoch.selector, epoch, epoch + 1));
        rewardVault.credit(epoch + 1, members, entries, 1);
        bytes32 work = keccak256(abi.encode(keccak256(members), keccak256(entries)));
        bytes memory other = bytes.concat(entries);
        other[40] ^= 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(
                IRewardVault.RewardVault_WrongWork.selector,
                work,
                keccak256(abi.encode(keccak256(members), keccak256(other)))
            )
        );
        rewardVault.credit(epoch, members, other, 1);
        other = bytes.concat(members);
        other[31] ^= 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(
                IRewardVault.RewardVault_WrongWork.selector,
                work,
                keccak256(abi.encode(keccak256(other), keccak256(entries)))
            )
        );
        rewardVault.credit(epoch, other, entries, 1);
    }

    // ----------------------------------------------------------------------------------------------------- opening

    function test_open_needsTheNextFinalTally() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        bytes memory members = membersOf[epoch];
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _post(_tally(epoch, entries, 20, FEES));
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_NothingToOpen.selector, 0));
        rewardVault.openEpoch(header, members, entries);
        (bool due, bytes32 batchHash) = rewardVault.openDue();
        assertFalse(due);
        _to(block.timestamp + parameters.challengeWindow);
        bytes32 hash = batchChain.hashOf(header);
        batchChain.finalize(hash);
        (due, batchHash) = rewardVault.openDue();
        assertTrue(due);
        assertEq(batchHash, hash);

        header.tally.fees += 1;
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.RewardVault_WrongHeader.selector, hash, keccak256(abi.encode(header)))
        );
        rewardVault.openEpoch(header, members, entries);
        header.tally.fees -= 1;
        rewardVault.openEpoch(header, members, entries);
        assertEq(rewardVault.nextTally(), 1);
        (due,) = rewardVault.openDue();
        assertFalse(due, "open already");
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_EpochStillOpen.selector, epoch, 0, 4));
        rewardVault.openEpoch(header, members, entries);
        rewardVault.credit(epoch, members, entries, 4);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_NothingToOpen.selector, 1));
        rewardVault.openEpoch(header, members, entries);
    }

    function test_open_sameTallyTwice_isRefused() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 20, FEES));
        _open(header, entries);
        rewardVault.credit(epoch, membersOf[epoch], entries, 4);
        uint32 next = _epoch();
        bytes memory nextEntries = _entries(next, _work());
        _nextEpoch();
        IBatchChain.BatchHeader memory later = _finalBatch(_tally(next, nextEntries, 20, FEES));
        bytes memory members = membersOf[epoch];
        bytes32 laterHash = batchChain.hashOf(later);
        bytes32 headerHash = batchChain.hashOf(header);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_WrongHeader.selector, laterHash, headerHash));
        rewardVault.openEpoch(header, members, entries);
    }

    /// @dev The batch chain lets no second tally of an epoch through; if it did, the vault would not open it.
    function test_open_epochMustBeLater() public {
        (uint32 epoch, bytes memory entries) = _openWork();
        rewardVault.credit(epoch, membersOf[epoch], entries, 4);
        IBatchChain.BatchHeader memory header;
        header.tally = _tally(epoch, entries, 20, FEES);
        vm.mockCall(address(batchChain), abi.encodeCall(IBatchChain.tallyCount, ()), abi.encode(2));
        vm.mockCall(
            address(batchChain), abi.encodeCall(IBatchChain.tallyAt, (1)), abi.encode(keccak256(abi.encode(header)))
        );
        bytes memory members = membersOf[epoch];
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_EpochNotLater.selector, epoch, epoch));
        rewardVault.openEpoch(header, members, entries);
    }

    function test_open_refusesOtherEntriesOrMembers() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        bytes memory members = membersOf[epoch];
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 20, FEES));
        bytes memory other = bytes.concat(entries);
        other[127] ^= 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.RewardVault_WrongEntries.selector, keccak256(entries), keccak256(other))
        );
        rewardVault.openEpoch(header, members, other);
        other = bytes.concat(members);
        other[31] ^= 0x01;
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.RewardVault_WrongMembers.selector, keccak256(members), keccak256(other))
        );
        rewardVault.openEpoch(header, other, entries);
        vm.expectRevert(
            abi.encodeWithSelector(IRewardVault.RewardVault_WrongLength.selector, 4, members.length + 32, 128)
        );
        rewardVault.openEpoch(header, bytes.concat(members, bytes32(0)), entries);
    }

    function test_open_refusesACountThatIsNotTheEntries() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        bytes memory members = membersOf[epoch];
        IBatchChain.Tally memory tally = _tally(epoch, entries, 20, FEES);
        tally.count = 3;
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(tally);
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_WrongLength.selector, 3, 128, 128));
        rewardVault.openEpoch(header, members, entries);
    }

    function test_open_refusesIdsOutOfOrder() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        bytes memory members = membersOf[epoch];
        (entries[35], entries[67]) = (entries[67], entries[35]); // ids 2 and 3
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 20, FEES));
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_WrongId.selector, 1, 2, 3));
        rewardVault.openEpoch(header, members, entries);
    }

    function test_open_refusesMorePriorityThanFees() public {
        uint32 epoch = _epoch();
        bytes memory entries = _entries(epoch, _work());
        bytes memory members = membersOf[epoch];
        _nextEpoch();
        IBatchChain.BatchHeader memory header = _finalBatch(_tally(epoch, entries, 20, 100e18 - 1));
        vm.expectRevert(abi.encodeWithSelector(IRewardVault.RewardVault_PriorityAboveFees.selector, 100e18, 100e18 - 1));
        rewardVault.openEpoch(header, members, entries);
    }

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

    function test_claim_ofNothing_isNoError() public {
        assertEq(rewardVault.claim(99, alice, 1), 0);
        assertEq(rewardVault.claimCommission(99), 0);
        assertEq(rewardVault.claimPosting(alice), 0);
    }

    // ---------------------------------------------------------------------------------- who is paid for what (W1–W3)

    /// @dev Only member 1 works and all fees are priority: its pool earns 60 % less 10 %.
    function _payOne(uint128 priority) internal returns (uint256 toPool) {
        Work[] memory work = new Work[](4);
        work[0].priority = priority;
        _payEpoch(work, priority);
        toPool = uint256(priority) * 60 / 100;
        toPool -= toPool / 10;
    }

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
