// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEvidence} from "contracts/interfaces/IEvidence.sol";
import {FaultKit} from "../kit/FaultKit.sol";

/// @notice S8: nobody can be framed. Members follow the rules over two heights under two sets; whatever is cut out of
/// their signatures, changed and put together again convicts nobody. 10^4 attempts in every run of the tests, 10^5 in the
/// long one.
contract FaultsFuzzTest is FaultKit {
    uint256 internal constant ATTEMPTS = 400;
    uint256 internal constant MEMBERS = 4;
    uint32 internal constant ROUNDS = 3;

    IEvidence.SignedVote[] internal votes;
    IEvidence.SignedProposal[] internal proposals;
    bytes internal laterMembers;
    uint256 private _state;

    function setUp() public override {
        super.setUp();
        uint64[] memory weights = new uint64[](MEMBERS);
        (weights[0], weights[1], weights[2], weights[3]) = (90, 5, 60, 200);
        laterMembers = _freezeOther(SIGMA + 1, weights);
        sets.setEpoch(SIGMA + 1);
    }

    /// @notice S8: see above.
    /// forge-config: default.fuzz.runs = 26
    /// forge-config: soak.fuzz.runs = 260
    function testFuzz_S8_honestSignaturesConvictNobody(uint256 seed) public {
        _state = seed;
        _behave();
        for (uint256 i = 0; i < ATTEMPTS; ++i) {
            bytes memory call;
            address module;
            uint256 target = _pick(4);
            if (target == 0) (module, call) = (address(doubleVote), _doubleVote());
            else if (target == 1) (module, call) = (address(doubleProposal), _doubleProposal());
            else if (target == 2) (module, call) = (address(certificates), _certificates());
            else (module, call) = (address(amnesia), _accusation());
            (bool convicted,) = module.call(call);
            assertFalse(convicted, vm.toString(call));
        }
        assertEq(slasher.count(), 0);
    }

    /// @notice The generator is not blind: one contradiction among the messages, and it is found.
    /// forge-config: default.fuzz.runs = 26
    /// forge-config: soak.fuzz.runs = 260
    function testFuzz_oneContradictionIsFound(uint256 seed) public {
        _state = seed;
        _behave();
        IEvidence.SignedVote memory second = votes[_pick(votes.length)];
        uint256 culprit = _signerOf(second);
        second.blockHash = keccak256("a second block");
        second = _signed(second, culprit);
        votes.push(second);
        for (uint256 i = 0; i + 1 < votes.length; ++i) {
            if (_signerOf(votes[i]) != culprit || !_samePlace(votes[i], second)) continue;
            bytes memory set = second.epoch == SIGMA ? members : laterMembers;
            doubleVote.report(votes[i], second, set, "", REPORTER);
        }
        assertEq(slasher.count(), 1);
        assertEq(slasher.offenceAt(0).id, culprit + 1);
    }

    // ------------------------------------------------------------------------------------------------- honest members

    /// @dev One message of each kind in each round; who precommitted a block votes for it or for nil from then on.
    function _behave() private {
        for (uint32 h = 0; h < 2; ++h) {
            bytes32[MEMBERS] memory locked;
            for (uint32 round = 0; round < ROUNDS; ++round) {
                _propose(7 + h, SIGMA + h, round);
                for (uint256 member = 0; member < MEMBERS; ++member) {
                    bytes32 hash = _hash();
                    if (locked[member] != 0 && hash != locked[member]) hash = 0;
                    _cast(1, 7 + h, SIGMA + h, round, hash, member);
                    hash = _hash();
                    if (locked[member] != 0 && hash != locked[member]) hash = 0;
                    if (hash != 0) locked[member] = hash;
                    _cast(2, 7 + h, SIGMA + h, round, hash, member);
                }
            }
        }
    }

    function _cast(uint8 kind, uint64 height, uint32 epoch, uint32 round, bytes32 hash, uint256 member) private {
        IEvidence.SignedVote memory vote;
        (vote.kind, vote.epoch, vote.height, vote.round, vote.blockHash) = (kind, epoch, height, round, hash);
        votes.push(_signed(vote, member));
    }

    function _propose(uint64 height, uint32 epoch, uint32 round) private {
        IEvidence.SignedProposal memory proposal;
        (proposal.epoch, proposal.height, proposal.round) = (epoch, height, round);
        proposal.polRound = int64(uint64(_pick(round + 1))) - 1;
        proposal.blockHash = keccak256(abi.encode("block", _pick(3)));
        proposals.push(_signed(proposal, _pick(MEMBERS)));
    }

    // ------------------------------------------------------------------------------------------------------- attempts

    function _doubleVote() private returns (bytes memory) {
        (IEvidence.SignedVote memory one, IEvidence.SignedVote memory two) = _pair();
        return abi.encodeCall(doubleVote.report, (one, two, _anySet(), _otherSet(one.epoch, two.epoch), REPORTER));
    }

    function _accusation() private returns (bytes memory) {
        (IEvidence.SignedVote memory one, IEvidence.SignedVote memory two) = _pair();
        if (_pick(2) == 0) (one.kind, two.kind) = (2, 1);
        if (_pick(2) == 0 && two.round <= one.round) (one, two) = (two, one);
        return abi.encodeCall(amnesia.accuse, (one, two, _anySet(), REPORTER));
    }

    /// @dev Two votes of which at least the places often agree, as a forger would begin.
    function _pair() private returns (IEvidence.SignedVote memory one, IEvidence.SignedVote memory two) {
        one = votes[_pick(votes.length)];
        two = votes[_pick(votes.length)];
        if (_pick(2) == 0) {
            // Another vote, said to be about the place of the first.
            (two.kind, two.fork, two.epoch, two.height, two.round) =
            (one.kind, one.fork, one.epoch, one.height, one.round);
        } else if (_pick(2) == 0) {
            // The same vote, said to be for another block.
            two = abi.decode(abi.encode(one), (IEvidence.SignedVote));
            two.blockHash = _hash();
        }
        if (_pick(2) == 0) _bend(one);
        if (_pick(2) == 0) _bend(two);
    }

    function _bend(IEvidence.SignedVote memory vote) private {
        uint256 what = _pick(9);
        if (what == 0) vote.kind = uint8(_pick(4));
        else if (what == 1) vote.fork = uint32(_pick(3));
        else if (what == 2) vote.epoch = SIGMA - 1 + uint32(_pick(4));
        else if (what == 3) vote.height = 6 + uint64(_pick(4));
        else if (what == 4) vote.round = uint32(_pick(4));
        else if (what == 5) vote.blockHash = _hash();
        else if (what == 6) vote.signature = _anySignature();
        else vote.signature = _bent(vote.signature);
    }

    function _doubleProposal() private returns (bytes memory) {
        IEvidence.SignedProposal memory one = proposals[_pick(proposals.length)];
        IEvidence.SignedProposal memory two = proposals[_pick(proposals.length)];
        if (_pick(2) == 0) (two.epoch, two.height, two.round) = (one.epoch, one.height, one.round);
        uint256 what = _pick(8);
        if (what == 0) two.fork = uint32(_pick(3));
        else if (what == 1) two.epoch = SIGMA + uint32(_pick(2));
        else if (what == 2) two.polRound = int64(uint64(_pick(4))) - 1;
        else if (what == 3) two.blockHash = _hash();
        else if (what == 4) two.signature = _anySignature();
        else if (what == 5) two.signature = _bent(two.signature);
        return abi.encodeCall(doubleProposal.report, (one, two, _anySet(), _otherSet(one.epoch, two.epoch), REPORTER));
    }

    /// @dev Honest precommits of one place for two blocks, filled up with whatever there is until they look like quorums.
    function _certificates() private returns (bytes memory) {
        IEvidence.SignedVote memory place = votes[_pick(votes.length)];
        IBatchChain.CommitCertificate memory one = _forged(place, keccak256(abi.encode("block", _pick(3))));
        IBatchChain.CommitCertificate memory two = _forged(place, keccak256(abi.encode("block", _pick(3))));
        bytes memory set = place.epoch == SIGMA ? members : laterMembers;
        return abi.encodeCall(certificates.report, (one, two, set, "", 10, REPORTER));
    }

    function _forged(IEvidence.SignedVote memory place, bytes32 hash)
        private
        returns (IBatchChain.CommitCertificate memory certificate)
    {
        (certificate.epoch, certificate.height, certificate.round) = (place.epoch, place.height, place.round);
        certificate.blockHash = hash;
        bool fill = _pick(2) == 0;
        for (uint256 member = 0; member < MEMBERS; ++member) {
            IEvidence.SignedVote memory vote = _precommitOf(place, member);
            if (vote.blockHash != hash && !fill) continue;
            certificate.signers |= 1 << member;
            certificate.signatures = bytes.concat(certificate.signatures, vote.signature);
        }
    }

    function _precommitOf(IEvidence.SignedVote memory place, uint256 member)
        private
        view
        returns (IEvidence.SignedVote memory)
    {
        // The order in which `_behave` casts them.
        uint256 round = (place.height - 7) * ROUNDS + place.round;
        return votes[(round * MEMBERS + member) * 2 + 1];
    }

    // -------------------------------------------------------------------------------------------------------- chance

    function _pick(uint256 below) private returns (uint256) {
        _state = uint256(keccak256(abi.encode(_state)));
        return _state % below;
    }

    /// @dev One of three blocks, or nil.
    function _hash() private returns (bytes32) {
        uint256 which = _pick(4);
        return which == 3 ? bytes32(0) : keccak256(abi.encode("block", which));
    }

    function _anySet() private returns (bytes memory) {
        return _pick(2) == 0 ? members : laterMembers;
    }

    function _otherSet(uint32 one, uint32 two) private returns (bytes memory) {
        return one == two && _pick(4) != 0 ? bytes("") : _anySet();
    }

    function _anySignature() private returns (bytes memory) {
        return _pick(4) == 0 ? proposals[_pick(proposals.length)].signature : votes[_pick(votes.length)].signature;
    }

    function _bent(bytes memory signature) private returns (bytes memory bent) {
        uint256 how = _pick(5);
        if (how == 0) {
            (bent,) = _highTwin(signature);
        } else if (how == 1) {
            bent = bytes.concat(signature, signature);
        } else if (how == 2) {
            bent = new bytes(_pick(65));
            for (uint256 i = 0; i < bent.length; ++i) {
                bent[i] = signature[i];
            }
        } else {
            bent = bytes.concat(signature);
            bent[_pick(65)] ^= bytes1(uint8(1 << _pick(8)));
        }
    }

    function _signerOf(IEvidence.SignedVote memory vote) private view returns (uint256 member) {
        address signer = _recovered(vote);
        while (vm.addr(_secret(member)) != signer) ++member;
    }

    function _samePlace(IEvidence.SignedVote memory one, IEvidence.SignedVote memory two) private pure returns (bool) {
        return one.kind == two.kind && one.height == two.height && one.round == two.round;
    }
}
