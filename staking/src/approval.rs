//! Letting a contract take an account's tokens: by a permit that rides along, or by an approval before.

use alloy::{
    primitives::{Address, B256, U256},
    signers::Signer as _,
    sol_types::{SolStruct as _, eip712_domain},
};
use eyre::{Result, ensure};
use rota_bindings::NativeToken;

use crate::{
    amount::show_amount,
    connection::Network,
    submit::{Submitter, explain},
};

alloy::sol! {
    /// EIP-2612.
    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// A signed approval.
#[derive(Clone, Copy, Debug)]
pub struct SignedPermit {
    /// Last second it is valid.
    pub deadline: U256,
    /// Recovery id.
    pub v: u8,
    /// Signature, first half.
    pub r: B256,
    /// Signature, second half.
    pub s: B256,
}

/// What lets a contract take an account's tokens.
#[derive(Clone, Copy, Debug)]
pub enum Leave {
    /// A signature that rides along.
    Permit(SignedPermit),
    /// An allowance: it was there, or its approval was sent or exported.
    Allowance,
    /// The approval was simulated only, so what comes next cannot be.
    Missing,
}

/// Lets `spender` take `amount` of the ERC-20 at `token` (called `what`): by a permit if there is a key to sign it and the
/// token takes it, by an allowance otherwise.
///
/// # Errors
/// When the account holds too little; otherwise as [`Submitter::submit`].
pub async fn let_take(
    network: &Network,
    by: &Submitter<'_>,
    token: Address,
    what: &str,
    spender: Address,
    amount: U256,
) -> Result<Leave> {
    if let Some(permit) = permit_of(network, by, token, what, spender, amount).await? {
        return Ok(Leave::Permit(permit));
    }
    let token = NativeToken::new(token, by.provider.clone());
    let allowed = token.allowance(by.from, spender).call().await;
    if allowed.map_err(|error| explain("asking L1 what is approved", error))? >= amount {
        return Ok(Leave::Allowance);
    }
    by.submit(&format!("approve {} {what}", show_amount(amount)), token.approve(spender, amount)).await?;
    Ok(if by.simulates() { Leave::Missing } else { Leave::Allowance })
}

/// Signs an EIP-2612 permit of the ERC-20 at `token` (called `what`) for `spender`; `None` without a local key or when the
/// token has no permits. Checks the balance first, because a refused transfer says less than this error.
///
/// # Errors
/// When the account holds too little or L1 fails.
async fn permit_of(
    network: &Network,
    by: &Submitter<'_>,
    token: Address,
    what: &str,
    spender: Address,
    amount: U256,
) -> Result<Option<SignedPermit>> {
    let token = NativeToken::new(token, network.l1.clone());
    let balance = token.balanceOf(by.from).call().await?;
    ensure!(balance >= amount, "{} holds {} {what}, {} are needed", by.from, show_amount(balance), show_amount(amount));
    let Some(key) = &by.key else { return Ok(None) };
    // A token without permits (EIP-2612 with EIP-5267) is approved by a transaction of its own.
    let (Ok(domain), Ok(nonce)) = (token.eip712Domain().call().await, token.nonces(by.from).call().await) else {
        return Ok(None);
    };
    let domain = eip712_domain! {
        name: domain.name,
        version: domain.version,
        chain_id: network.l1_chain_id,
        verifying_contract: *token.address(),
    };
    let deadline = U256::from(network.l1_time().await?.saturating_add(3_600));
    let permit = Permit { owner: by.from, spender, value: amount, nonce, deadline };
    let signature = key.sign_hash(&permit.eip712_signing_hash(&domain)).await?;
    let v = if signature.v() { 28 } else { 27 };
    Ok(Some(SignedPermit { deadline, v, r: signature.r().into(), s: signature.s().into() }))
}
