// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {RewardVaultKit} from "../kit/RewardVaultKit.sol";

/// @notice Epochs: formulas to the wei, pages, and every refusal of opening.
contract RewardVaultEpochTest is RewardVaultKit {
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
}
