//! Exits that can be handed on: ERC-721 receipts that stand for shares in one batch of the exit queue.

use std::collections::BTreeSet;

use alloy::primitives::{Address, U256};
use eyre::{Result, bail, ensure};
use rota_bindings::{ExitQueue, ExitReceipt, RotaError, types::ExitRequest};

use super::{
    exit::{Claimed, FINALISED, OPEN, Requested, describe, in_open_batch, requests, worth_of},
    named,
};
use crate::{
    amount::show_amount,
    approval::{Leave, let_take},
    connection::Network,
    submit::Submitter,
};

/// A receipt and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Its number.
    pub(super) receipt: U256,
    /// Shares, worth and place in the queue.
    pub(super) request: ExitRequest,
}

fn contract(network: &Network) -> ExitReceipt::ExitReceiptInstance<alloy::providers::DynProvider> {
    ExitReceipt::new(network.deployment.contracts.exit_receipt, network.l1.clone())
}

/// Hands shares in to the exit queue for a receipt; returns its number and the batch's when it was sent.
///
/// # Errors
/// When the receiver takes no ERC-721 tokens; otherwise as [`Submitter::submit`].
pub async fn request_receipt(
    network: &Network,
    by: &Submitter<'_>,
    shares: U256,
    receiver: Option<Address>,
) -> Result<Option<Requested>> {
    let (contracts, receiver) = (&network.deployment.contracts, receiver.unwrap_or(by.from));
    let worth = worth_of(network, shares).await?;
    let what = format!("ask to leave with {} shares worth {worth} now, for a receipt", show_amount(shares));
    let receipts = ExitReceipt::new(contracts.exit_receipt, by.provider.clone());
    let read = |event: ExitReceipt::ReceiptIssued| Requested { batch: event.requestId, receipt: Some(event.tokenId) };
    match let_take(network, by, contracts.staked_token, "shares", contracts.exit_receipt, shares).await? {
        Leave::Permit(permit) => {
            let call = receipts.requestWithPermit(shares, receiver, permit.deadline, permit.v, permit.r, permit.s);
            by.submit_for(&what, call, read).await
        }
        Leave::Allowance => by.submit_for(&what, receipts.request(shares, by.from, receiver), read).await,
        Leave::Missing => {
            by.skip(&what, "the approval", &receipts.request(shares, by.from, receiver))?;
            Ok(None)
        }
    }
}

/// Turns shares that wait in the open batch into a receipt, all of them without a number; returns its number and the
/// batch's when it was sent. The contract of the receipts needs the account's permission for its requests: it is given
/// before and taken back after, unless it was there.
///
/// # Errors
/// When the account has none there; when the receiver takes no ERC-721 tokens; otherwise as [`Submitter::submit`].
pub async fn move_in(
    network: &Network,
    by: &Submitter<'_>,
    shares: Option<U256>,
    receiver: Option<Address>,
) -> Result<Option<Requested>> {
    let contracts = &network.deployment.contracts;
    let (batch, shares) = in_open_batch(network, by.from, shares).await?;
    let queue = ExitQueue::new(contracts.exit_queue, by.provider.clone());
    let receipts = ExitReceipt::new(contracts.exit_receipt, by.provider.clone());
    let what = format!("put {} shares of batch {batch} into a receipt", show_amount(shares));
    let call = receipts.moveIn(batch, shares, by.from, receiver.unwrap_or(by.from));
    let read = |event: ExitReceipt::ReceiptIssued| Requested { batch: event.requestId, receipt: Some(event.tokenId) };
    let allowed = queue.isOperator(by.from, contracts.exit_receipt).call().await;
    if named("who may move the account's requests", allowed)? {
        return by.submit_for(&what, call, read).await;
    }
    let allow = |yes| queue.setOperator(contracts.exit_receipt, yes);
    by.submit("let the contract of the receipts move requests", allow(true)).await?;
    if by.simulates() {
        by.skip(&what, "that permission", &call)?;
        by.skip("take that permission back", "the receipt", &allow(false))?;
        return Ok(None);
    }
    let issued = by.submit_for(&what, call, read).await;
    // Also when the batch was sealed meanwhile.
    let shut = by.submit("take that permission back", allow(false)).await;
    let issued = issued?;
    shut?;
    Ok(issued)
}

/// Who owns a receipt; `None` if there is none of that number.
async fn owner(network: &Network, receipt: U256) -> Result<Option<Address>> {
    match contract(network).ownerOf(receipt).call().await {
        Ok(owner) => Ok(Some(owner)),
        Err(error) if RotaError::from_call(&error).is_some_and(|error| error.name() == Some(NO_TOKEN)) => Ok(None),
        answer => named("who owns the receipt", answer).map(Some),
    }
}

