// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title ISlashEscrow
/// @notice Where slashed stake goes: 5 %, at most what the operator's own bond lost, to who proved the fault, of the rest one half is destroyed and one half belongs
/// to the cover fund (protocol section 10). Nothing ever goes back to a pool. Fees of operators that come back from jail
/// are divided in the same halves.
/// @dev The vault sends the tokens, the slasher books them in the same call. Booking cannot fail and moves nothing; all
/// parts are pulled. Accounting is internal: what is sent here otherwise stays for ever.
interface ISlashEscrow {
    /// @notice `amount` token wei arrived: `reward` for `reporter`, `burnt` to be destroyed, `cover` for the cover fund.
    event Booked(address indexed reporter, uint256 amount, uint256 reward, uint256 burnt, uint256 cover);

    /// @notice `payer` paid a fee of `amount` token wei: `burnt` to be destroyed, `cover` for the cover fund.
    event FeeTaken(address indexed payer, uint256 amount, uint256 burnt, uint256 cover);

    /// @notice `reporter` was paid `amount` token wei.
    event RewardWithdrawn(address indexed reporter, uint256 amount);

    /// @notice `amount` token wei were destroyed.
    event Burnt(uint256 amount);

    /// @notice The cover fund was paid `amount` token wei.
    event CoverWithdrawn(address indexed coverFund, uint256 amount);

    /// @notice The cover's part is paid to `coverFund`, for ever.
    event CoverFundSet(address indexed coverFund);

    /// @notice A contract given to the constructor, or the cover fund, is the zero address.
    error SlashEscrow_ZeroAddress();

    /// @notice The caller is not the slasher.
    error SlashEscrow_NotSlasher(address caller);

    /// @notice The caller is not the operator registry.
    error SlashEscrow_NotRegistry(address caller);

    /// @notice The token delivered less than was paid, token wei: such tokens cannot be used.
    error SlashEscrow_TokenTookFee(uint256 received, uint256 amount);

    /// @notice Nothing is due to this account.
    error SlashEscrow_NothingDue(address account);

    /// @notice Nothing waits to be destroyed.
    error SlashEscrow_NothingToBurn();

    /// @notice There is no cover fund yet; its part is kept.
    error SlashEscrow_NoCoverFund();

    /// @notice The cover fund is chosen once.
    error SlashEscrow_CoverFundAlreadySet(address coverFund);

    /// @notice Divides `amount` token wei that the vault sent: 5 %, rounded down, at most `mostReward`, to the reporter, of
    /// the rest one half, rounded down, to the cover fund; the remainder will be destroyed. Only the slasher.
    /// @dev Emits `Booked`. Reverts: `NotSlasher`.
    /// @param reporter Who proved the fault; zero: nobody, then its part is divided like the rest.
    /// @param amount Token wei that the vault took.
    /// @param mostReward What the operator itself lost, token wei: who reports itself never gains (S9).
    function book(address reporter, uint256 amount, uint256 mostReward) external;

    /// @notice Takes a fee of `amount` token wei from `payer`, who approved it to this contract, and divides it: one half,
    /// rounded down, to the cover fund, the rest will be destroyed. Only the operator registry.
    /// @dev Emits `FeeTaken`. Reverts in this order: `NotRegistry`, what the token answers (too little allowance or
    /// balance), `TokenTookFee`.
    function takeFee(address payer, uint256 amount) external;

    /// @notice Pays a reporter what it earned. Anyone may call.
    /// @dev Emits `RewardWithdrawn`. Reverts: `NothingDue`.
    /// @return amount Token wei paid.
    function withdraw(address reporter) external returns (uint256 amount);

    /// @notice Destroys what waits for it. Anyone may call.
    /// @dev Emits `Burnt`. By the fee splitter's means: the token's own `burn`, a dead address if it has none. Reverts:
    /// `NothingToBurn`.
    /// @return amount Token wei destroyed.
    function burn() external returns (uint256 amount);

    /// @notice Pays the cover fund its part. Anyone may call.
    /// @dev Emits `CoverWithdrawn`. Reverts in this order: `NoCoverFund`, `NothingDue`.
    /// @return amount Token wei paid.
    function withdrawCover() external returns (uint256 amount);

    /// @notice Names the cover fund, once and for ever.
    /// @dev Emits `CoverFundSet`. Restricted by the authority. Reverts: `CoverFundAlreadySet`, `ZeroAddress`.
    function setCoverFund(address coverFund) external;

    /// @notice What `withdraw(reporter)` would pay, token wei.
    function rewardOf(address reporter) external view returns (uint256);

    /// @notice What `burn` would destroy, token wei.
    function burnBalance() external view returns (uint256);

    /// @notice What belongs to the cover fund, token wei.
    function coverBalance() external view returns (uint256);

    /// @notice The cover fund; zero as long as there is none.
    function coverFund() external view returns (address);

    /// @notice The native token.
    function token() external view returns (address);
}
