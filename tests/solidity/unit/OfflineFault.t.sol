// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IOfflineFault} from "contracts/interfaces/IOfflineFault.sol";
import {JudgedSets, RecordingSlasher} from "../kit/FaultDoubles.sol";

/// @dev Answers what `OfflineFault` asks of `BatchChain`.
contract StandingBatches {
    mapping(bytes32 batchHash => IBatchChain.BatchState) public stateOf;
    mapping(uint64 index => bytes32) public batchAt;

    function set(bytes32 batchHash, uint64 index, IBatchChain.BatchState state) external {
        stateOf[batchHash] = state;
        batchAt[index] = batchHash;
    }
}

/// @notice Who was absent by a certified tally, and when nobody is to blame (S10).
contract OfflineFaultTest is Test {
    uint32 internal constant SIGMA = 10;
    uint32 internal constant MIN_SLOTS = 8;

    address internal immutable REPORTER = makeAddr("reporter");

    JudgedSets internal sets;
    RecordingSlasher internal slasher;
    StandingBatches internal batches;
    IOfflineFault internal fault;

    /// @dev Of each member: weight, slots, own blocks.
    uint64[3][] internal figures;

    function setUp() public {
        sets = new JudgedSets();
        slasher = new RecordingSlasher(sets);
        batches = new StandingBatches();
        fault = _deploy(_config());
        // Ids 1 to 4; the third made 5 of 10 blocks.
        figures = [[uint64(100), 10, 10], [uint64(100), 10, 9], [uint64(100), 10, 5], [uint64(100), 10, 10]];
    }

    // ---------------------------------------------------------------------------------------------------------- jail

    function test_S10_halfOfTheSlotsMissedJails() public {
        _jail(3);
        assertEq(slasher.jailedId(), 3);
        assertEq(slasher.jailedSigma(), SIGMA);
        assertEq(slasher.jailReporter(), REPORTER);
    }

    function test_aFinalTallyJailsToo() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        batches.set(keccak256(abi.encode(header)), header.index, IBatchChain.BatchState.Final);
        fault.jail(3, header, members, entries, REPORTER);
        assertEq(slasher.jailedId(), 3);
    }

    function test_lessThanHalfMissedIsPresent() public {
        figures[2] = [uint64(100), 10, 6];
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_Present.selector, 3, 4, 10));
    }

    function test_moreBlocksThanSlotsIsPresent() public {
        figures[2] = [uint64(100), 10, 11];
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_Present.selector, 3, 0, 10));
    }

    function test_tooFewSlotsAreNoJudgement() public {
        figures[2] = [uint64(100), MIN_SLOTS - 1, 0];
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_TooFewSlots.selector, 3, 7, 8));
        figures[2] = [uint64(100), MIN_SLOTS, 0];
        _jail(3);
        assertEq(slasher.jailedId(), 3);
    }

    function test_noSlotsAreNoJudgement() public {
        figures[2] = [uint64(100), 0, 0];
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_TooFewSlots.selector, 3, 0, 8));
    }

    function test_aThirdOfTheWeightAbsentJails_oneGweiMoreDoesNot() public {
        figures[2][0] = 150;
        _jail(3);
        assertEq(slasher.jailedId(), 3);
        figures[2][0] = 151;
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_TooManyAbsent.selector, 151, 451));
    }

    function test_aMemberWithFewSlotsCountsAsAbsent() public {
        figures[1] = [uint64(100), 1, 0];
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_TooManyAbsent.selector, 200, 400));
    }

    function test_aMemberWithoutSlotsIsNotAbsent() public {
        figures[1] = [uint64(100), 0, 0];
        _jail(3);
        assertEq(slasher.jailedId(), 3);
    }

    function test_moreThanAThirdOfAllSlotsMissedJailsNobody() public {
        // 4 + 3 + 5 + 1 of 40 missed is 13; one more is more than a third.
        figures = [[uint64(100), 10, 6], [uint64(100), 10, 7], [uint64(100), 10, 5], [uint64(100), 10, 9]];
        _jail(3);
        assertEq(slasher.jailedId(), 3);
        figures[1][2] = 6;
        _refuse(3, abi.encodeWithSelector(IOfflineFault.OfflineFault_TooManyMissed.selector, 14, 40));
    }

    function test_refusesWhoWasNoMember() public {
        _refuse(5, abi.encodeWithSelector(IOfflineFault.OfflineFault_NotAMember.selector, 5, SIGMA));
    }

    function test_refusesABatchThatDoesNotStand() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        bytes32 hash = keccak256(abi.encode(header));
        IBatchChain.BatchState[4] memory states = [
            IBatchChain.BatchState.None,
            IBatchChain.BatchState.Flagged,
            IBatchChain.BatchState.Removed,
            IBatchChain.BatchState.Orphaned
        ];
        for (uint256 i = 0; i < states.length; ++i) {
            batches.set(hash, header.index, states[i]);
            vm.expectRevert(_notStanding(hash, states[i]));
            fault.jail(3, header, members, entries, REPORTER);
        }
        batches.set(hash, header.index, IBatchChain.BatchState.Posted);
        batches.set("another", header.index, IBatchChain.BatchState.Posted);
        vm.expectRevert(_notStanding(hash, IBatchChain.BatchState.Orphaned));
        fault.jail(3, header, members, entries, REPORTER);
    }

    function test_refusesAnotherHeader() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        header.tally.blocks += 1;
        vm.expectRevert(_notStanding(keccak256(abi.encode(header)), IBatchChain.BatchState.None));
        fault.jail(3, header, members, entries, REPORTER);
    }

    function test_refusesABatchWithoutATally() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        delete header.tally;
        bytes32 hash = keccak256(abi.encode(header));
        batches.set(hash, header.index, IBatchChain.BatchState.Posted);
        vm.expectRevert(abi.encodeWithSelector(IOfflineFault.OfflineFault_NoTally.selector, hash));
        fault.jail(3, header, members, entries, REPORTER);
    }

    function test_refusesOtherEntries() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        figures[0] = [uint64(100), 10, 0];
        (, bytes memory others) = _packed();
        vm.expectRevert(
            abi.encodeWithSelector(
                IOfflineFault.OfflineFault_WrongEntries.selector, keccak256(others), keccak256(entries)
            )
        );
        fault.jail(1, header, members, others, REPORTER);
    }

    function test_refusesOtherMembers() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        figures[0][0] = 1000;
        (bytes memory others,) = _packed();
        vm.expectRevert(
            abi.encodeWithSelector(
                IOfflineFault.OfflineFault_WrongMembers.selector, SIGMA, keccak256(others), keccak256(members)
            )
        );
        fault.jail(3, header, others, entries, REPORTER);
    }

    function test_refusesATallyOfAnotherLength() public {
        (bytes memory members, bytes memory entries) = _packed();
        entries = bytes.concat(entries, _entry(5, 10, 0));
        (IBatchChain.BatchHeader memory header,) = _post(members, entries);
        vm.expectRevert(abi.encodeWithSelector(IOfflineFault.OfflineFault_WrongCount.selector, 5, 4));
        fault.jail(5, header, members, entries, REPORTER);
    }

    function test_refusesEntriesInAnotherOrder() public {
        (bytes memory members,) = _packed();
        bytes memory entries = bytes.concat(_entry(1, 10, 10), _entry(3, 10, 5), _entry(2, 10, 10), _entry(4, 10, 10));
        (IBatchChain.BatchHeader memory header,) = _post(members, entries);
        vm.expectRevert(abi.encodeWithSelector(IOfflineFault.OfflineFault_ForeignEntry.selector, 1, 3, 2));
        fault.jail(3, header, members, entries, REPORTER);
    }

    // ---------------------------------------------------------------------------------------------------------- slash

    function test_S10_slashesByAFinalTally() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        batches.set(keccak256(abi.encode(header)), header.index, IBatchChain.BatchState.Final);
        assertEq(fault.slash(3, header, members, entries), 7e18);
        assertEq(slasher.slashedId(), 3);
        assertEq(slasher.slashedSigma(), SIGMA);
    }

    function test_refusesToSlashByATallyThatIsNotFinal() public {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        bytes32 hash = keccak256(abi.encode(header));
        vm.expectRevert(
            abi.encodeWithSelector(IOfflineFault.OfflineFault_NotFinal.selector, hash, IBatchChain.BatchState.Posted)
        );
        fault.slash(3, header, members, entries);
    }

    function test_refusesToSlashWhoTheFinalTallySawPresent() public {
        _jail(3);
        figures[2] = [uint64(100), 10, 10];
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        batches.set(keccak256(abi.encode(header)), header.index, IBatchChain.BatchState.Final);
        vm.expectRevert(abi.encodeWithSelector(IOfflineFault.OfflineFault_Present.selector, 3, 0, 10));
        fault.slash(3, header, members, entries);
    }

    function test_constructorRefusesZeros() public {
        string[4] memory names = ["slasher", "sequencerSet", "batchChain", "minSlots"];
        for (uint256 i = 0; i < names.length; ++i) {
            IOfflineFault.Config memory config = _config();
            if (i == 0) config.slasher = address(0);
            if (i == 1) config.sequencerSet = address(0);
            if (i == 2) config.batchChain = address(0);
            if (i == 3) config.minSlots = 0;
            bytes memory code = abi.encodePacked(vm.getCode("OfflineFault.sol:OfflineFault"), abi.encode(config));
            address created;
            bytes memory answer;
            assembly ("memory-safe") {
                created := create(0, add(code, 0x20), mload(code))
                answer := mload(0x40)
                mstore(answer, returndatasize())
                returndatacopy(add(answer, 0x20), 0, returndatasize())
                mstore(0x40, add(answer, and(add(returndatasize(), 0x3f), not(0x1f))))
            }
            assertEq(created, address(0));
            assertEq(answer, abi.encodeWithSelector(IOfflineFault.OfflineFault_Zero.selector, names[i]));
        }
    }

    // -------------------------------------------------------------------------------------------------------- helpers

    function _config() private view returns (IOfflineFault.Config memory) {
        return IOfflineFault.Config({
            slasher: address(slasher), sequencerSet: address(sets), batchChain: address(batches), minSlots: MIN_SLOTS
        });
    }

    function _deploy(IOfflineFault.Config memory config) private returns (IOfflineFault) {
        return IOfflineFault(vm.deployCode("OfflineFault.sol:OfflineFault", abi.encode(config)));
    }

    function _jail(uint32 id) private {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        fault.jail(id, header, members, entries, REPORTER);
    }

    function _refuse(uint32 id, bytes memory reason) private {
        (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries) = _batch();
        vm.expectRevert(reason);
        fault.jail(id, header, members, entries, REPORTER);
    }

    function _notStanding(bytes32 hash, IBatchChain.BatchState state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IOfflineFault.OfflineFault_NotStanding.selector, hash, state);
    }

    /// @dev A posted batch with the tally of `figures`.
    function _batch()
        private
        returns (IBatchChain.BatchHeader memory header, bytes memory members, bytes memory entries)
    {
        (members, entries) = _packed();
        (header,) = _post(members, entries);
    }

    function _post(bytes memory members, bytes memory entries)
        private
        returns (IBatchChain.BatchHeader memory header, bytes32 hash)
    {
        sets.freeze(SIGMA, members, 0);
        header.index = 6;
        header.epoch = SIGMA + 1;
        header.tally.epoch = SIGMA;
        header.tally.root = keccak256(entries);
        header.tally.count = uint32(entries.length / 32);
        hash = keccak256(abi.encode(header));
        batches.set(hash, header.index, IBatchChain.BatchState.Posted);
    }

    function _packed() private view returns (bytes memory members, bytes memory entries) {
        for (uint32 i = 0; i < figures.length; ++i) {
            members = bytes.concat(members, abi.encodePacked(address(uint160(i + 1000)), i + 1, figures[i][0]));
            entries = bytes.concat(entries, _entry(i + 1, uint32(figures[i][1]), uint32(figures[i][2])));
        }
    }

    function _entry(uint32 id, uint32 assigned, uint32 own) private pure returns (bytes memory) {
        return abi.encodePacked(id, assigned, own, uint32(3), uint128(1e18));
    }
}
