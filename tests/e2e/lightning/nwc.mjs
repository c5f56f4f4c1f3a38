// The payer's node behind Nostr Wallet Connect, spoken by the wallet service of Alby's SDK.
import { NWCWalletService, NWCWalletServiceKeyPair } from '@getalby/sdk/nwc'
import { generateSecretKey, getPublicKey } from 'nostr-tools'
import { WebSocket } from 'ws'
import { read } from './net.mjs'
import { reserve } from './wallet.mjs'

globalThis.WebSocket ??= WebSocket
const all = ['pay_invoice', 'lookup_invoice', 'make_invoice', 'get_balance', 'get_info']
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const ok = (result) => ({ result, error: undefined })
const fail = (code, message) => ({ result: undefined, error: { code, message } })

const outgoing = (p) => ({
  type: 'outgoing', state: { SUCCEEDED: 'settled', IN_FLIGHT: 'pending', FAILED: 'failed' }[p.state], invoice: p.text,
  description: '', description_hash: '', preimage: p.preimage, payment_hash: p.hash, amount: Number(p.amountMsat),
  fees_paid: Number(p.feeMsat), created_at: Math.floor(p.created / 1000), expires_at: 0,
  settled_at: p.state === 'SUCCEEDED' ? Math.floor(p.settled / 1000) : 0,
})
const incoming = (i) => ({
  type: 'incoming', state: i.state === 'SETTLED' ? 'settled' : 'pending', invoice: i.text, description: i.description,
  description_hash: '', preimage: '', payment_hash: i.hash, amount: Number(i.receivedMsat || i.amountMsat || 0n),
  fees_paid: 0, created_at: i.created, expires_at: i.created + i.expirySecs,
  settled_at: i.settled ? Math.floor(i.settled / 1000) : 0,
})

/** Starts the service, with look-ups or without; returns the connection URI for a client. */
export async function startNwc(wallet, relayUrl, { lookups = true } = {}) {
  const { node } = wallet
  const secret = hex(generateSecretKey())
  const client = generateSecretKey()
  const count = (what) => {
    wallet.saw('nwc', 'requests')
    if (what) wallet.saw('nwc', what)
  }
  const methods = all.filter((name) => lookups || name !== 'lookup_invoice')
  const service = new NWCWalletService({ relayUrls: [relayUrl] })
  await service.publishWalletServiceInfoEvent(secret, methods, [])
  const keys = new NWCWalletServiceKeyPair(secret, getPublicKey(client))
  await service.subscribe(keys, {
    async getInfo() {
      count()
      return ok({
        alias: 'payer', color: '#000000', pubkey: hex(node.id), network: 'regtest', block_height: node.net.height,
        block_hash: '0'.repeat(64), methods,
      })
    },
    async getBalance() {
      count()
      return ok({ balance: Number(node.spendableMsat()) })
    },
    async makeInvoice(q) {
      count('invoices')
      const amountMsat = q.amount ? BigInt(q.amount) : undefined
      return ok(incoming(wallet.invoice({ amountMsat, description: q.description ?? '', expirySecs: q.expiry ?? 86_400 })))
    },
    async lookupInvoice(q) {
      count('lookups')
      if (!lookups) return fail('NOT_IMPLEMENTED', 'no look-ups here')
      const hash = q.payment_hash ?? read(q.invoice ?? '')?.hash
      const [paid, made] = [node.payments.get(hash), node.invoices.get(hash)]
      return paid ? ok(outgoing(paid)) : made ? ok(incoming(made)) : fail('NOT_FOUND', 'transaction not found')
    },
    async payInvoice(q) {
      count('pays')
      const invoice = read(q.invoice)
      if (!invoice) return fail('OTHER', 'failed to decode the invoice')
      let p
      try {
        const total = invoice.amountMsat ?? BigInt(q.amount ?? 0)
        p = node.pay(q.invoice, { feeLimitMsat: reserve(total), amountMsat: invoice.amountMsat ? undefined : q.amount })
      } catch (error) {
        if (!error.code) throw error
        if (error.code !== 'exists') return fail('OTHER', error.message)
        return fail('INTERNAL', node.payments.get(invoice.hash).state === 'IN_FLIGHT'
          ? 'there is already a payment pending for this invoice' : 'this invoice has already been paid')
      }
      if (wallet.loses()) return new Promise(() => {})
      await node.ended(p, 3_600_000)
      if (p.state === 'SUCCEEDED') return ok({ preimage: p.preimage, fees_paid: Number(p.feeMsat) })
      return p.reason === 'INSUFFICIENT_BALANCE'
        ? fail('INSUFFICIENT_BALANCE', 'not enough balance') : fail('PAYMENT_FAILED', p.reason)
    },
  })
  return `nostr+walletconnect://${getPublicKey(Buffer.from(secret, 'hex'))}` +
    `?relay=${encodeURIComponent(relayUrl)}&secret=${hex(client)}`
}
