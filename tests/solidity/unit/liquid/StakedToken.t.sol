// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";

import {IStakedToken} from "contracts/interfaces/IStakedToken.sol";

import {LiquidFixture} from "../../harness/LiquidFixture.sol";

/// @notice The staked token: how it is made, what it answers to standards, and whom its doors let in. Deposits, stake and slashes
/// have files of their own, attacks too.
contract StakedTokenTest is LiquidFixture {
    IERC20Permit private permits;

    function setUp() public {
        _deployLiquid();
        permits = IERC20Permit(address(st));
    }

    // --- constructor

    /// @notice The token can be looked at before epoch 0, and the first action sets the aim of the buffer in that too.
    function test_beforeGenesisAndInEpochZero() public {
        vm.warp(GENESIS - 1 days);
        _deployLiquidOn(token, _config());
        assertEq(st.totalAssets(), 1e18);
        assertEq(st.convertToAssets(1e18), 1e18);
        assertEq(st.position().bufferTarget, 0.05e18);
        assertEq(st.liquidity().free, 1e18);
        assertEq(st.maxRedeem(ALICE), 0);
        vm.warp(GENESIS);
        assertEq(st.position().bufferTarget, 0.05e18);
        _deposit(ALICE, 99e18);
        assertEq(st.position().bufferTarget, 0.05e18, "set by the first action, then fixed");
        _nextEpoch();
        assertEq(st.position().bufferTarget, 5e18);
    }

    function test_constructor_seedsAndNames() public view {
        assertEq(share.totalSupply(), 1e18);
        assertEq(st.totalAssets(), 1e18);
        assertEq(share.balanceOf(0x000000000000000000000000000000000000dEaD), 1e18);
        assertEq(IERC20Metadata(address(st)).decimals(), 18);
        assertEq(IERC20Metadata(address(st)).name(), "Staked Rota");
        assertEq(st.asset(), address(token));
        assertEq(st.share(), address(st));
        assertEq(st.vault(address(token)), address(st));
        assertEq(st.vault(address(st)), address(0));
        assertEq(st.exitQueue(), address(queue));
        (uint16 feeBps, address recipient) = st.feeInfo();
        assertEq(feeBps, 1000);
        assertEq(recipient, TREASURY);
    }

    function test_constructor_refusesFiguresOutOfRange() public {
        IStakedToken.Config memory bad = _full();
        bad.feeBps = 1001;
        _refuse(bad, abi.encodeWithSelector(IStakedToken.StakedToken_FeeTooHigh.selector, 1001, 1000));
        bad = _full();
        bad.bufferBps = 5001;
        _refuse(bad, _range(1, 5001));
        bad = _full();
        bad.exitFloorBps = 101;
        _refuse(bad, _range(2, 101));
        bad = _full();
        bad.exitSpanBps = 1001;
        _refuse(bad, _range(3, 1001));
        bad = _full();
        bad.windowBps = 0;
        _refuse(bad, _range(4, 0));
        bad = _full();
        bad.windowSeconds = 0;
        _refuse(bad, _range(5, 0));
        bad = _full();
        bad.maxShareBps = 10_001;
        _refuse(bad, _range(6, 10_001));
        bad = _full();
        bad.bunkerLossBps = 0;
        _refuse(bad, _range(7, 0));
        bad = _full();
        bad.bunkerEpochs = 65;
        _refuse(bad, _range(8, 65));
        bad = _full();
        bad.dripSeconds = uint32(EPOCH) - 1;
        _refuse(bad, _range(9, EPOCH - 1));
        bad = _full();
        bad.maxDripSeconds = bad.dripSeconds - 1;
        _refuse(bad, _range(10, bad.dripSeconds - 1));
    }

    function test_constructor_refusesZeroAddresses() public {
        bytes memory zero = abi.encodeWithSelector(IStakedToken.StakedToken_ZeroAddress.selector);
        IStakedToken.Config memory bad = _full();
        bad.token = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.stakeVault = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.rewardVault = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.allocator = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.coverFund = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.exitQueue = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.faultWatch = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.guardian = address(0);
        _refuse(bad, zero);
        bad = _full();
        bad.feeRecipient = address(0);
        _refuse(bad, zero);
    }

    // --- the queue's doors

    function test_queueDoorsAreTheQueuesOnly() public {
        bytes memory refusal = abi.encodeWithSelector(IStakedToken.StakedToken_NotExitQueue.selector, address(this));
        vm.expectRevert(refusal);
        st.escrowShares(ALICE, ALICE, 1);
        vm.expectRevert(refusal);
        st.sealExit(1);
        vm.expectRevert(refusal);
        st.releaseExit();
    }

    /// @notice The token itself keeps an exit for each epoch, whatever its queue asks.
    function test_sealExit_oncePerEpoch() public {
        _deposit(ALICE, 100e18);
        vm.prank(ALICE);
        share.transfer(address(queue), 3e18);
        vm.startPrank(address(queue));
        st.sealExit(1e18);
        vm.expectRevert(abi.encodeWithSelector(IStakedToken.StakedToken_SealedThisEpoch.selector, _epoch()));
        st.sealExit(1e18);
        _nextEpoch();
        (uint256 index,) = st.sealExit(2e18);
        assertEq(index, 2);
    }

    // --- standards

    function test_supportsInterface() public view {
        assertTrue(st.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(st.supportsInterface(0x2f0a18c5), "ERC-7575");
        assertTrue(st.supportsInterface(0xf815c03d), "ERC-7575 share");
        assertFalse(st.supportsInterface(0xffffffff));
        assertFalse(st.supportsInterface(0x620ee8e4), "asynchronous redemption is the queue's");
    }

    function test_permitAndDomain() public {
        (address owner, uint256 key) = makeAddrAndKey("permit");
        (bytes1 fields, string memory name, string memory version, uint256 chainId, address domainOf, bytes32 salt,) =
            IERC5267(address(st)).eip712Domain();
        assertEq(fields, hex"0f", "ERC-5267: name, version, chain and contract");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(domainOf, address(st));
        assertEq(salt, 0);
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(version)),
                chainId,
                domainOf
            )
        );
        assertEq(domain, permits.DOMAIN_SEPARATOR());
        (uint8 v, bytes32 r, bytes32 s) = _sign(key, owner, 0);
        permits.permit(owner, BOB, 5e18, block.timestamp, v, r, s);
        assertEq(share.allowance(owner, BOB), 5e18);
        assertEq(permits.nonces(owner), 1);
        // A chain that splits has another domain.
        vm.chainId(block.chainid + 1);
        assertNotEq(permits.DOMAIN_SEPARATOR(), domain);
    }

    function test_permit_refusals() public {
        (address owner, uint256 key) = makeAddrAndKey("permit");
        (uint8 v, bytes32 r, bytes32 s) = _sign(key, owner, 0);
        uint256 deadline = block.timestamp;
        skip(1);
        vm.expectRevert(abi.encodeWithSelector(ERC2612ExpiredSignature.selector, deadline));
        permits.permit(owner, BOB, 5e18, deadline, v, r, s);
        vm.warp(deadline);
        vm.expectPartialRevert(ERC2612InvalidSigner.selector);
        permits.permit(owner, BOB, 6e18, deadline, v, r, s);
        vm.expectRevert(abi.encodeWithSelector(ERC2612InvalidSigner.selector, address(0), owner));
        permits.permit(owner, BOB, 5e18, deadline, 26, r, s);
        // Nobody signs for the zero address.
        vm.expectRevert(abi.encodeWithSelector(ERC2612InvalidSigner.selector, address(0), address(0)));
        permits.permit(address(0), BOB, 5e18, deadline, 26, r, s);
        permits.permit(owner, BOB, 5e18, deadline, v, r, s);
        // Neither the same signature again nor its twin with the other s.
        vm.expectPartialRevert(ERC2612InvalidSigner.selector);
        permits.permit(owner, BOB, 5e18, deadline, v, r, s);
        s = bytes32(0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 - uint256(s));
        vm.expectPartialRevert(ERC2612InvalidSigner.selector);
        permits.permit(owner, BOB, 5e18, deadline, v == 27 ? 28 : 27, r, s);
        assertEq(share.allowance(owner, BOB), 5e18);
    }

    // --- kit

    error ERC2612ExpiredSignature(uint256 deadline);
    error ERC2612InvalidSigner(address signer, address owner);

    function _sign(uint256 key, address owner, uint256 nonce) private view returns (uint8, bytes32, bytes32) {
        bytes32 message = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                owner,
                BOB,
                5e18,
                nonce,
                block.timestamp
            )
        );
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", permits.DOMAIN_SEPARATOR(), message)));
    }

    function _full() private view returns (IStakedToken.Config memory config) {
        config = _config();
        config.token = address(token);
        config.rewardVault = address(rewards);
        config.allocator = address(allocator);
        config.coverFund = address(cover);
        config.exitQueue = address(queue);
        config.faultWatch = address(watch);
    }

    function _range(uint256 parameter, uint256 value) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IStakedToken.StakedToken_OutOfRange.selector, parameter, value);
    }

    function _refuse(IStakedToken.Config memory config, bytes memory reason) private {
        bytes memory code = abi.encodePacked(vm.getCode("StakedToken.sol:StakedToken"), abi.encode(config));
        vm.expectRevert(reason);
        this.create(code);
    }

    function create(bytes memory code) external returns (address made) {
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
            if iszero(made) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }
}
