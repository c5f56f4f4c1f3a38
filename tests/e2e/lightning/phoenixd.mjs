// The payer's node behind phoenixd's API. (The real one knows mainnet and testnet only.)
import { read } from './net.mjs'
import { body, json, listen } from './web.mjs'
import { rounded } from './wallet.mjs'

const reasons = {
  NO_ROUTE: 'payment could not be routed', INSUFFICIENT_BALANCE: 'not enough funds in wallet to afford payment',
  INCORRECT_PAYMENT_DETAILS: 'recipient rejected the payment',
}
const taken = { SUCCEEDED: 'this invoice has already been paid', IN_FLIGHT: 'this invoice is already being paid' }

async function pay(wallet, form, response) {
  wallet.saw('phoenixd', 'pays')
  const text = form.get('invoice')
  const invoice = read(text ?? '')
  if (!invoice) return json(response, 400, 'parameter invoice is invalid: malformed')
  const amount = form.get('amountSat')
  let p
  try {
    const amountMsat = amount && invoice.amountMsat === undefined ? BigInt(amount) * 1000n : undefined
    const total = invoice.amountMsat ?? amountMsat ?? 0n
    p = wallet.node.pay(text, { feeLimitMsat: 4000n + (total * 4n) / 1000n, amountMsat })
  } catch (error) {
    if (error.code === 'exists') {
      const { state } = wallet.node.payments.get(invoice.hash)
      return json(response, 200, { paymentHash: invoice.hash, reason: taken[state] })
    }
    if (error.code) return json(response, 400, error.message)
    throw error
  }
  if (wallet.loses()) return void response.destroy()
  await wallet.node.ended(p, 3_600_000)
  if (p.state === 'FAILED') {
    return json(response, 200, { paymentHash: p.hash, reason: reasons[p.reason] ?? 'payment failed' })
  }
  return json(response, 200, {
    recipientAmountSat: Number(p.amountMsat / 1000n), routingFeeSat: rounded(p.feeMsat), paymentId: p.id.slice(0, 32),
    paymentHash: p.hash, paymentPreimage: p.preimage,
  })
}

function outgoing(wallet, hash, response) {
  wallet.saw('phoenixd', 'lookups')
  const p = wallet.node.payments.get(hash)
  if (!p) return json(response, 404, 'Not found')
  const ended = p.state !== 'IN_FLIGHT'
  return json(response, 200, {
    type: 'outgoing_payment', subType: 'lightning', paymentId: p.id.slice(0, 32), paymentHash: p.hash,
    ...(p.preimage && { preimage: p.preimage }), isPaid: p.state === 'SUCCEEDED', sent: rounded(p.amountMsat + p.feeMsat),
    fees: Number(p.feeMsat), invoice: p.text, ...(ended && { completedAt: p.settled }), createdAt: p.created,
  })
}

function incoming(wallet, hash, response) {
  const invoice = wallet.node.invoices.get(hash)
  if (!invoice) return json(response, 404, 'Not found')
  const paid = invoice.state === 'SETTLED'
  return json(response, 200, {
    type: 'incoming_payment', subType: 'lightning', paymentHash: hash, isPaid: paid, isExpired: false,
    receivedSat: Number(invoice.receivedMsat / 1000n), fees: 0, invoice: invoice.text, description: invoice.description,
    ...(paid && { completedAt: invoice.settled }), createdAt: invoice.created * 1000,
  })
}

export function startPhoenixd(wallet, port) {
  const { node } = wallet
  return listen(port, async (request, response, url) => {
    wallet.saw('phoenixd', 'requests')
    if (wallet.away) return void response.destroy()
    const [scheme, word] = (request.headers.authorization ?? '').split(' ')
    const password = Buffer.from(word ?? '', 'base64').toString().replace(/^[^:]*:/, '')
    if (scheme !== 'Basic' || password !== wallet.secret) {
      return json(response, 401, 'Invalid authentication (use basic auth with the http password set in phoenix.conf)')
    }
    const { pathname } = url
    if (request.method === 'POST') {
      const form = new URLSearchParams(await body(request))
      if (pathname === '/payinvoice') return pay(wallet, form, response)
      if (pathname !== '/createinvoice') return json(response, 404, 'Unknown endpoint (check api doc)')
      wallet.saw('phoenixd', 'invoices')
      const description = form.get('description')
      if (description === null) return json(response, 400, 'Must provide either a description or descriptionHash')
      if (description.length > 128) {
        return json(response, 400, 'Request parameter description is too long (max 128 characters)')
      }
      const amount = form.get('amountSat')
      const invoice = wallet.invoice({
        amountMsat: amount ? BigInt(amount) * 1000n : undefined, description,
        expirySecs: Number(form.get('expirySeconds') ?? 3600),
      })
      return json(response, 200, {
        ...(amount && { amountSat: Number(amount) }), paymentHash: invoice.hash, serialized: invoice.text,
      })
    }
    const [, out, into] = /^\/payments\/(?:outgoingbyhash\/(\w+)|incoming\/(\w+))$/.exec(pathname) ?? []
    if (out) return outgoing(wallet, out, response)
    if (into) return incoming(wallet, into, response)
    if (pathname === '/getbalance') {
      return json(response, 200, { balanceSat: Number(node.balanceMsat() / 1000n), feeCreditSat: 0 })
    }
    if (pathname === '/getinfo') {
      return json(response, 200, {
        nodeId: Buffer.from(node.id).toString('hex'), channels: [{ state: 'Normal' }], chain: 'regtest',
        blockHeight: node.net.height, version: '0.7.2',
      })
    }
    return json(response, 404, 'Unknown endpoint (check api doc)')
  })
}
