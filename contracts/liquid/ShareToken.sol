// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";

/// @title ShareToken
/// @notice ERC-20 with permits (ERC-2612) and a domain that tells itself (ERC-5267), version "1".
/// @dev OpenZeppelin's `ERC20Permit` with nothing cached: a permit is rare, and what caching takes of the size limit
/// (EIP-170) the staked token needs for its books.
abstract contract ShareToken is ERC20, IERC20Permit, IERC5267 {
    bytes32 private constant _DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant _PERMIT_TYPE =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    /// @inheritdoc IERC20Permit
    mapping(address owner => uint256) public nonces;

    /// @notice The permit ended at `deadline`, unix seconds.
    error ERC2612ExpiredSignature(uint256 deadline);

    /// @notice The permit is not signed by `owner` with its current nonce; `signer` is zero if it is no signature.
    error ERC2612InvalidSigner(address signer, address owner);

    /// @inheritdoc IERC20Permit
    function permit(address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        if (block.timestamp > deadline) revert ERC2612ExpiredSignature(deadline);
        bytes32 message = keccak256(abi.encode(_PERMIT_TYPE, owner, spender, value, nonces[owner]++, deadline));
        // The other signature of the same message (s above half the order) is harmless: the nonce is used.
        address signer = ECDSA.tryRecover(keccak256(abi.encodePacked(hex"1901", DOMAIN_SEPARATOR(), message)), v, r, s);
        if (signer != owner || signer == address(0)) revert ERC2612InvalidSigner(signer, owner);
        _approve(owner, spender, value);
    }

    /// @inheritdoc IERC20Permit
    function DOMAIN_SEPARATOR() public view returns (bytes32) {
        return
            keccak256(abi.encode(_DOMAIN_TYPE, keccak256(bytes(name())), keccak256("1"), block.chainid, address(this)));
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        // Name, version, chain and contract.
        return (0x0f, name(), "1", block.chainid, address(this), salt, extensions);
    }
}
