// The payer's node behind the wallet API of LNbits. It makes and pays no invoices without an amount.
import { read } from './net.mjs'
import { body, json, listen } from './web.mjs'
import { reserve } from './wallet.mjs'

const words = { SUCCEEDED: 'success', IN_FLIGHT: 'pending', FAILED: 'failed' }

function payment(p) {
  return {
    checking_id: p.hash, payment_hash: p.hash, wallet_id: 'payer', amount: -Number(p.amountMsat), fee: -Number(p.feeMsat),
    bolt11: p.text, status: words[p.state], memo: '', preimage: p.preimage || null, time: new Date(p.created).toISOString(),
  }
}

async function pay(wallet, q, response) {
  wallet.saw('lnbits', 'pays')
  const refuse = (detail, status = 'failed') => json(response, 520, { detail, status })
  const invoice = read(q.bolt11 ?? '')
  if (!invoice) return json(response, 400, { detail: 'Invalid bolt11 invoice.' })
  if (invoice.amountMsat === undefined) return refuse('Amountless invoices not supported.')
  let p
  try {
    p = wallet.node.pay(q.bolt11, { feeLimitMsat: reserve(invoice.amountMsat) })
  } catch (error) {
    if (!error.code) throw error
    if (error.code !== 'exists') return refuse(error.message)
    const earlier = wallet.node.payments.get(invoice.hash)
    return earlier.state === 'IN_FLIGHT' ? refuse('Payment is pending.', 'pending') : refuse('Payment already paid.')
  }
  if (wallet.loses()) return void response.destroy()
  // What takes longer than this is told to be pending.
  await wallet.node.ended(p, 2000)
  if (p.state === 'FAILED') return refuse(`Payment failed: ${p.reason}`)
  return json(response, 201, payment(p))
}

export function startLnbits(wallet, port) {
  return listen(port, async (request, response, url) => {
    wallet.saw('lnbits', 'requests')
    if (wallet.away) return void response.destroy()
    if (request.headers['x-api-key'] !== wallet.secret) return json(response, 401, { detail: 'Wallet not found.' })
    const { pathname } = url
    if (pathname === '/api/v1/wallet') {
      return json(response, 200, { name: 'payer', balance: Number(wallet.node.balanceMsat()) })
    }
    if (pathname === '/api/v1/payments/fee-reserve') {
      const amount = read(url.searchParams.get('invoice') ?? '')?.amountMsat
      return amount === undefined
        ? json(response, 400, { detail: 'Invalid bolt11 invoice.' })
        : json(response, 200, { fee_reserve: Number(reserve(amount)) })
    }
    if (pathname === '/api/v1/payments' && request.method === 'POST') {
      const q = JSON.parse(await body(request))
      if (q.out) return pay(wallet, q, response)
      if (!Number(q.amount)) return json(response, 520, { detail: 'Amountless invoices not supported.', status: 'failed' })
      wallet.saw('lnbits', 'invoices')
      const invoice = wallet.node.invoice({ amountMsat: BigInt(q.amount) * 1000n, description: q.memo ?? '' })
      return json(response, 201, { payment_hash: invoice.hash, bolt11: invoice.text, checking_id: invoice.hash })
    }
    const hash = /^\/api\/v1\/payments\/(\w+)$/.exec(pathname)?.[1]
    if (!hash) return json(response, 404, { detail: 'Not Found' })
    wallet.saw('lnbits', 'lookups')
    const p = wallet.node.payments.get(hash)
    if (p) {
      const paid = p.state === 'SUCCEEDED'
      return json(response, 200, {
        paid, status: words[p.state], preimage: p.preimage || null, details: payment(p),
      })
    }
    const invoice = wallet.node.invoices.get(hash)
    if (invoice) return json(response, 200, { paid: invoice.state === 'SETTLED', status: 'pending' })
    return json(response, 404, { detail: 'Payment does not exist.' })
  })
}
