// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC721Metadata} from "@openzeppelin/contracts/token/ERC721/extensions/IERC721Metadata.sol";
import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {IExitQueue} from "../interfaces/IExitQueue.sol";
import {IExitReceipt} from "../interfaces/IExitReceipt.sol";

/// @title ExitReceipt
/// @dev Specified by `IExitReceipt`. Every entry that changes anything is guarded; a receipt is burned before anything is
/// paid for it, and issued after the queue has its shares.
contract ExitReceipt is IExitReceipt, ERC721, ReentrancyGuardTransient {
    // Every entry is guarded, and the queue is the one that the constructor named.
    // slither-disable-start reentrancy-no-eth
    using SafeCast for uint256;
    using Strings for uint256;

    /// @dev One word.
    struct Stake {
        uint128 shares;
        uint64 requestId;
    }

    /// @dev One word: what was fetched from the queue for a batch, fixed for ever; no shares: nothing yet.
    struct Fetched {
        uint128 shares;
        uint128 assets;
    }

    IExitQueue private immutable QUEUE;
    address private immutable TOKEN;
    address private immutable SHARE;

    /// @inheritdoc IExitReceipt
    uint256 public lastReceipt;

    /// @inheritdoc IExitReceipt
    mapping(uint256 requestId => uint256 shares) public sharesOutstanding;

    mapping(uint256 tokenId => Stake stake) private _stakes;
    mapping(uint256 requestId => Fetched fetched) private _fetched;

    /// @param queue The `IExitQueue`.
    /// @param name_ ERC-721 name.
    /// @param symbol_ ERC-721 symbol.
    constructor(address queue, string memory name_, string memory symbol_) ERC721(name_, symbol_) {
        if (queue == address(0)) revert ExitReceipt_ZeroAddress();
        QUEUE = IExitQueue(queue);
        TOKEN = IExitQueue(queue).asset();
        SHARE = IExitQueue(queue).share();
    }

    // -------------------------------------------------------------------------------------------------------- requests

    /// @inheritdoc IExitReceipt
    function request(uint256 shares, address owner, address receiver) external nonReentrant returns (uint256 tokenId) {
        _authorize(owner);
        return _request(shares, owner, receiver);
    }

    /// @inheritdoc IExitReceipt
    function requestWithPermit(uint256 shares, address receiver, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        nonReentrant
        returns (uint256 tokenId)
    {
        // Whoever saw the permit may have used it first; what counts is the allowance.
        try IERC20Permit(SHARE).permit(msg.sender, address(this), shares, deadline, v, r, s) {} catch {}
        return _request(shares, msg.sender, receiver);
    }

    /// @inheritdoc IExitReceipt
    function moveIn(uint256 requestId, uint256 shares, address controller, address receiver)
        external
        nonReentrant
        returns (uint256 tokenId)
    {
        _authorize(controller);
        QUEUE.cancelRedeem(requestId, shares, address(this), controller);
        // The batch they left is still the open one.
        return _request(shares, address(this), receiver);
    }

    /// @inheritdoc IExitReceipt
    function cancel(uint256 tokenId, address receiver) external nonReentrant returns (uint256 shares) {
        uint256 requestId;
        (requestId, shares) = _end(tokenId);
        emit ReceiptCancelled(tokenId, requestId, receiver, shares);
        QUEUE.cancelRedeem(requestId, shares, receiver, address(this));
    }

    /// @inheritdoc IExitReceipt
    function redeem(uint256 tokenId, address receiver) external nonReentrant returns (uint256 assets) {
        (uint256 requestId, uint256 shares) = _end(tokenId);
        Fetched memory fetched = _fetch(requestId);
        assets = FixedPointMathLib.fullMulDiv(fetched.assets, shares, fetched.shares);
        emit ReceiptRedeemed(tokenId, requestId, receiver, assets);
        if (assets != 0) SafeTransferLib.safeTransfer(TOKEN, receiver, assets);
    }

    // ----------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IExitReceipt
    function receiptOf(uint256 tokenId) public view returns (Receipt memory receipt) {
        _requireOwned(tokenId);
        Stake memory stake = _stakes[tokenId];
        (receipt.requestId, receipt.shares) = (stake.requestId, stake.shares);
        IExitQueue.Batch memory batch = QUEUE.batchOf(stake.requestId);
        receipt.state = batch.state;
        if (batch.state == IExitQueue.BatchState.Open) {
            receipt.assets = QUEUE.convertToAssets(stake.shares);
            return receipt;
        }
        // Rounded as `redeem` does: for all receipts of the batch first, then for this one.
        Fetched memory fetched = _fetched[stake.requestId];
        if (fetched.shares == 0) {
            uint256 all = QUEUE.claimableRedeemRequest(stake.requestId, address(this))
                + QUEUE.pendingRedeemRequest(stake.requestId, address(this));
            fetched.shares = all.toUint128();
            fetched.assets = FixedPointMathLib.fullMulDiv(batch.assets, all, batch.shares).toUint128();
        }
        receipt.assets = FixedPointMathLib.fullMulDiv(fetched.assets, stake.shares, fetched.shares);
    }

    /// @notice ERC-721 metadata, made here from what the receipt stands for now; amounts in wei.
    function tokenURI(uint256 tokenId) public view override(ERC721, IERC721Metadata) returns (string memory) {
        Receipt memory receipt = receiptOf(tokenId);
        string[3] memory states = ["open", "sealed", "claimable"];
        bytes memory json = abi.encodePacked(
            '{"name":"Exit receipt ',
            tokenId.toString(),
            '","description":"Stands for shares of staked tokens in one batch of the exit queue."',
            ',"attributes":[{"trait_type":"Batch","value":"',
            receipt.requestId.toString(),
            '"},{"trait_type":"Shares","value":"',
            receipt.shares.toString(),
            '"},{"trait_type":"State","value":"',
            states[uint256(receipt.state)],
            '"},{"trait_type":"Assets","value":"',
            receipt.assets.toString(),
            '"}]}'
        );
        return string.concat("data:application/json;base64,", Base64.encode(json));
    }

    /// @inheritdoc IExitReceipt
    function exitQueue() external view returns (address) {
        return address(QUEUE);
    }

    // ------------------------------------------------------------------------------------------------------- internals

    function _authorize(address account) private view {
        if (msg.sender != account && !QUEUE.isOperator(account, msg.sender)) {
            revert ExitReceipt_NotAuthorized(msg.sender, account);
        }
    }

    /// @dev Issues last: a receiver that is called finds everything done.
    function _request(uint256 shares, address owner, address receiver) private returns (uint256 tokenId) {
        uint256 requestId = QUEUE.requestRedeem(shares, address(this), owner);
        tokenId = ++lastReceipt;
        sharesOutstanding[requestId] += shares;
        _stakes[tokenId] = Stake({shares: shares.toUint128(), requestId: requestId.toUint64()});
        emit ReceiptIssued(tokenId, requestId, shares);
        _safeMint(receiver, tokenId);
    }

    /// @dev Burns the caller's receipt.
    function _end(uint256 tokenId) private returns (uint256 requestId, uint256 shares) {
        _checkAuthorized(_requireOwned(tokenId), msg.sender, tokenId);
        (requestId, shares) = (_stakes[tokenId].requestId, _stakes[tokenId].shares);
        sharesOutstanding[requestId] -= shares;
        delete _stakes[tokenId];
        _burn(tokenId);
    }

    /// @dev All that this contract has in a finalised batch, fetched once. Nobody can join it any more, so the shares it is
    /// divided by are final.
    function _fetch(uint256 requestId) private returns (Fetched memory fetched) {
        fetched = _fetched[requestId];
        if (fetched.shares != 0) return fetched;
        fetched.shares = QUEUE.claimableRedeemRequest(requestId, address(this)).toUint128();
        if (fetched.shares == 0) revert ExitReceipt_NotClaimable(requestId);
        // The queue pays exactly what it says, and the guard keeps out whoever a token might call meanwhile.
        fetched.assets = QUEUE.claim(requestId, address(this), address(this)).toUint128();
        _fetched[requestId] = fetched;
    }
    // slither-disable-end reentrancy-no-eth
}
