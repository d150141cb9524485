// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

import {EpochClock} from "../base/EpochClock.sol";
import {IERC7540Operator, IERC7540Redeem} from "../interfaces/IERC7540.sol";
import {IERC7575} from "../interfaces/IERC7575.sol";
import {IExitQueue} from "../interfaces/IExitQueue.sol";
import {IStakedToken} from "../interfaces/IStakedToken.sol";

/// @title ExitQueue
/// @dev Specified by `IExitQueue`. Tokens leave after everything is booked; the staked token's own guard keeps seals and
/// finalisations apart.
contract ExitQueue is IExitQueue, EpochClock {
    using SafeCast for uint256;

    /// @dev One word. `shares` never falls: it is what `assets` is divided by.
    struct Record {
        uint128 shares;
        uint128 assets;
    }

    /// @dev One word. `next` is the controller's next request; 0 at the end of the line.
    struct Request {
        uint128 shares;
        uint64 next;
        bool linked;
    }

    /// @dev One word: a controller's requests; 0: none. Emptied ones are dropped when they come first.
    struct Line {
        uint64 first;
        uint64 last;
    }

    /// @dev One word. `sealedEpoch` is the epoch after the one of the last seal; 0 before any.
    struct Progress {
        uint64 open;
        uint64 next;
        uint64 sealedEpoch;
    }

    address private immutable TOKEN;
    IStakedToken private immutable STAKED_TOKEN;

    Progress private _progress;
    mapping(uint256 requestId => Record record) private _records;
    mapping(uint256 requestId => mapping(address controller => Request request)) private _requests;
    mapping(address controller => Line line) private _lines;

    /// @inheritdoc IERC7540Operator
    mapping(address controller => mapping(address operator => bool)) public isOperator;

    /// @param token The native token.
    /// @param stakedToken The `IStakedToken`, share of this vault.
    /// @param genesis Start of epoch 0, unix seconds.
    /// @param epochSeconds Length of an epoch, seconds.
    constructor(address token, address stakedToken, uint64 genesis, uint64 epochSeconds)
        EpochClock(genesis, epochSeconds)
    {
        if (token == address(0) || stakedToken == address(0)) revert ExitQueue_ZeroAddress();
        TOKEN = token;
        STAKED_TOKEN = IStakedToken(stakedToken);
        (_progress.open, _progress.next) = (1, 1);
        SafeTransferLib.safeApprove(token, stakedToken, type(uint256).max);
    }

    // -------------------------------------------------------------------------------------------------------- requests

    /// @inheritdoc IERC7540Operator
    function setOperator(address operator, bool approved) external returns (bool) {
        isOperator[msg.sender][operator] = approved;
        emit OperatorSet(msg.sender, operator, approved);
        return true;
    }

    /// @inheritdoc IERC7540Redeem
    function requestRedeem(uint256 shares, address controller, address owner) external returns (uint256 requestId) {
        if (shares == 0 || controller == address(0)) revert ExitQueue_Zero();
        // An operator needs no allowance, anybody else but the owner does.
        address spender = msg.sender == owner || isOperator[owner][msg.sender] ? owner : msg.sender;
        STAKED_TOKEN.escrowShares(owner, spender, shares);
        requestId = _progress.open;
        Record storage record = _records[requestId];
        record.shares = (record.shares + shares).toUint128();
        Request storage request = _requests[requestId][controller];
        request.shares = (request.shares + shares).toUint128();
        if (!request.linked) _link(controller, request, requestId);
        emit RedeemRequest(controller, owner, requestId, msg.sender, shares);
    }

    /// @inheritdoc IExitQueue
    function cancelRedeem(uint256 requestId, uint256 shares, address receiver, address controller) external {
        _authorize(controller);
        if (requestId != _progress.open) revert ExitQueue_AlreadySealed(requestId);
        if (shares == 0) revert ExitQueue_Zero();
        Request storage request = _requests[requestId][controller];
        uint256 held = request.shares;
        if (shares > held) revert ExitQueue_InsufficientRequest(shares, held);
        request.shares = (held - shares).toUint128();
        _records[requestId].shares -= shares.toUint128();
        emit RequestCancelled(controller, receiver, requestId, shares);
        SafeTransferLib.safeTransfer(address(STAKED_TOKEN), receiver, shares);
    }

    // --------------------------------------------------------------------------------------------------------- batches

    /// @inheritdoc IExitQueue
    function seal() external returns (uint256 requestId, uint256 assets) {
        Progress memory progress = _progress;
        requestId = progress.open;
        uint256 shares = _records[requestId].shares;
        if (shares == 0) revert ExitQueue_NothingToSeal();
        uint256 from = sealableFrom();
        if (block.timestamp < from) revert ExitQueue_SealTooEarly(from);
        progress.open += 1;
        progress.sealedEpoch = uint64(currentEpoch()) + 1;
        _progress = progress;
        (, assets) = STAKED_TOKEN.sealExit(shares);
        emit BatchSealed(requestId, shares, assets);
    }

    /// @inheritdoc IExitQueue
    function finalize() external returns (uint256 requestId, uint256 assets) {
        // Both sides count exits from one and in order: the staked token's head is the next one here.
        (requestId, assets) = STAKED_TOKEN.releaseExit();
        _progress.next = (requestId + 1).toUint64();
        Record storage record = _records[requestId];
        record.assets = assets.toUint128();
        emit BatchFinalised(requestId, record.shares, assets);
    }

    // ---------------------------------------------------------------------------------------------------------- claims

    /// @inheritdoc IExitQueue
    function claim(uint256 requestId, address receiver, address controller) external returns (uint256 assets) {
        _authorize(controller);
        uint256 shares = claimableRedeemRequest(requestId, controller);
        if (shares == 0) revert ExitQueue_NotClaimable(0, 0);
        assets = _worth(requestId, shares);
        delete _requests[requestId][controller].shares;
        _dropEmpty(controller);
        _pay(receiver, controller, assets, shares);
    }

    /// @inheritdoc IERC7575
    function redeem(uint256 shares, address receiver, address controller) external returns (uint256 assets) {
        _authorize(controller);
        uint256 left = shares;
        for (uint256 id = _lines[controller].first; left != 0; id = _requests[id][controller].next) {
            if (!_isClaimable(id)) revert ExitQueue_NotClaimable(shares, shares - left);
            Request storage request = _requests[id][controller];
            uint256 held = request.shares;
            uint256 part = FixedPointMathLib.min(left, held);
            request.shares = (held - part).toUint128();
            assets += _worth(id, part);
            left -= part;
        }
        _dropEmpty(controller);
        _pay(receiver, controller, assets, shares);
    }

    /// @inheritdoc IERC7575
    function withdraw(uint256 assets, address receiver, address controller) external returns (uint256 shares) {
        _authorize(controller);
        uint256 left = assets;
        for (uint256 id = _lines[controller].first; left != 0; id = _requests[id][controller].next) {
            if (!_isClaimable(id)) revert ExitQueue_NotClaimable(assets, assets - left);
            Request storage request = _requests[id][controller];
            uint256 held = request.shares;
            uint256 worth = _worth(id, held);
            uint256 part = held;
            if (left < worth) {
                Record memory record = _records[id];
                part = FixedPointMathLib.fullMulDivUp(left, record.shares, record.assets);
                worth = left;
            } else if (worth == 0) {
                // Shares worth nothing are not taken by a call that names assets.
                part = 0;
            }
            request.shares = (held - part).toUint128();
            shares += part;
            left -= worth;
        }
        _dropEmpty(controller);
        _pay(receiver, controller, assets, shares);
    }

    // -------------------------------------------------------------------------------------------------------- deposits

    /// @inheritdoc IERC7575
    function deposit(uint256 assets, address receiver) external returns (uint256 shares) {
        _pull(assets);
        shares = STAKED_TOKEN.deposit(assets, receiver);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    /// @inheritdoc IERC7575
    function mint(uint256 shares, address receiver) external returns (uint256 assets) {
        assets = STAKED_TOKEN.previewMint(shares);
        _pull(assets);
        // What lies here belongs to finalised exits: it must not pay for a price that moved while the assets came.
        uint256 paid = STAKED_TOKEN.mint(shares, receiver);
        if (paid != assets) revert ExitQueue_PriceMoved(assets, paid);
        emit Deposit(msg.sender, receiver, assets, shares);
    }

    // ----------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IERC7540Redeem
    function pendingRedeemRequest(uint256 requestId, address controller) external view returns (uint256 shares) {
        return requestId < _progress.next ? 0 : _requests[requestId][controller].shares;
    }

    /// @inheritdoc IERC7540Redeem
    function claimableRedeemRequest(uint256 requestId, address controller) public view returns (uint256 shares) {
        return requestId < _progress.next ? _requests[requestId][controller].shares : 0;
    }

    /// @inheritdoc IERC7575
    function maxRedeem(address controller) external view returns (uint256 shares) {
        for (uint256 id = _lines[controller].first; _isClaimable(id); id = _requests[id][controller].next) {
            shares += _requests[id][controller].shares;
        }
    }

    /// @inheritdoc IERC7575
    function maxWithdraw(address controller) external view returns (uint256 assets) {
        for (uint256 id = _lines[controller].first; _isClaimable(id); id = _requests[id][controller].next) {
            assets += _worth(id, _requests[id][controller].shares);
        }
    }

    /// @inheritdoc IExitQueue
    function openBatch() external view returns (uint256) {
        return _progress.open;
    }

    /// @inheritdoc IExitQueue
    function nextToFinalise() external view returns (uint256) {
        return _progress.next;
    }

    /// @inheritdoc IExitQueue
    function batchOf(uint256 requestId) external view returns (Batch memory batch) {
        Record memory record = _records[requestId];
        (batch.shares, batch.assets) = (record.shares, record.assets);
        if (requestId < _progress.next) {
            batch.state = BatchState.Finalised;
        } else if (requestId < _progress.open) {
            batch.state = BatchState.Sealed;
            (batch.assets,,) = STAKED_TOKEN.exitOf(requestId);
        }
    }

    /// @inheritdoc IExitQueue
    function sealableFrom() public view returns (uint256) {
        uint32 epoch = currentEpoch();
        if (_progress.sealedEpoch == uint256(epoch) + 1) epoch += 1;
        return epochStart(epoch) + EPOCH_SECONDS / 2;
    }

    /// @inheritdoc IExitQueue
    function requestsOf(address controller, uint256 limit) external view returns (uint256[] memory requestIds) {
        requestIds = new uint256[](FixedPointMathLib.min(limit, uint256(_progress.open) + 1));
        uint256 count;
        for (uint256 id = _lines[controller].first; id != 0 && count < requestIds.length;) {
            Request memory request = _requests[id][controller];
            if (request.shares != 0) requestIds[count++] = id;
            id = request.next;
        }
        assembly ("memory-safe") {
            mstore(requestIds, count)
        }
    }

    /// @inheritdoc IERC7575
    function asset() external view returns (address) {
        return TOKEN;
    }

    /// @inheritdoc IERC7575
    function share() external view returns (address) {
        return address(STAKED_TOKEN);
    }

    /// @inheritdoc IERC7575
    function totalAssets() external view returns (uint256) {
        return STAKED_TOKEN.totalAssets();
    }

    /// @inheritdoc IERC7575
    function convertToShares(uint256 assets) external view returns (uint256) {
        return STAKED_TOKEN.convertToShares(assets);
    }

    /// @inheritdoc IERC7575
    function convertToAssets(uint256 shares) external view returns (uint256) {
        return STAKED_TOKEN.convertToAssets(shares);
    }

    /// @inheritdoc IERC7575
    function maxDeposit(address receiver) external view returns (uint256) {
        return STAKED_TOKEN.maxDeposit(receiver);
    }

    /// @inheritdoc IERC7575
    function maxMint(address receiver) external view returns (uint256) {
        return STAKED_TOKEN.maxMint(receiver);
    }

    /// @inheritdoc IERC7575
    function previewDeposit(uint256 assets) external view returns (uint256) {
        return STAKED_TOKEN.previewDeposit(assets);
    }

    /// @inheritdoc IERC7575
    function previewMint(uint256 shares) external view returns (uint256) {
        return STAKED_TOKEN.previewMint(shares);
    }

    /// @inheritdoc IERC7575
    function previewWithdraw(uint256) external pure returns (uint256) {
        revert ExitQueue_NoPreview();
    }

    /// @inheritdoc IERC7575
    function previewRedeem(uint256) external pure returns (uint256) {
        revert ExitQueue_NoPreview();
    }

    /// @inheritdoc IExitQueue
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC7575).interfaceId
            || interfaceId == type(IERC7540Operator).interfaceId || interfaceId == type(IERC7540Redeem).interfaceId;
    }

    // ------------------------------------------------------------------------------------------------------- internals

    function _authorize(address controller) private view {
        if (msg.sender != controller && !isOperator[controller][msg.sender]) {
            revert ExitQueue_NotAuthorized(msg.sender, controller);
        }
    }

    /// @dev Appends to the controller's line.
    function _link(address controller, Request storage request, uint256 id) private {
        request.linked = true;
        Line memory line = _lines[controller];
        // Numbers of batches: 64 bits.
        // forge-lint: disable-start(unsafe-typecast)
        if (line.first == 0) line.first = uint64(id);
        else _requests[line.last][controller].next = uint64(id);
        line.last = uint64(id);
        // forge-lint: disable-end(unsafe-typecast)
        _lines[controller] = line;
    }

    /// @dev Drops emptied requests of finalised batches from the front. Those of the open batch may be filled again.
    function _dropEmpty(address controller) private {
        uint256 first = _lines[controller].first;
        uint256 id = first;
        while (_isClaimable(id) && _requests[id][controller].shares == 0) id = _requests[id][controller].next;
        // Numbers of batches: 64 bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        if (id != first) _lines[controller].first = uint64(id);
    }

    /// @dev 0, the end of a line, is not claimable.
    function _isClaimable(uint256 id) private view returns (bool) {
        return id != 0 && id < _progress.next;
    }

    function _worth(uint256 requestId, uint256 shares) private view returns (uint256) {
        Record memory record = _records[requestId];
        return FixedPointMathLib.fullMulDiv(record.assets, shares, record.shares);
    }

    function _pay(address receiver, address controller, uint256 assets, uint256 shares) private {
        emit Withdraw(msg.sender, receiver, controller, assets, shares);
        if (assets != 0) SafeTransferLib.safeTransfer(TOKEN, receiver, assets);
    }

    /// @dev Measures what arrives: claims of others lie here too.
    function _pull(uint256 assets) private {
        uint256 before = SafeTransferLib.balanceOf(TOKEN, address(this));
        SafeTransferLib.safeTransferFrom(TOKEN, msg.sender, address(this), assets);
        uint256 received = SafeTransferLib.balanceOf(TOKEN, address(this)) - before;
        if (received < assets) revert ExitQueue_TokenTookFee(received, assets);
    }
}
