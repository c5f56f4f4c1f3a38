// Orders on the chain's own exchange (StablecoinDEX), for payments that swap first: AlphaUSD and
// BetaUSD are bought and sold for pathUSD, 0.0001 off par; nobody deals in ThetaUSD.
import { createClient, http, parseUnits } from 'viem'
import { sendTransactionSync } from 'viem/actions'
import { Actions, Addresses } from 'viem/tempo'
import { ALPHA_USD, BETA_USD, PATH_USD, chain, maker } from './config.mjs'

const client = createClient({ account: maker, chain, transport: http(), pollingInterval: 50 })
const amount = parseUnits('5000', 6)

export async function openMarket() {
  const dex = Addresses.stablecoinDex
  const approve = (token) => Actions.token.approve.call({ amount: amount * 4n, spender: dex, token })
  const calls = [approve(PATH_USD)]
  for (const token of [ALPHA_USD, BETA_USD]) {
    calls.push(
      Actions.dex.createPair.call({ base: token }),
      approve(token),
      Actions.dex.place.call({ amount, tick: 10, token, type: 'sell' }),
      Actions.dex.place.call({ amount, tick: -10, token, type: 'buy' }),
    )
  }
  const receipt = await sendTransactionSync(client, { calls, feeToken: PATH_USD, gas: 20_000_000n })
  if (receipt.status !== 'success') throw new Error('the market did not open')
}

/** Gives `to` some of a token, in base units. */
export async function give(to, token, base) {
  const calls = [Actions.token.transfer.call({ amount: BigInt(base), to, token })]
  const receipt = await sendTransactionSync(client, { calls, feeToken: PATH_USD, gas: 1_000_000n })
  return receipt.status
}
