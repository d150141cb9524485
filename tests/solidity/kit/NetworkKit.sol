// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test, Vm} from "forge-std/Test.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IEpochClock} from "contracts/interfaces/IEpochClock.sol";
import {IFeeSplitter} from "contracts/interfaces/IFeeSplitter.sol";
import {IGuardian} from "contracts/interfaces/IGuardian.sol";
import {ILens} from "contracts/interfaces/ILens.sol";
import {INetworkParameters} from "contracts/interfaces/INetworkParameters.sol";
import {IPortal} from "contracts/interfaces/IPortal.sol";
import {IRewardVault} from "contracts/interfaces/IRewardVault.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {IStakeVault} from "contracts/interfaces/IStakeVault.sol";
import {Deploy} from "../../../script/Deploy.s.sol";
import {Parameters} from "../../../script/Parameters.sol";

/// @notice A whole network of the test profile, deployed by the deployment script: operators that are seated and
/// frozen, and real batches, certified by their keys, that become FINAL with the tally a test wants.
abstract contract NetworkKit is Test {
    using RLP for RLP.Encoder;

    uint64 internal constant GENESIS = 1_800_000_000;
    uint64 internal constant L2_CHAIN_ID = 424_242;
    uint256 internal constant BOND = 1000e18;

    /// @notice What one member did in an epoch.
    struct Work {
        uint32 assigned;
        uint32 own;
        uint32 substituted;
        uint128 priority;
    }

    INetworkParameters.Parameters internal parameters;
    Deploy.Deployment internal network;
    IERC20 internal token;
    ISequencerRegistry internal registry;
    IStakeVault internal stakeVault;
    ISequencerSet internal sequencerSet;
    IBatchChain internal batchChain;
    IPortal internal portal;
    IRewardVault internal rewardVault;
    IFeeSplitter internal feeSplitter;
    IGuardian internal guardian;
    ILens internal lens;

    address internal governance = makeAddr("governance");
    address internal guard = makeAddr("guard");
    address internal ecosystem = makeAddr("ecosystem");
    address internal poster = makeAddr("poster");

    /// @notice Members of each frozen set, as its event announced them.
    mapping(uint32 epoch => bytes) internal membersOf;

    function _deployNetwork() internal {
        vm.warp(GENESIS);
        vm.roll(1000);
        parameters = Parameters.ofProfile("test");
        Deploy script = new Deploy();
        network = script.deploy(_inputs(), parameters, address(script));
        token = IERC20(network.nativeToken);
        registry = ISequencerRegistry(network.sequencerRegistry);
        stakeVault = IStakeVault(network.stakeVault);
        sequencerSet = ISequencerSet(network.sequencerSet);
        batchChain = IBatchChain(network.batchChain);
        portal = IPortal(network.portal);
        rewardVault = IRewardVault(network.rewardVault);
        feeSplitter = IFeeSplitter(network.feeSplitter);
        guardian = IGuardian(network.guardian);
        lens = ILens(network.lens);
        uint256 supply = token.balanceOf(address(script));
        vm.prank(address(script));
        token.transfer(address(this), supply);
    }

    function _inputs() internal view returns (Deploy.Inputs memory) {
        return Deploy.Inputs({
            profile: "test",
            token: address(0),
            governance: governance,
            guardian: guard,
            ecosystem: ecosystem,
            permit2: address(0xBEEF),
            l2ChainId: L2_CHAIN_ID,
            l2GenesisHash: keccak256("L2 genesis"),
            genesisTime: GENESIS
        });
    }

    // ------------------------------------------------------------------------------------------------------ time

    function _epoch() internal view returns (uint32) {
        return IEpochClock(address(stakeVault)).currentEpoch();
    }

    /// @dev Moves to `timestamp` in a new L1 block.
    function _to(uint256 timestamp) internal {
        vm.warp(timestamp);
        vm.roll(block.number + 1);
        vm.setBlockhash(block.number - 1, keccak256(abi.encode("L1", block.number - 1)));
        vm.prevrandao(keccak256(abi.encode("randao", block.number)));
    }

    function _toEpoch(uint32 epoch) internal {
        _to(IEpochClock(address(stakeVault)).epochStart(epoch));
    }

    /// @dev Freezes the set of the next epoch and enters it.
    function _nextEpoch() internal returns (uint32 epoch) {
        epoch = _epoch() + 1;
        _to(GENESIS + uint256(epoch) * parameters.epochSeconds - parameters.epochSeconds / 2);
        _freeze(epoch);
        _toEpoch(epoch);
    }

    function _freeze(uint32 epoch) internal {
        vm.recordLogs();
        sequencerSet.freeze(epoch);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != ISequencerSet.EpochFrozen.selector) continue;
            (, membersOf[epoch]) = abi.decode(logs[i].data, (bytes32, bytes));
        }
    }

    // ------------------------------------------------------------------------------------------------- operators

    function _owner(uint256 index) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("owner", index)))));
    }

    // Any number below the curve order is a key; these exist only inside the test EVM.
    function _secret(uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("signer", index))) >> 1;
    }

    /// @dev Operator number `index` registers with 10 % commission, bonds, and is ready for a seat. Its id is returned.
    function _register(uint256 index, uint256 bond) internal returns (uint32 id) {
        address owner = _owner(index);
        bytes memory proof = _proof(owner, _secret(index), registry.nonces(owner));
        vm.prank(owner);
        id = registry.register(vm.addr(_secret(index)), owner, 1000, "/ip4/127.0.0.1/tcp/27000", proof);
        _delegate(id, owner, bond);
        vm.prank(owner);
        sequencerSet.setReady(id, true);
    }

    function _proof(address owner, uint256 secret, uint256 nonce) internal view returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Rota Registry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 message = keccak256(
            abi.encode(
                keccak256("ProofOfPossession(address owner,address signer,uint256 nonce)"),
                owner,
                vm.addr(secret),
                nonce
            )
        );
        return _signature(secret, keccak256(abi.encodePacked(hex"1901", domain, message)));
    }

    function _delegate(uint32 id, address who, uint256 amount) internal returns (uint256 units) {
        token.transfer(who, amount);
        vm.startPrank(who);
        token.approve(address(stakeVault), amount);
        units = stakeVault.delegate(id, amount);
        vm.stopPrank();
    }

    /// @dev `count` operators with equal bonds on the first seats, from epoch 2, which starts now.
    function _start(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            _register(i, BOND);
        }
        _toEpoch(1);
        for (uint256 i = 0; i < count; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            sequencerSet.takeSeat(uint32(i + 1), uint8(i));
        }
        _nextEpoch();
    }

    // --------------------------------------------------------------------------------------------------- tallies

    /// @dev The entries of `epoch`, one for each member in order.
    function _entries(uint32 epoch, Work[] memory work) internal view returns (bytes memory entries) {
        for (uint256 i = 0; i < work.length; ++i) {
            entries = bytes.concat(
                entries,
                abi.encodePacked(
                    _memberId(epoch, i), work[i].assigned, work[i].own, work[i].substituted, work[i].priority
                )
            );
        }
    }

    function _memberId(uint32 epoch, uint256 index) internal view returns (uint32) {
        return uint32(bytes4(_slice(membersOf[epoch], index * 32 + 20, 4)));
    }

    function _memberWeight(uint32 epoch, uint256 index) internal view returns (uint64) {
        return uint64(bytes8(_slice(membersOf[epoch], index * 32 + 24, 8)));
    }

    function _slice(bytes memory data, uint256 from, uint256 length) internal pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = data[from + i];
        }
    }

    /// @dev A tally of `epoch` over the entries.
    function _tally(uint32 epoch, bytes memory entries, uint64 blocks, uint128 fees)
        internal
        pure
        returns (IBatchChain.Tally memory)
    {
        // forge-lint: disable-next-line(unsafe-typecast)
        return IBatchChain.Tally(epoch, keccak256(entries), uint32(entries.length / 32), blocks, fees);
    }

    /// @dev Posts the batch that carries `tally`, sealed and signed by the set of the current epoch, waits and finalizes.
    function _finalBatch(IBatchChain.Tally memory tally) internal returns (IBatchChain.BatchHeader memory header) {
        header = _post(tally);
        _to(block.timestamp + parameters.challengeWindow);
        batchChain.finalize(batchChain.hashOf(header));
    }

    function _post(IBatchChain.Tally memory tally) internal returns (IBatchChain.BatchHeader memory header) {
        header = _header(tally);
        _post(header);
    }

    /// @dev The next batch as the set of the current epoch would certify it now.
    function _header(IBatchChain.Tally memory tally) internal view returns (IBatchChain.BatchHeader memory header) {
        IBatchChain.Head memory head = batchChain.headState();
        header.index = head.index + 1;
        header.parent = head.hash;
        header.epoch = sequencerSet.frozenEpochAt(_epoch());
        header.firstBlock = head.lastBlock + 1;
        header.lastBlock = head.lastBlock + 32;
        header.lastBlockHash = keccak256(abi.encode("block", header.lastBlock));
        header.stateRoot = keccak256(abi.encode("state", header.lastBlock));
        header.dataHash = keccak256("data");
        header.depositEnd = head.depositEnd;
        header.l1OriginNumber = uint64(block.number - 1);
        header.l1OriginHash = blockhash(block.number - 1);
        header.tally = tally;
    }

    /// @dev Posts a batch sealed and signed by the set of its epoch.
    function _post(IBatchChain.BatchHeader memory header) internal {
        bytes memory rlp = _sealingBlock(header);
        IBatchChain.CommitCertificate memory certificate = _certificate(header, keccak256(rlp));
        vm.prank(poster);
        batchChain.post(header, rlp, certificate, membersOf[header.epoch], "data");
    }

    function _certificate(IBatchChain.BatchHeader memory header, bytes32 blockHash)
        private
        view
        returns (IBatchChain.CommitCertificate memory certificate)
    {
        certificate.epoch = header.epoch;
        certificate.height = header.lastBlock + 1;
        certificate.blockHash = blockHash;
        bytes32 digest = keccak256(
            abi.encodePacked(
                hex"1901",
                batchChain.domainSeparator(),
                keccak256(
                    abi.encode(
                        keccak256(
                            "Vote(uint8 kind,uint32 fork,uint32 epoch,uint64 height,uint32 round,bytes32 blockHash)"
                        ),
                        2,
                        0,
                        certificate.epoch,
                        certificate.height,
                        0,
                        blockHash
                    )
                )
            )
        );
        uint256 count = membersOf[header.epoch].length / 32;
        for (uint256 i = 0; i < count; ++i) {
            uint256 secret = _secret(_memberId(header.epoch, i) - 1);
            certificate.signatures = bytes.concat(certificate.signatures, _signature(secret, digest));
        }
        certificate.signers = (1 << count) - 1;
    }

    function _sealingBlock(IBatchChain.BatchHeader memory header) private view returns (bytes memory) {
        RLP.Encoder memory list = RLP.encoder();
        list.push(header.lastBlockHash).push(keccak256(hex"c0")).push(address(uint160(0x5e90) << 144 | 1));
        list.push(header.stateRoot).push(keccak256("transactions")).push(keccak256("receipts")).push(new bytes(256));
        list.push(uint256(0)).push(uint256(header.lastBlock + 1)).push(uint256(30_000_000)).push(uint256(21_000));
        list.push(block.timestamp).push(abi.encodePacked(keccak256(abi.encode(header)))).push(keccak256("randao"));
        list.push(new bytes(8)).push(uint256(7)).push(keccak256("withdrawals")).push(uint256(0)).push(uint256(0));
        list.push(header.l1OriginHash).push(sha256(""));
        return list.encode();
    }

    function _signature(uint256 secret, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    // ---------------------------------------------------------------------------------------------------- rewards

    /// @dev Locks tokens in the portal as users of the L2 do: what fees are released from.
    function _deposit(uint256 amount) internal {
        amount = amount / 1e9 * 1e9;
        token.approve(address(portal), amount);
        portal.deposit(makeAddr("user"), amount);
    }

    function _fund(uint256 amount) internal {
        token.approve(address(rewardVault), amount);
        rewardVault.fund(amount);
    }

    function _open(IBatchChain.BatchHeader memory header, bytes memory entries) internal {
        rewardVault.openEpoch(header, membersOf[header.tally.epoch], entries);
    }

    /// @dev Ends the current epoch with this work and fees, and credits all of it.
    function _payEpoch(Work[] memory work, uint128 fees) internal returns (uint32 epoch) {
        epoch = _epoch();
        bytes memory entries = _entries(epoch, work);
        _nextEpoch();
        _open(_finalBatch(_tally(epoch, entries, 0, fees)), entries);
        rewardVault.credit(epoch, membersOf[epoch], entries, type(uint256).max);
    }
}
