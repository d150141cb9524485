// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ISlasher} from "contracts/interfaces/ISlasher.sol";
import {ISlashEscrow} from "contracts/interfaces/ISlashEscrow.sol";

import {StakingFixture} from "./StakingFixture.sol";

/// @notice The staking contracts with the real slasher and escrow. The fault modules are plain accounts: what they believe
/// is tested with them.
abstract contract SlashingFixture is StakingFixture {
    uint32 internal constant EVIDENCE = 3;
    uint32 internal constant CORRELATION = 2;
    uint64 internal constant APPEAL = 30;
    uint256 internal constant WAD = 1e18;

    ISlasher internal slashing;
    ISlashEscrow internal slashEscrow;
    address internal feeSplitter;
    address internal voteFault = makeAddr("double vote fault");
    address internal proposalFault = makeAddr("double proposal fault");
    address internal offlineFault = makeAddr("offline fault");
    address internal reporter = makeAddr("reporter");

    /// @dev At the addresses the vault and the registry already trust.
    function _deploySlashing(uint8 maxSeats, uint32 slots) internal {
        _deploy(maxSeats, slots);
        feeSplitter = vm.deployCode(
            "FeeSplitter.sol:FeeSplitter", abi.encode(address(token), makeAddr("ecosystem"), address(manager))
        );
        deployCodeTo(
            "SlashEscrow.sol:SlashEscrow",
            abi.encode(address(token), slasher, address(registry), feeSplitter, address(manager)),
            escrow
        );
        deployCodeTo("Slasher.sol:Slasher", abi.encode(_slasherConfig()), slasher);
        slashing = ISlasher(slasher);
        slashEscrow = ISlashEscrow(escrow);
    }

    function _slasherConfig() internal view virtual returns (ISlasher.Config memory) {
        address[] memory modules = new address[](2);
        (modules[0], modules[1]) = (voteFault, proposalFault);
        return ISlasher.Config({
            vault: address(vault),
            registry: address(registry),
            sequencerSet: address(set),
            escrow: escrow,
            authority: address(manager),
            modules: modules,
            offlineFault: offlineFault,
            evidenceEpochs: EVIDENCE,
            correlationEpochs: CORRELATION,
            appealWindow: APPEAL,
            genesis: GENESIS,
            epochSeconds: EPOCH
        });
    }

    /// @dev `count` operators with 1,000 tokens each on the first seats; the sets of epochs 7 to `until` are frozen, and
    /// `until` has started.
    function _start(uint32 count, uint32 until) internal {
        _toEpoch(5);
        for (uint256 i = 0; i < count; ++i) {
            _operator(i, 1000e18);
        }
        _toEpoch(6);
        for (uint32 id = 1; id <= count; ++id) {
            // forge-lint: disable-next-line(unsafe-typecast)
            set.takeSeat(id, uint8(id - 1));
        }
        _freezeUntil(7, until);
    }

    /// @dev Freezes the sets of epochs `from` to `until` in their time and enters `until`.
    function _freezeUntil(uint32 from, uint32 until) internal {
        for (uint32 epoch = from; epoch <= until; ++epoch) {
            _freeze(epoch);
        }
        _toEpoch(until);
    }

    function _offence(uint32 id, uint32 sigma, uint64 weight, uint64 total)
        internal
        view
        returns (ISlasher.Offence memory)
    {
        return ISlasher.Offence({
            id: id,
            kind: 2,
            fork: 0,
            sigma: sigma,
            height: 1000,
            round: 1,
            weight: weight,
            totalWeight: total,
            reporter: reporter
        });
    }

    function _convict(uint32 id, uint32 sigma, uint64 weight, uint64 total) internal returns (uint256 taken) {
        ISlasher.Offence memory offence = _offence(id, sigma, weight, total);
        vm.prank(voteFault);
        return slashing.convict(offence);
    }

    function _jail(uint32 id, uint32 sigma) internal {
        vm.prank(offlineFault);
        slashing.jailOffline(id, sigma, reporter);
    }

    function _slashOffline(uint32 id, uint32 sigma) internal returns (uint256 taken) {
        vm.prank(offlineFault);
        return slashing.slashOffline(id, sigma);
    }

    /// @dev The creation fails, and for this reason.
    function _assertNotCreated(bytes memory code, bytes memory expected) internal {
        address created;
        bytes memory reason;
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
            reason := mload(0x40)
            mstore(reason, returndatasize())
            returndatacopy(add(reason, 0x20), 0, returndatasize())
            mstore(0x40, add(add(reason, 0x20), and(add(returndatasize(), 0x1f), not(0x1f))))
        }
        assertEq(created, address(0), "created against the rules");
        assertEq(reason, expected);
    }

    /// @dev The loss of a part of the vault, in the words of its interface.
    function _lossUp(uint256 tokens, uint256 fraction) internal pure returns (uint256) {
        if (tokens == 0 || fraction == WAD) return tokens;
        uint256 loss = (tokens * fraction + WAD - 1) / WAD;
        return loss < tokens ? loss : tokens - 1;
    }
}
