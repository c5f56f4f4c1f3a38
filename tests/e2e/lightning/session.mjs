// Prepaid sessions as draft-lightning-session-00 wants them of a server, strictly.
//
// The query of a URL says how its resource behaves: amount, deposit (sat), n (chunks), slow (ms between chunks),
// hold (ms that a stream waits for a top-up), problems=mppx (problem types as mppx servers send them).
import { randomBytes } from 'node:crypto'
import { realm, sha256 } from './charge.mjs'
import { read } from './net.mjs'
import { body, json } from './web.mjs'

/** JSON in canonical form (RFC 8785), for the values that occur here. */
export function jcs(value) {
  if (Array.isArray(value)) return `[${value.map(jcs)}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.keys(value).sort().filter((key) => value[key] !== undefined)
  return `{${members.map((key) => `${JSON.stringify(key)}:${jcs(value[key])}`)}}`
}
const encode = (value) => Buffer.from(jcs(value)).toString('base64url')
const hashOf = (preimage) => sha256(Buffer.from(preimage, 'hex')).toString('hex')
const isHex = (text) => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)
const now = () => new Date().toISOString()

/** Why a credential is refused: the last part of a problem type. */
class Refusal extends Error {
  constructor(type, message) {
    super(message)
    this.type = type
  }
}

export function makeSessions(merchant, log) {
  const challenges = new Map() // by id: {params, hash, sats, expires, answer}
  const sessions = new Map() // by the hash of the first deposit
  const state = { refund: 'honest', expiresMs: 300_000 }

  const settings = (url) => {
    const q = url.searchParams
    const amount = Number(q.get('amount') ?? 2)
    return {
      amount, deposit: Number(q.get('deposit') ?? amount * 20), chunks: Number(q.get('n') ?? 8),
      slow: Number(q.get('slow') ?? 0), hold: Number(q.get('hold') ?? 60_000), problems: q.get('problems') ?? 'draft', idle: q.get('idle') ?? '300',
    }
  }

  /** The header field of a fresh challenge. */
  function challenge(url, path) {
    const { amount, deposit, idle } = settings(url)
    const invoice = merchant.invoice({ amountMsat: BigInt(deposit) * 1000n, description: 'a deposit' })
    invoice.path = path
    const request = encode({
      amount: `${amount}`, currency: 'sat', depositAmount: `${deposit}`, depositInvoice: invoice.text,
      description: 'words', idleTimeout: idle, paymentHash: invoice.hash, unitType: 'word',
    })
    const id = randomBytes(16).toString('base64url')
    const expires = new Date(Date.now() + state.expiresMs).toISOString()
    const params = { id, realm, method: 'lightning', intent: 'session', request, expires }
    challenges.set(id, { params, hash: invoice.hash, invoice: invoice.text, sats: deposit, amount })
    return 'Payment ' + Object.entries(params).map(([name, value]) => `${name}="${value}"`).join(', ')
  }

  function credential(text) {
    const malformed = new Refusal('malformed-credential', 'The credential cannot be read.')
    if (!/^[A-Za-z0-9_-]+$/.test(text)) throw malformed
    let read
    const decoded = Buffer.from(text, 'base64url').toString()
    try {
      read = JSON.parse(decoded)
    } catch {
      throw malformed
    }
    if (!read?.payload || !read.challenge || jcs(read) !== decoded) throw malformed
    return read
  }

  /** The stored challenge that a credential echoes, not yet used or with its answer. */
  function echoed({ challenge: echo }) {
    const stored = challenges.get(echo.id)
    if (!stored) throw new Refusal('unknown-challenge', 'There is no such challenge.')
    if (jcs(echo) !== jcs(stored.params)) throw new Refusal('unknown-challenge', 'The challenge was not echoed unchanged.')
    if (!stored.answer && Date.parse(stored.params.expires) < Date.now()) {
      throw new Refusal('challenge-expired', 'The challenge has expired.')
    }
    return stored
  }

  /** The open session of a bearer of its preimage. */
  function owned({ sessionId, preimage }, needed = true) {
    const session = sessions.get(sessionId)
    if (!session) throw new Refusal('session-not-found', `Session not found: ${sessionId}`)
    if (session.status !== 'open') throw new Refusal('session-closed', 'Session is already closed.')
    if (needed && (!isHex(preimage) || hashOf(preimage) !== session.id)) {
      throw new Refusal('invalid-preimage', `sha256(${preimage}) is not the hash of the session.`)
    }
    return session
  }

  function paid(stored, preimage) {
    if (!isHex(preimage) || hashOf(preimage) !== stored.hash) {
      throw new Refusal('invalid-preimage', `sha256(${preimage}) is not the payment hash.`)
    }
    if (merchant.invoices.get(stored.hash).state !== 'SETTLED') throw new Refusal('invalid-preimage', 'Not paid.')
  }

  function open(stored, { preimage, returnInvoice }) {
    paid(stored, preimage)
    const back = typeof returnInvoice === 'string' ? read(returnInvoice) : undefined
    const bad = (why) => new Refusal('invalid-return-invoice', why)
    if (!back) throw bad('returnInvoice is not a BOLT 11 invoice')
    if (back.amountMsat !== undefined) {
      throw bad(`returnInvoice must not encode an amount (found ${back.amountMsat / 1000n} sat)`)
    }
    if (back.network !== 'regtest') throw bad('returnInvoice is of another network')
    if (back.expires <= Date.now() / 1000) throw bad('returnInvoice has expired')
    const session = {
      id: stored.hash, deposit: stored.sats, spent: 0, units: 0, returnInvoice,
      returnDays: (back.expires - Date.now() / 1000) / 86_400, status: 'open', path: merchant.invoices.get(stored.hash).path, watchers: new Set(),
    }
    sessions.set(session.id, session)
    return session
  }

  function topUp(stored, payload) {
    const session = owned(payload, false)
    paid(stored, payload.topUpPreimage)
    session.deposit += stored.sats
    for (const wake of session.watchers) wake()
    return session
  }

  /** Ends a session and sends back what is left: one attempt. */
  async function close(session) {
    session.status = 'closed'
    for (const wake of session.watchers) wake()
    const refundSats = session.deposit - session.spent
    session.refund = { refundSats, refundStatus: 'skipped' }
    if (refundSats === 0) return session.refund
    let sent = false
    if (state.refund === 'honest' || state.refund === 'denied') {
      try {
        const amountMsat = BigInt(refundSats) * 1000n
        const p = merchant.pay(session.returnInvoice, { amountMsat, feeLimitMsat: 1_000_000n })
        sent = (await merchant.ended(p, 10_000)).state === 'SUCCEEDED'
      } catch (error) {
        if (!error.code) throw error
      }
    }
    // claimed: says that it paid, and did not; denied: the other way round.
    const said = state.refund === 'claimed' || (state.refund === 'honest' && sent)
    session.refund.refundStatus = said ? 'succeeded' : 'failed'
    return session.refund
  }

  const receipt = (session, more = {}) => ({
    method: 'lightning', reference: session.id, status: 'success', timestamp: now(), ...more,
  })

  /** Takes the price of a unit from the balance, if it is there. */
  function charge(session, amount) {
    if (session.status !== 'open' || session.deposit - session.spent < amount) return false
    session.spent += amount
    session.units += 1
    return true
  }

  /** An answer that is kept with its challenge: the same credential gets it again. */
  function answer(response, stored, status, value, headers) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    stored.answer = { status, text, headers: { 'content-type': 'application/json', ...headers } }
    return send(response, stored.answer)
  }
  const send = (response, { status, text, headers }) => response.writeHead(status, headers).end(text)

  async function stream(response, stored, session, { amount, chunks, slow, hold }) {
    const kept = {
      status: 200, text: '',
      headers: {
        'content-type': 'text/event-stream', 'payment-receipt': encode(receipt(session)), 'cache-control': 'no-store',
      },
    }
    stored.answer = kept
    let gone = false
    response.on('close', () => (gone = true))
    response.writeHead(200, kept.headers)
    response.flushHeaders()
    const write = (text) => ((kept.text += text), response.write(text))
    const state = () => JSON.stringify({ sessionId: session.id, balanceSpent: session.spent, balanceRequired: amount })
    let [spent, units] = [0, 0]
    while (units < chunks && !gone) {
      if (!charge(session, amount)) {
        if (session.status !== 'open') return response.end()
        write(`event: payment-need-topup\ndata: ${state()}\n\n`)
        const enough = () => session.status !== 'open' || gone || session.deposit - session.spent >= amount
        await new Promise((resolve) => {
          const wake = () => enough() && resolve()
          session.watchers.add(wake)
          response.on('close', resolve)
          setTimeout(resolve, hold)
        })
        if (enough()) continue
        write(`event: session-timeout\ndata: ${state()}\n\n`)
        log.push({ path: session.path, timeout: session.id })
        return response.end()
      }
      spent += amount
      units += 1
      write(`data: word${units}\n\n`)
      if (slow) await new Promise((resolve) => setTimeout(resolve, slow))
    }
    write(`event: payment-receipt\ndata: ${JSON.stringify(receipt(session, { spent, units }))}\n\n`)
    write('data: [DONE]\n\n')
    return response.end()
  }

  async function act(request, response, url, path, text) {
    const wanted = settings(url)
    const read = credential(text)
    const { payload } = read
    const stored = echoed(read)
    log.push({
      path, method: request.method, intent: 'session', action: payload.action, challenge: read.challenge.id,
      replay: stored.answer !== undefined,
    })
    if (stored.answer) return send(response, stored.answer)
    const lost = url.searchParams.get('drop') === payload.action && !stored.dropped
    stored.dropped = true
    let session
    if (payload.action === 'open') session = open(stored, payload)
    else if (payload.action === 'bearer') session = owned(payload)
    else if (payload.action === 'topUp') session = topUp(stored, payload)
    else if (payload.action === 'close') session = owned(payload)
    else throw new Refusal('malformed-credential', 'No such action.')
    if (lost) response.socket.destroy()
    if (payload.action === 'topUp') {
      return answer(response, stored, 200, { status: 'ok' }, { 'payment-receipt': encode(receipt(session)) })
    }
    if (payload.action === 'close') {
      const refund = await close(session)
      return answer(response, stored, 200, { status: 'closed', ...refund }, {
        'payment-receipt': encode(receipt(session, refund)),
      })
    }
    if (path.endsWith('/sse')) return stream(response, stored, session, wanted)
    if (!charge(session, wanted.amount)) throw new Refusal('insufficient-balance', 'The balance is used up.')
    const receiptField = encode(receipt(session, { spent: wanted.amount, units: 1 }))
    return answer(response, stored, 200, { ok: true, unit: 1 }, { 'payment-receipt': receiptField })
  }

  return {
    state,
    sessions,
    challenge,
    /** Closes what is open, as a server does after the idle time. Returns how many. */
    async closeAll() {
      const open = [...sessions.values()].filter(({ status, path }) => status === 'open' && path)
      for (const session of open) await close(session)
      return open.length
    },
    async serve(request, response, url, path) {
      const text = /^Payment +(\S+)$/.exec(request.headers.authorization ?? '')?.[1]
      await body(request)
      const refuse = (type, detail) => {
        const refused = settings(url).problems === 'draft' ? `lightning/${type}` : 'verification-failed'
        const uri = `https://paymentauth.org/problems/${type ? refused : 'payment-required'}`
        json(response, 402, JSON.stringify({ type: uri, title: 'Payment Required', status: 402, detail }), {
          'content-type': 'application/problem+json', 'cache-control': 'no-store',
          'www-authenticate': challenge(url, path),
        })
      }
      if (!text) return refuse(undefined, 'Payment is required.')
      try {
        return await act(request, response, url, path, text)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        log.push({ path, method: request.method, intent: 'session', refused: error.type })
        return refuse(error.type, error.message)
      }
    },
  }
}
