// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title ILiquidLens
/// @notice What wallets, command line and keepers want to know of liquid staking, in one call each. No contract needs it.
interface ILiquidLens {
    /// @notice An account's liquid stake.
    /// @param shares Shares it holds.
    /// @param assets What they are worth, token wei.
    /// @param instantNet What leaving at once with all of them would pay (liquidity aside), token wei.
    /// @param pendingShares In requests that cannot be claimed yet.
    /// @param claimableShares In requests that can.
    /// @param claimableAssets What claiming them pays, token wei.
    struct Account {
        uint256 shares;
        uint256 assets;
        uint256 instantNet;
        uint256 pendingShares;
        uint256 claimableShares;
        uint256 claimableAssets;
    }

    /// @notice One request.
    /// @param requestId Number of its batch.
    /// @param shares Shares left in it.
    /// @param assets What they are worth as of now, token wei; final once finalised.
    /// @param state 0 open, 1 sealed, 2 finalised.
    /// @param ahead Sealed batches before it.
    /// @param expectedAt When it can be claimed if nothing comes in and keepers do their work, unix seconds; deposits make it
    /// earlier, slashes later. In the past or 0: now.
    struct Request {
        uint256 requestId;
        uint256 shares;
        uint256 assets;
        uint8 state;
        uint256 ahead;
        uint256 expectedAt;
    }

    /// @notice One operator of the allocator.
    struct OperatorStake {
        uint32 id;
        uint16 weight;
        uint256 target;
        uint256 active;
        uint256 excess;
        uint256 rewards;
    }

    /// @notice Stake of one cohort on its way out.
    struct Ticket {
        uint32 id;
        uint32 cohortEpoch;
        uint256 amount;
        uint256 dueAt;
    }

    /// @notice What a keeper can do now.
    /// @param sync Slashes were logged that the token has not stored yet.
    /// @param seal The open batch may be sealed.
    /// @param finalize The oldest sealed batch can be paid.
    /// @param delegate An operator has room for what the buffer can spare; `delegatable` token wei are at hand.
    /// @param replenish Exits lack `lacking` token wei.
    /// @param skim Tokens lie beyond the books, `skimmable` wei.
    struct Due {
        bool sync;
        bool seal;
        bool finalize;
        bool delegate;
        uint256 delegatable;
        bool replenish;
        uint256 lacking;
        bool skim;
        uint256 skimmable;
    }

    /// @notice A constructor address is zero.
    error LiquidLens_ZeroAddress();

    /// @notice An account's liquid stake.
    function accountOf(address account) external view returns (Account memory);

    /// @notice Requests of a controller, oldest first, at most `limit`.
    function requestsOf(address controller, uint256 limit) external view returns (Request[] memory);

    /// @notice Everything a keeper can do that needs no list.
    function due() external view returns (Due memory);

    /// @notice All operators of the allocator; those with rewards are worth a harvest, those with an excess a rebalance.
    function operators() external view returns (OperatorStake[] memory);

    /// @notice Cohorts of the named operators that hold stake of the token, oldest first for each.
    function tickets(uint32[] calldata ids) external view returns (Ticket[] memory);
}
