// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";
import {IBatchChain} from "contracts/interfaces/IBatchChain.sol";
import {IPortal} from "contracts/interfaces/IPortal.sol";
import {FrozenSets, PauseSwitch, PosterLedger} from "./RollupDoubles.sol";

/// @notice A batch chain with a portal, sets whose keys the test knows, and honest batches to mutate. Headers are encoded
/// with OpenZeppelin's RLP writer and votes are hashed here, so nothing the contracts compute is reused against them.
abstract contract RollupKit is Test {
    using RLP for RLP.Encoder;

    uint64 internal constant EPOCH_SECONDS = 60;
    uint64 internal constant GENESIS = 1_800_000_000;
    uint64 internal constant CHALLENGE_WINDOW = 60;
    uint32 internal constant MAX_SET_AGE = 2;
    uint64 internal constant L2_CHAIN_ID = 424_242;
    bytes32 internal constant L2_GENESIS = keccak256("L2 genesis");
    uint64 internal constant L1_START = 1000;

    /// @notice One sequencer of a test set.
    struct Key {
        uint256 secret;
        address signer;
        uint64 weight;
    }

    /// @notice All arguments of `post`.
    struct Bundle {
        IBatchChain.BatchHeader header;
        bytes rlp;
        IBatchChain.CommitCertificate certificate;
        bytes members;
        bytes data;
    }

    /// @notice The fields of an L2 header a test may want to change.
    struct L2Block {
        bytes32 parentHash;
        address beneficiary;
        bytes32 stateRoot;
        uint64 number;
        uint64 timestamp;
        bytes extraData;
        bytes32 originHash;
    }

    IBatchChain internal chain;
    IPortal internal portal;
    IERC20 internal token;
    FrozenSets internal sets;
    PauseSwitch internal guardian;
    PosterLedger internal vault;

    mapping(uint32 epoch => Key[]) internal keysOf;

    function setUp() public virtual {
        vm.roll(L1_START);
        vm.warp(GENESIS + 2 * EPOCH_SECONDS);
        sets = new FrozenSets();
        guardian = new PauseSwitch();
        vault = new PosterLedger();
        token = IERC20(vm.deployCode("NativeToken.sol:NativeToken", abi.encode("Rota", "ROTA", 1e27, address(this))));
        portal =
            IPortal(vm.deployCode("Portal.sol:Portal", abi.encode(address(token), address(vault), address(guardian))));
        chain = _deployChain(_config());
        _freeze(2, _keys("genesis set", 4, 1e9));
        _mine(1);
    }

    // -------------------------------------------------------------------------------------------------------- L1

    function _config() internal pure returns (IBatchChain.Config memory) {
        return IBatchChain.Config({
            genesis: GENESIS,
            epochSeconds: EPOCH_SECONDS,
            l2ChainId: L2_CHAIN_ID,
            l2GenesisHash: L2_GENESIS,
            challengeWindow: CHALLENGE_WINDOW,
            maxSetAge: MAX_SET_AGE
        });
    }

    function _deployChain(IBatchChain.Config memory config) internal returns (IBatchChain) {
        return IBatchChain(
            vm.deployCode(
                "BatchChain.sol:BatchChain",
                abi.encode(config, address(sets), address(portal), address(vault), address(guardian))
            )
        );
    }

    function _l1Hash(uint256 number) internal view virtual returns (bytes32) {
        return keccak256(abi.encode("L1", number));
    }

    /// @dev Lets `count` L1 blocks of a second each pass.
    function _mine(uint256 count) internal virtual {
        for (uint256 i = 0; i < count; ++i) {
            vm.roll(block.number + 1);
            vm.warp(block.timestamp + 1);
            vm.setBlockhash(block.number - 1, _l1Hash(block.number - 1));
        }
    }

    /// @dev Moves to the start of an epoch in one L1 block.
    function _toEpoch(uint32 epoch) internal virtual {
        vm.roll(block.number + 1);
        vm.warp(GENESIS + uint256(epoch) * EPOCH_SECONDS);
        vm.setBlockhash(block.number - 1, _l1Hash(block.number - 1));
    }

    // ------------------------------------------------------------------------------------------------------ sets

    function _keys(string memory label, uint256 count, uint64 weight) internal pure returns (Key[] memory keys) {
        keys = new Key[](count);
        for (uint256 i = 0; i < count; ++i) {
            // Any number below the curve order is a key; these exist only inside the test EVM.
            uint256 secret = uint256(keccak256(abi.encode(label, i))) >> 1;
            keys[i] = Key({secret: secret, signer: vm.addr(secret), weight: weight});
        }
    }

    function _freeze(uint32 epoch, Key[] memory keys) internal {
        delete keysOf[epoch];
        for (uint256 i = 0; i < keys.length; ++i) {
            keysOf[epoch].push(keys[i]);
        }
        sets.freeze(epoch, _members(keys));
    }

    function _members(Key[] memory keys) internal pure returns (bytes memory members) {
        for (uint256 i = 0; i < keys.length; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            members = bytes.concat(members, abi.encodePacked(keys[i].signer, uint32(i + 1), keys[i].weight));
        }
    }

    // ---------------------------------------------------------------------------------------------------- batches

    /// @dev An honest header of the next `blocks` blocks, sealed under `epoch`, with the latest L1 block as origin.
    function _header(uint64 blocks, uint32 epoch) internal view returns (IBatchChain.BatchHeader memory header) {
        IBatchChain.Head memory head = chain.headState();
        header.index = head.index + 1;
        header.parent = head.hash;
        header.epoch = epoch;
        header.firstBlock = head.lastBlock + 1;
        header.lastBlock = head.lastBlock + blocks;
        header.lastBlockHash = keccak256(abi.encode("block", header.lastBlock, head.hash));
        header.stateRoot = keccak256(abi.encode("state", header.lastBlock, head.hash));
        header.dataHash = keccak256(_data());
        header.depositEnd = head.depositEnd;
        header.l1OriginNumber = uint64(block.number - 1);
        header.l1OriginHash = _l1Hash(block.number - 1);
    }

    function _data() internal pure returns (bytes memory) {
        return hex"c0ffee";
    }

    function _sealingBlock(IBatchChain.BatchHeader memory header) internal view returns (L2Block memory sealing) {
        sealing.parentHash = header.lastBlockHash;
        sealing.beneficiary = address(uint160(0x5e90) << 144 | 1);
        sealing.stateRoot = keccak256("sealing state");
        sealing.number = header.lastBlock + 1;
        sealing.timestamp = uint64(block.timestamp);
        sealing.extraData = abi.encodePacked(keccak256(abi.encode(header)));
        sealing.originHash = header.l1OriginHash;
    }

    /// @dev A certified batch: sealed by the next block, signed by everyone in the set of the header's epoch.
    function _bundle(IBatchChain.BatchHeader memory header) internal view returns (Bundle memory) {
        return _bundle(header, _sealingBlock(header));
    }

    function _bundle(IBatchChain.BatchHeader memory header, L2Block memory sealing)
        internal
        view
        returns (Bundle memory bundle)
    {
        Key[] memory keys = keysOf[header.epoch];
        bundle.header = header;
        bundle.rlp = _rlp(sealing);
        bundle.members = _members(keys);
        bundle.data = _data();
        bundle.certificate.fork = header.fork;
        bundle.certificate.epoch = header.epoch;
        bundle.certificate.height = sealing.number;
        bundle.certificate.blockHash = keccak256(bundle.rlp);
        _sign(bundle.certificate, keys, (1 << keys.length) - 1);
    }

    function _next(uint64 blocks, uint32 epoch) internal view returns (Bundle memory) {
        return _bundle(_header(blocks, epoch));
    }

    function _post(Bundle memory bundle) internal {
        chain.post(bundle.header, bundle.rlp, bundle.certificate, bundle.members, bundle.data);
    }

    function _expectRefused(Bundle memory bundle, bytes memory reason) internal {
        vm.expectRevert(reason);
        _post(bundle);
    }

    /// @dev `vm.expectRevert` does not watch a creation in assembly, so its answer is compared here.
    function _assertCreationRefused(bytes memory code, bytes memory reason) internal {
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
        assertEq(answer, reason);
    }

    // ------------------------------------------------------------------------------------------------ votes, headers

    function _domain(address batchChain) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Rota"),
                keccak256("1"),
                uint256(L2_CHAIN_ID),
                batchChain
            )
        );
    }

    function _digest(bytes32 domain, uint8 kind, IBatchChain.CommitCertificate memory certificate)
        internal
        pure
        returns (bytes32)
    {
        bytes32 vote = keccak256(
            abi.encode(
                keccak256("Vote(uint8 kind,uint32 fork,uint32 epoch,uint64 height,uint32 round,bytes32 blockHash)"),
                kind,
                certificate.fork,
                certificate.epoch,
                certificate.height,
                certificate.round,
                certificate.blockHash
            )
        );
        return keccak256(abi.encodePacked(bytes2(0x1901), domain, vote));
    }

    /// @dev Fills `signers` and `signatures` with precommits of the members in the bitmap.
    function _sign(IBatchChain.CommitCertificate memory certificate, Key[] memory keys, uint256 signers) internal view {
        _signAs(certificate, keys, signers, _domain(address(chain)), 2);
    }

    function _signAs(
        IBatchChain.CommitCertificate memory certificate,
        Key[] memory keys,
        uint256 signers,
        bytes32 domain,
        uint8 kind
    ) internal pure {
        certificate.signers = signers;
        certificate.signatures = "";
        bytes32 digest = _digest(domain, kind, certificate);
        for (uint256 i = 0; i < keys.length; ++i) {
            if ((signers >> i) & 1 == 0) continue;
            certificate.signatures = bytes.concat(certificate.signatures, _signature(keys[i].secret, digest));
        }
    }

    function _signature(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The Osaka header, field by field.
    function _rlp(L2Block memory l2) internal pure returns (bytes memory) {
        RLP.Encoder memory list = RLP.encoder();
        list.push(l2.parentHash).push(keccak256(hex"c0")).push(l2.beneficiary).push(l2.stateRoot);
        list.push(keccak256("transactions")).push(keccak256("receipts")).push(new bytes(256));
        list.push(uint256(0)).push(uint256(l2.number)).push(uint256(30_000_000)).push(uint256(21_000));
        list.push(uint256(l2.timestamp)).push(l2.extraData).push(keccak256("randao")).push(new bytes(8));
        list.push(uint256(7)).push(keccak256("withdrawals")).push(uint256(0)).push(uint256(0));
        list.push(l2.originHash).push(sha256(""));
        return list.encode();
    }
}
