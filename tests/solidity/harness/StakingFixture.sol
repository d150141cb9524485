// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {IEpochClock} from "contracts/interfaces/IEpochClock.sol";
import {ISequencerRegistry} from "contracts/interfaces/ISequencerRegistry.sol";
import {ISequencerSet} from "contracts/interfaces/ISequencerSet.sol";
import {ALL_LATER, IStakeVault} from "contracts/interfaces/IStakeVault.sol";

/// @dev A guardian that tests switch by hand; the timed one has its own tests.
contract SwitchGuardian {
    bool public isPaused;

    function set(bool paused) external {
        isPaused = paused;
    }
}

/// @dev Counts the calls of `freeze`.
contract CountingBatchChain {
    uint256 public anchors;

    function anchorLatest() external {
        ++anchors;
    }
}

/// @notice Registry, vault and set wired as in a deployment, with a slasher and an escrow that are plain accounts.
abstract contract StakingFixture is Test {
    uint64 internal constant GENESIS = 1_700_000_000;
    uint64 internal constant EPOCH = 60;
    uint32 internal constant UNBONDING = 8;
    uint16 internal constant MAX_COMMISSION = 3000;
    uint256 internal constant MIN_SELF_BOND = 100e18;
    uint256 internal constant MAX_POOL = 100_000e18;
    string internal constant URI = "/ip4/127.0.0.1/tcp/27000/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";

    IERC20 internal token;
    ISequencerRegistry internal registry;
    IStakeVault internal vault;
    ISequencerSet internal set;
    SwitchGuardian internal guardian;
    CountingBatchChain internal batchChain;
    IAccessManager internal manager;
    address internal slasher = makeAddr("slasher");
    address internal escrow = makeAddr("escrow");
    address private predictedSet;

    function _deploy(uint8 maxSeats, uint32 slots) internal {
        vm.warp(GENESIS);
        vm.roll(1);
        vm.prevrandao(uint256(1));
        token = IERC20(vm.deployCode("NativeToken.sol:NativeToken", abi.encode("Rota", "ROTA", 1e28, address(this))));
        guardian = new SwitchGuardian();
        batchChain = new CountingBatchChain();
        manager = IAccessManager(vm.deployCode("AccessManager.sol:AccessManager", abi.encode(address(this))));
        registry =
            ISequencerRegistry(vm.deployCode("SequencerRegistry.sol:SequencerRegistry", abi.encode(_registryConfig())));
        predictedSet = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        vault = IStakeVault(vm.deployCode("StakeVault.sol:StakeVault", abi.encode(_vaultConfig(address(token)))));
        set = ISequencerSet(vm.deployCode("SequencerSet.sol:SequencerSet", abi.encode(_setConfig(maxSeats, slots))));
    }

    function _registryConfig() internal view returns (ISequencerRegistry.Config memory) {
        return ISequencerRegistry.Config({
            guardian: address(guardian),
            slasher: slasher,
            slashEscrow: escrow,
            unjailFee: _unjailFee(),
            maxCommissionBps: MAX_COMMISSION,
            genesis: GENESIS,
            epochSeconds: EPOCH
        });
    }

    /// @dev Nothing, unless a test is about it.
    function _unjailFee() internal pure virtual returns (uint256) {
        return 0;
    }

    function _vaultConfig(address asset) internal view returns (IStakeVault.Config memory) {
        return IStakeVault.Config({
            token: asset,
            registry: address(registry),
            guardian: address(guardian),
            slasher: slasher,
            slashEscrow: escrow,
            sequencerSet: predictedSet,
            authority: address(manager),
            unbondingEpochs: _unbonding(),
            maxPool: MAX_POOL,
            genesis: GENESIS,
            epochSeconds: EPOCH
        });
    }

    /// @dev Another length for tests that need one.
    function _unbonding() internal view virtual returns (uint32) {
        return UNBONDING;
    }

    function _setConfig(uint8 maxSeats, uint32 slots) internal view returns (ISequencerSet.Config memory) {
        return ISequencerSet.Config({
            registry: address(registry),
            vault: address(vault),
            batchChain: address(batchChain),
            guardian: address(guardian),
            authority: address(manager),
            maxSeats: maxSeats,
            slotsPerWindow: slots,
            minSelfBond: MIN_SELF_BOND,
            genesis: GENESIS,
            epochSeconds: EPOCH
        });
    }

    /// @dev Proof of possession computed here from the EIP-712 text, not by code of the registry.
    function _proof(uint256 signerKey, address owner, uint256 nonce) internal view returns (bytes memory) {
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
                vm.addr(signerKey),
                nonce
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(signerKey, keccak256(abi.encodePacked(hex"1901", domain, message)));
        return abi.encodePacked(r, s, v);
    }

    function _register(address owner, uint256 signerKey) internal returns (uint32 id) {
        bytes memory proof = _proof(signerKey, owner, registry.nonces(owner));
        vm.prank(owner);
        return registry.register(vm.addr(signerKey), owner, 1000, URI, proof);
    }

    function _rotate(uint32 id, uint256 signerKey) internal {
        address owner = registry.ownerOf(id);
        bytes memory proof = _proof(signerKey, owner, registry.nonces(owner));
        vm.prank(owner);
        registry.rotateSigner(id, vm.addr(signerKey), proof);
    }

    function _fund(address who, uint256 amount) internal {
        token.transfer(who, amount);
        vm.prank(who);
        token.approve(address(vault), amount);
    }

    function _delegate(address who, uint32 id, uint256 amount) internal returns (uint256 units) {
        _fund(who, amount);
        vm.prank(who);
        return vault.delegate(id, amount);
    }

    function _undelegate(address who, uint32 id, uint256 units) internal returns (uint256 amount, uint32 cohort) {
        vm.prank(who);
        (amount, cohort,) = vault.undelegate(id, units);
    }

    function _slash(uint32 id, uint32 sigma, uint256 fraction) internal returns (uint256 taken) {
        return _slash(id, sigma, ALL_LATER, fraction);
    }

    function _slash(uint32 id, uint32 sigma, uint32 before, uint256 fraction) internal returns (uint256 taken) {
        vm.prank(slasher);
        return vault.slash(id, sigma, before, fraction);
    }

    /// @dev Registered, bonded with `stake`, ready: may take a seat from the next epoch on.
    function _operator(uint256 index, uint256 stake) internal returns (uint32 id) {
        address owner = _owner(index);
        id = _register(owner, _key(index));
        _delegate(owner, id, stake);
        vm.prank(owner);
        set.setReady(id, true);
    }

    function _owner(uint256 index) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("owner", index)))));
    }

    function _key(uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("signer key", index))) >> 1;
    }

    function _epoch() internal view returns (uint32) {
        return IEpochClock(address(vault)).currentEpoch();
    }

    function _toEpoch(uint32 epoch) internal {
        vm.warp(GENESIS + uint256(epoch) * EPOCH);
    }

    /// @dev First second in which the set of `epoch + 1` may be frozen.
    function _toSecondHalf(uint32 epoch) internal {
        vm.warp(GENESIS + uint256(epoch) * EPOCH + EPOCH / 2);
    }

    /// @dev Enters the second half of the epoch before and freezes.
    function _freeze(uint32 epoch) internal {
        _toSecondHalf(epoch - 1);
        set.freeze(epoch);
    }

    /// @dev The member bytes that a set of these operators, in this order, has in `epoch`.
    function _members(uint32[] memory ids, uint32 epoch) internal view returns (bytes memory members) {
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint256 tokens,) = vault.poolAt(ids[i], epoch);
            members =
                bytes.concat(members, abi.encodePacked(registry.signerAt(ids[i], epoch), ids[i], uint64(tokens / 1e9)));
        }
    }
}
