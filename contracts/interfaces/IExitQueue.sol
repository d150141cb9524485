// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC7540Operator, IERC7540Redeem} from "./IERC7540.sol";
import {IERC7575} from "./IERC7575.sol";

/// @title IExitQueue
/// @notice Exits of the staked token at full value, in batches: an ERC-7540 vault with asynchronous redemption beside the
/// staked token's own ERC-4626 entry, both with the same share (ERC-7575). Deposits pass through to the staked token.
/// @dev The life of a batch (its number, from 1, is the request id of all requests in it; to ERC-7540 zero would mean that there
/// are no ids):
/// ```
/// open       requests join it; the shares lie here, still earn and lose, and can be taken back
/// sealed     the shares are burned for a fixed amount; until it is paid, a fault of its time can lower it (Q16)
/// finalised  the amount lies here and is final (Q13); everybody in the batch gets the same price (Q12)
/// ```
/// Batches are sealed and finalised in order (Q14), at most one is sealed per epoch, in its second half. Nothing here is
/// ever paused, nothing is governed. Claims round down per claim; what is left of a batch is dust that stays.
interface IExitQueue is IERC7540Operator, IERC7540Redeem, IERC7575 {
    /// @notice The states of a batch.
    enum BatchState {
        Open,
        Sealed,
        Finalised
    }

    /// @notice A batch.
    /// @param shares All shares handed in; after finalisation also those claimed.
    /// @param assets Token wei: final once finalised, before that what it is owed now (0 while open).
    /// @param state Its state.
    struct Batch {
        uint256 shares;
        uint256 assets;
        BatchState state;
    }

    /// @notice `shares` of a request were taken back.
    event RequestCancelled(
        address indexed controller, address indexed receiver, uint256 indexed requestId, uint256 shares
    );

    /// @notice A batch was sealed: `shares` are worth `assets` token wei, unless a slash for a fault of its time comes.
    event BatchSealed(uint256 indexed requestId, uint256 shares, uint256 assets);

    /// @notice A batch can be claimed: `assets` token wei for `shares`.
    event BatchFinalised(uint256 indexed requestId, uint256 shares, uint256 assets);

    /// @notice A constructor address is zero.
    error ExitQueue_ZeroAddress();

    /// @notice No shares, or no assets, were named, or the controller is the zero address.
    error ExitQueue_Zero();

    /// @notice The caller is neither `account` nor its operator.
    error ExitQueue_NotAuthorized(address caller, address account);

    /// @notice Batch `requestId` is sealed: it cannot be left any more.
    error ExitQueue_AlreadySealed(uint256 requestId);

    /// @notice The request has only `held` shares.
    error ExitQueue_InsufficientRequest(uint256 asked, uint256 held);

    /// @notice Only `claimable` (shares or token wei, as asked) can be claimed.
    error ExitQueue_NotClaimable(uint256 asked, uint256 claimable);

    /// @notice A batch is sealed in the second half of an epoch: from `from`, unix seconds.
    error ExitQueue_SealTooEarly(uint256 from);

    /// @notice Nobody asked to leave.
    error ExitQueue_NothingToSeal();

    /// @notice Less arrived than was asked: tokens that take a fee are refused.
    error ExitQueue_TokenTookFee(uint256 received, uint256 expected);

    /// @notice The shares cost `paid` token wei after the assets were pulled for a price of `expected`: the token's transfer let
    /// somebody act in between.
    error ExitQueue_PriceMoved(uint256 expected, uint256 paid);

    /// @notice Redemptions are asynchronous: ERC-7540 wants these previews to revert.
    error ExitQueue_NoPreview();

    /// @notice Takes shares of the open batch back.
    /// @dev Emits `RequestCancelled`. Reverts in this order: `NotAuthorized`, `AlreadySealed`, `Zero`,
    /// `InsufficientRequest`.
    /// @param requestId Number of the batch.
    /// @param shares Shares, > 0.
    /// @param receiver Who gets them.
    /// @param controller Whose request it is; the caller or the caller's principal.
    function cancelRedeem(uint256 requestId, uint256 shares, address receiver, address controller) external;

    /// @notice Claims all of one finalised request, in O(1) whatever else the controller waits for.
    /// @dev Emits `Withdraw`. Reverts in this order: `NotAuthorized`, `NotClaimable`.
    /// @return assets Token wei paid.
    function claim(uint256 requestId, address receiver, address controller) external returns (uint256 assets);

    /// @notice Seals the open batch; the next one opens. Anyone may call.
    /// @dev Emits `BatchSealed`. Reverts in this order: `NothingToSeal`, `SealTooEarly`, then with the staked token's
    /// `SealedThisEpoch`.
    /// @return requestId The batch that was sealed.
    /// @return assets What it is owed, token wei.
    function seal() external returns (uint256 requestId, uint256 assets);

    /// @notice Fetches the amount of the oldest sealed batch. Anyone may call.
    /// @dev Emits `BatchFinalised`. Reverts with the staked token's `NothingSealed`, `ExitHeld`, `BufferTooLow`.
    function finalize() external returns (uint256 requestId, uint256 assets);

    /// @notice The batch that requests join now.
    function openBatch() external view returns (uint256 requestId);

    /// @notice The oldest batch that is not finalised.
    function nextToFinalise() external view returns (uint256 requestId);

    /// @notice Batch `requestId`.
    function batchOf(uint256 requestId) external view returns (Batch memory);

    /// @notice When the open batch may be sealed, unix seconds; a time in the past if it may be now.
    function sealableFrom() external view returns (uint256);

    /// @notice Requests of a controller that are not fully claimed or cancelled, oldest first, at most `limit`.
    function requestsOf(address controller, uint256 limit) external view returns (uint256[] memory requestIds);

    /// @notice True for ERC-165, ERC-7575, and ERC-7540's operators and asynchronous redemption.
    function supportsInterface(bytes4 interfaceId) external pure returns (bool);
}
