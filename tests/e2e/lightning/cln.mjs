// The payer's node behind Core Lightning's clnrest, as far as a payer needs it.
import { read } from './net.mjs'
import { body, json, listen } from './web.mjs'

const fail = (code, message, status = 500) =>
  Object.assign(new Error(message), { rpc: { code, message, data: null }, status })
const msat = (value) => BigInt(String(value).replace(/msat$/, ''))
const words = { SUCCEEDED: 'complete', IN_FLIGHT: 'pending', FAILED: 'failed' }
const reasons = {
  NO_ROUTE: [205, 'Could not find route without excessive cost'], INCORRECT_PAYMENT_DETAILS: [203, 'Destination refused'],
  INSUFFICIENT_BALANCE: [205, 'We do not have sufficient funds'],
}

async function pay(wallet, response, text, maxfee, amount, patienceMs) {
  wallet.saw('cln', 'pays')
  const q = read(text)
  let p
  try {
    const feeLimitMsat = maxfee === undefined ? undefined : msat(maxfee)
    const amountMsat = amount === undefined ? undefined : msat(amount)
    const ownLimit = ((q?.amountMsat ?? amountMsat ?? 0n) / 100n) + 5000n
    p = wallet.node.pay(text, { feeLimitMsat: feeLimitMsat ?? ownLimit, amountMsat })
  } catch (error) {
    if (!error.code) throw error
    if (error.code === 'exists') throw Object.assign(error, { earlier: wallet.node.payments.get(q.hash) })
    throw fail(/expired/.test(error.message) ? 207 : -32602, error.message)
  }
  if (wallet.loses()) return void response.destroy()
  await wallet.node.ended(p, patienceMs)
  if (p.state === 'IN_FLIGHT') throw fail(210, 'Timed out')
  if (p.state === 'FAILED') throw fail(...(reasons[p.reason] ?? [209, 'Failed']))
  return p
}

const methods = {
  getinfo: ({ node }) => ({
    id: Buffer.from(node.id).toString('hex'), alias: 'payer', color: '000000', num_peers: 1, num_active_channels: 1,
    version: 'v26.06', blockheight: node.net.height, network: 'regtest', address: [], binding: [],
  }),
  listpeerchannels: ({ node }) => ({
    channels: [{
      state: 'CHANNELD_NORMAL', peer_connected: true, spendable_msat: Number(node.spendableMsat()),
      to_us_msat: Number(node.balanceMsat()),
    }],
  }),
  async xpay(wallet, q, response) {
    try {
      const p = await pay(wallet, response, q.invstring, q.maxfee, q.amount_msat, 3_600_000)
      return p && {
        payment_preimage: p.preimage, amount_msat: Number(p.amountMsat), amount_sent_msat: Number(p.amountMsat + p.feeMsat),
        failed_parts: 0, successful_parts: 1,
      }
    } catch (error) {
      if (!error.earlier) throw error
      throw error.earlier.state === 'IN_FLIGHT' ? fail(200, 'Payment is still in progress') : fail(219, 'Already paid')
    }
  },
  async pay(wallet, q, response) {
    let p
    try {
      p = await pay(wallet, response, q.bolt11, q.maxfee, q.amount_msat, Number(q.retry_for ?? 60) * 1000)
    } catch (error) {
      if (!error.earlier) throw error
      if (error.earlier.state === 'IN_FLIGHT') throw fail(200, 'Payment is still in progress')
      p = error.earlier
    }
    return p && {
      payment_hash: p.hash, payment_preimage: p.preimage, amount_msat: Number(p.amountMsat), parts: 1, status: 'complete',
      amount_sent_msat: Number(p.amountMsat + p.feeMsat), created_at: p.created / 1000,
    }
  },
  listpays(wallet, q) {
    wallet.saw('cln', 'lookups')
    const p = wallet.node.payments.get(q.payment_hash)
    if (!p) return { pays: [] }
    return {
      pays: [{
        payment_hash: p.hash, status: words[p.state], bolt11: p.text, created_at: Math.floor(p.created / 1000),
        amount_msat: Number(p.amountMsat), amount_sent_msat: Number(p.amountMsat + p.feeMsat),
        ...(p.state === 'SUCCEEDED' && { preimage: p.preimage }),
      }],
    }
  },
  invoice(wallet, q) {
    wallet.saw('cln', 'invoices')
    if ([...wallet.node.invoices.values()].some((i) => i.label === q.label)) throw fail(900, 'Duplicate label')
    const amountMsat = q.amount_msat === 'any' ? undefined : msat(q.amount_msat)
    const invoice = wallet.invoice({ amountMsat, description: q.description, expirySecs: Number(q.expiry ?? 604_800) })
    invoice.label = q.label
    return {
      bolt11: invoice.text, payment_hash: invoice.hash, payment_secret: '0'.repeat(64),
      expires_at: invoice.created + invoice.expirySecs, created_index: wallet.node.invoices.size,
    }
  },
  listinvoices(wallet, q) {
    const found = [...wallet.node.invoices.values()].filter((i) =>
      q.label !== undefined ? i.label === q.label : q.payment_hash !== undefined ? i.hash === q.payment_hash : true)
    return {
      invoices: found.map((i) => ({
        label: i.label, payment_hash: i.hash, bolt11: i.text, description: i.description,
        expires_at: i.created + i.expirySecs, status: i.state === 'SETTLED' ? 'paid' : 'unpaid',
        ...(i.state === 'SETTLED' && {
          amount_received_msat: Number(i.receivedMsat), paid_at: Math.floor(i.settled / 1000),
        }),
      })),
    }
  },
}

/** `xpay`: whether this node knows it; older ones have `pay` alone. */
export function startCln(wallet, port, tls, { xpay = true } = {}) {
  return listen(port, async (request, response, url) => {
    wallet.saw('cln', 'requests')
    if (wallet.away) return void response.destroy()
    try {
      const name = /^\/v1\/([a-z]+)$/.exec(url.pathname)?.[1]
      if (request.method !== 'POST') throw fail(-32600, 'Method Not Allowed', 405)
      if (!request.headers.rune) throw fail(1501, 'Not authorized: Missing rune', 403)
      if (request.headers.rune !== wallet.secret) throw fail(1501, 'Not authorized: Not derived from master', 401)
      if (!methods[name] || (name === 'xpay' && !xpay)) throw fail(-32601, `Unknown command '${name}'`, 404)
      const result = await methods[name](wallet, JSON.parse((await body(request)) || '{}'), response)
      if (result) json(response, 201, result)
    } catch (error) {
      if (!error.rpc) throw error
      json(response, error.status, error.rpc)
    }
  }, tls)
}
