// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title IPortal: where L2's native tokens are locked on L1
/// @notice A deposit locks tokens here and is minted on L2 as an EIP-4895 withdrawal credit (protocol sections 5 and
/// 8). Fees burned on L2 leave through `releaseFees` once the tally that certifies them is FINAL.
///
/// Invariant F8: the balance covers the spendable L2 supply, the deposits not credited yet and the fees burned but not
/// released.
interface IPortal {
    /// @notice Tokens were locked and will be credited on L2.
    /// @param index Number of the deposit, from 0, without gaps: the `index` of the L2 credit.
    /// @param from Who paid on L1.
    /// @param to Who is credited on L2.
    /// @param amountGwei Amount in gwei (1e9 wei), as EIP-4895 counts.
    event Deposited(uint64 indexed index, address indexed from, address indexed to, uint64 amountGwei);

    /// @notice Fees burned on L2 were released to the reward vault.
    /// @param epoch σ the fees were paid in.
    /// @param amount Wei.
    event FeesReleased(uint32 indexed epoch, uint256 amount);

    /// @notice A constructor address is zero.
    error Portal_ZeroAddress(string name);
    /// @notice The guardian's pause runs.
    error Portal_Paused();
    /// @notice The amount is zero, not a whole number of gwei, or not below 2^64 gwei.
    error Portal_BadAmount(uint256 amount);
    /// @notice The recipient is zero or one of the accounts whose balance counts as burned fees.
    error Portal_BadRecipient(address to);
    /// @notice Less arrived than was asked: tokens that take a fee are refused.
    error Portal_TokenTookFee(uint256 received, uint256 expected);
    /// @notice Only the reward vault releases fees.
    error Portal_NotRewardVault(address caller);
    /// @notice The fees of that epoch, or of a later one, were released already.
    error Portal_FeesAlreadyReleased(uint32 epoch, uint32 lastReleased);

    /// @notice Locks `amount` tokens of the caller and credits `to` on L2.
    ///
    /// Emits {Deposited}.
    ///
    /// Requirements, in check order: not paused ({Portal_Paused}); `to` can hold a balance ({Portal_BadRecipient});
    /// `amount` is a whole number of gwei, above 0 and below 2^64 gwei ({Portal_BadAmount}); the caller holds and
    /// approved it (the token's error); all of it arrived ({Portal_TokenTookFee}).
    /// @param to Account on L2.
    /// @param amount Wei.
    /// @return index Number of the deposit.
    function deposit(address to, uint256 amount) external returns (uint64 index);

    /// @notice `deposit` with the approval given by an EIP-2612 signature of the caller. A permit that was used already
    /// is no obstacle as long as the allowance is there.
    /// @param to Account on L2.
    /// @param amount Wei, also the permitted amount.
    /// @param deadline Unix seconds up to which the permit is valid.
    /// @param v Recovery id of the permit.
    /// @param r First half of the permit signature.
    /// @param s Second half of the permit signature.
    /// @return index Number of the deposit.
    function depositWithPermit(address to, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
        returns (uint64 index);

    /// @notice Sends the fees of an epoch to the reward vault. Each epoch once, in increasing order, by the vault only.
    ///
    /// Emits {FeesReleased}.
    ///
    /// Requirements, in check order: the caller is the vault ({Portal_NotRewardVault}); the epoch is later than the
    /// last one released ({Portal_FeesAlreadyReleased}); the balance covers it (the token's error).
    /// @param epoch σ the fees were paid in.
    /// @param amount Wei, from the certified tally.
    function releaseFees(uint32 epoch, uint256 amount) external;

    /// @notice The token L2 uses as gas.
    function token() external view returns (address);
    /// @notice The reward vault.
    function rewardVault() external view returns (address);
    /// @notice Deposits made so far.
    function depositCount() external view returns (uint64);
    /// @notice Deposits made in L1 blocks up to and including `l1Block`.
    function depositCountAt(uint64 l1Block) external view returns (uint64);
    /// @notice Last epoch whose fees were released, 0 before the first.
    function lastReleasedEpoch() external view returns (uint32);
}