/// Error of an ERC-721 for a number that was never issued or is gone.
const NO_TOKEN: &str = "ERC721NonexistentToken";

/// What a receipt stands for now.
///
/// # Errors
/// When there is none of that number; or L1 fails.
pub(super) async fn look(network: &Network, receipt: U256) -> Result<ExitRequest> {
    ensure!(
        owner(network, receipt).await?.is_some(),
        "there is no receipt {receipt}: it was never issued, or was redeemed or taken back"
    );
    let held = named("what the receipt stands for", contract(network).receiptOf(receipt).call().await)?;
    let mine = ExitRequest {
        requestId: held.requestId,
        shares: held.shares,
        assets: held.assets,
        state: held.state,
        ahead: U256::ZERO,
        expectedAt: U256::ZERO,
    };
    if held.state == FINALISED {
        return Ok(mine);
    }
    // All receipts of a batch share one request, in the name of their contract.
    let all = requests(network, network.deployment.contracts.exit_receipt).await?;
    let all = all.into_iter().find(|request| request.requestId == held.requestId);
    Ok(all.map_or(mine.clone(), |all| ExitRequest { ahead: all.ahead, expectedAt: all.expectedAt, ..mine }))
}

/// What a receipt of `account` stands for.
///
/// # Errors
/// When there is none of that number or it is somebody else's; or L1 fails.
pub(super) async fn owned(network: &Network, account: Address, receipt: U256) -> Result<ExitRequest> {
    let request = look(network, receipt).await?;
    let receipts = contract(network);
    let owner = named("who owns the receipt", receipts.ownerOf(receipt).call().await)?;
    if owner != account
        && named("who may move the receipt", receipts.getApproved(receipt).call().await)? != account
        && !named("who may move receipts", receipts.isApprovedForAll(owner, account).call().await)?
    {
        bail!("receipt {receipt} belongs to {owner}, who did not approve {account} for it");
    }
    Ok(request)
}

/// Claims what a receipt stands for; returns what was paid when it was sent.
///
/// # Errors
/// When it is somebody else's or its batch is not paid yet, saying when; otherwise as [`Submitter::submit`].
pub async fn redeem_receipt(
    network: &Network,
    by: &Submitter<'_>,
    receipt: U256,
    receiver: Option<Address>,
) -> Result<Option<Claimed>> {
    let request = owned(network, by.from, receipt).await?;
    ensure!(
        request.state == FINALISED,
        "nothing to claim yet: receipt {receipt}, {}; --wait waits for it",
        describe(&request, network.l1_time().await?)
    );
    let receipts = ExitReceipt::new(network.deployment.contracts.exit_receipt, by.provider.clone());
    let what = format!("claim {} for receipt {receipt}", show_amount(request.assets));
    let call = receipts.redeem(receipt, receiver.unwrap_or(by.from));
    by.submit_for(&what, call, |event: ExitReceipt::ReceiptRedeemed| Claimed { assets: event.assets }).await
}

/// Takes the shares of a receipt back while its batch is open.
///
/// # Errors
/// When it is somebody else's or its batch is sealed; otherwise as [`Submitter::submit`].
pub async fn cancel_receipt(network: &Network, by: &Submitter<'_>, receipt: U256) -> Result<()> {
    let request = owned(network, by.from, receipt).await?;
    ensure!(
        request.state == OPEN,
        "receipt {receipt}, {}: what is sealed cannot be taken back",
        describe(&request, network.l1_time().await?)
    );
    let receipts = ExitReceipt::new(network.deployment.contracts.exit_receipt, by.provider.clone());
    let what = format!("take {} shares back for receipt {receipt}", show_amount(request.shares));
    by.submit(&what, receipts.cancel(receipt, by.from)).await?;
    Ok(())
}

/// Receipts of an account, oldest first, found by the transfers to it.
pub(super) async fn receipts_of(network: &Network, account: Address) -> Result<Vec<Held>> {
    let receipts = contract(network);
    if named("how many receipts there are", receipts.lastReceipt().call().await)?.is_zero() {
        return Ok(Vec::new());
    }
    let came = receipts.Transfer_filter().topic2(account);
    let came = network.search("receipts of exits").await?.all(&came).await?;
    let numbers: BTreeSet<U256> = came.into_iter().map(|(event, _)| event.tokenId).collect();
    let mut held = Vec::new();
    for receipt in numbers {
        if owner(network, receipt).await? == Some(account) {
            held.push(Held { receipt, request: look(network, receipt).await? });
        }
    }
    Ok(held)
}
