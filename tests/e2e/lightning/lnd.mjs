// The payer's node behind LND's REST interface (v2/router), as far as a payer needs it.
import { body, json, listen } from './web.mjs'

const zeros = '0'.repeat(64)
const statuses = { 2: 500, 5: 404, 6: 409 }
const base64 = (hex) => Buffer.from(hex, 'hex').toString('base64')

function payment(p) {
  const seconds = Math.floor(p.created / 1000)
  return {
    payment_hash: p.hash, value: `${p.amountMsat / 1000n}`, creation_date: `${seconds}`, fee: `${p.feeMsat / 1000n}`,
    payment_preimage: p.preimage || zeros, value_sat: `${p.amountMsat / 1000n}`, value_msat: `${p.amountMsat}`,
    payment_request: p.text, status: p.state, fee_sat: `${p.feeMsat / 1000n}`, fee_msat: `${p.feeMsat}`,
    creation_time_ns: `${p.created * 1_000_000}`, htlcs: [], payment_index: '1',
    failure_reason: `FAILURE_REASON_${p.reason}`, first_hop_custom_records: {},
  }
}

const unary = (response, code, message) => json(response, statuses[code], { code, message, details: [] })
const stream = (response, code, message) => json(response, statuses[code], { error: { code, message, details: [] } })

/** Streams what becomes of a payment: one JSON object a line, until it has ended. */
async function follow(wallet, response, p, quiet) {
  response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
  const line = () => response.write(JSON.stringify({ result: payment(p) }) + '\n')
  if (!quiet && p.state === 'IN_FLIGHT') line()
  else response.flushHeaders()
  await wallet.node.ended(p, 3_600_000)
  line()
  response.end()
}

async function send(wallet, request, response) {
  const q = JSON.parse(await body(request))
  wallet.saw('lnd', 'pays')
  if (q.fee_limit_sat && q.fee_limit_msat) return stream(response, 2, 'either fee_limit_sat or fee_limit_msat, not both')
  let p
  try {
    p = wallet.node.pay(q.payment_request, {
      feeLimitMsat: BigInt(q.fee_limit_msat ?? BigInt(q.fee_limit_sat ?? 0) * 1000n),
      amountMsat: q.amt_msat ? BigInt(q.amt_msat) : q.amt ? BigInt(q.amt) * 1000n : undefined,
    })
  } catch (error) {
    if (!error.code) throw error
    return stream(response, error.code === 'exists' ? 6 : 2, error.message)
  }
  if (wallet.loses()) return void response.destroy()
  return follow(wallet, response, p, q.no_inflight_updates)
}

const routes = {
  'GET /v1/getinfo': ({ node }, _, response) =>
    json(response, 200, {
      version: '0.20.0-beta', identity_pubkey: Buffer.from(node.id).toString('hex'), alias: 'payer', num_active_channels: 1,
      block_height: node.net.height, synced_to_chain: true, synced_to_graph: true, testnet: false,
      chains: [{ chain: 'bitcoin', network: 'regtest' }], uris: [], features: {},
    }),
  'GET /v1/balance/channels': ({ node }, _, response) => {
    const amount = (msat) => ({ sat: `${msat / 1000n}`, msat: `${msat}` })
    const local = node.balanceMsat()
    json(response, 200, {
      balance: `${local / 1000n}`, pending_open_balance: '0', local_balance: amount(local), remote_balance: amount(0n),
      unsettled_local_balance: amount(0n), unsettled_remote_balance: amount(0n),
    })
  },
  'POST /v1/invoices': async (wallet, request, response) => {
    const q = JSON.parse((await body(request)) || '{}')
    wallet.saw('lnd', 'invoices')
    const amount = BigInt(q.value_msat ?? BigInt(q.value ?? 0) * 1000n)
    const invoice = wallet.invoice({
      amountMsat: amount || undefined, description: q.memo ?? '', expirySecs: Number(q.expiry ?? 86_400),
    })
    json(response, 200, {
      r_hash: base64(invoice.hash), payment_request: invoice.text, add_index: `${wallet.node.invoices.size}`,
      payment_addr: base64(zeros),
    })
  },
  'POST /v2/router/send': send,
}

function lookInvoice(wallet, hash, response) {
  const invoice = wallet.node.invoices.get(hash)
  if (!invoice) return unary(response, 5, 'unable to locate invoice')
  return json(response, 200, {
    memo: invoice.description, r_hash: base64(hash), value_msat: `${invoice.amountMsat ?? 0n}`,
    settled: invoice.state === 'SETTLED', payment_request: invoice.text, state: invoice.state,
    expiry: `${invoice.expirySecs}`, amt_paid_sat: `${invoice.receivedMsat / 1000n}`,
    amt_paid_msat: `${invoice.receivedMsat}`,
  })
}

export function startLnd(wallet, port, tls) {
  return listen(port, async (request, response, url) => {
    wallet.saw('lnd', 'requests')
    if (wallet.away) return void response.destroy()
    const macaroon = request.headers['grpc-metadata-macaroon']
    if (!macaroon) return unary(response, 2, 'expected 1 macaroon, got 0')
    if (macaroon.toLowerCase() !== wallet.secret) {
      return unary(response, 2, 'verification failed: signature mismatch after caveat verification')
    }
    const route = routes[`${request.method} ${url.pathname}`]
    if (route) return route(wallet, request, response)
    const [, what, key] = /^\/(v1\/invoice|v2\/router\/track)\/([^/]+)$/.exec(url.pathname) ?? []
    if (request.method !== 'GET' || !what) return unary(response, 5, 'Not Found')
    if (what === 'v1/invoice') return lookInvoice(wallet, key, response)
    wallet.saw('lnd', 'lookups')
    const padded = decodeURIComponent(key)
    if (padded.length !== 44) return stream(response, 2, `type mismatch, parameter: payment_hash, error: illegal base64`)
    const p = wallet.node.payments.get(Buffer.from(padded, 'base64url').toString('hex'))
    if (!p) return stream(response, 5, "payment isn't initiated")
    return follow(wallet, response, p, url.searchParams.get('no_inflight_updates') === 'true')
  }, tls)
}
