// What is sold: charges of the real mppx server, sessions, L402. See README.md for the routes.
import { Request as MppxRequest } from 'mppx/server'
import { makeCharges, names, realm } from './charge.mjs'
import { makeL402 } from './l402.mjs'
import { makeSessions } from './session.mjs'
import { body, json } from './web.mjs'

const decoded = (authorization) => {
  try {
    return JSON.parse(Buffer.from(authorization.slice(8), 'base64url').toString())
  } catch {
    return undefined
  }
}

/** {handle(request, response, url), sessions, l402, log, stats()} in front of the merchant's node. */
export function makeShop(merchant) {
  const log = []
  const charges = makeCharges(merchant)
  const sessions = makeSessions(merchant, log)
  const l402 = makeL402(merchant)
  const dropped = new Set()

  /** The mppx charge of a request: what it costs and which variant is in its path or query. */
  function charge(url, path) {
    const q = url.searchParams
    const ago = q.get('expires')
    return charges.charge({
      amount: q.get('amount') ?? '1', currency: q.get('currency') ?? 'sat', path,
      variant: q.get('variant') ?? 'honest', said: q.get('description') ?? 'one charge',
      ...(ago !== null && { expires: new Date(Date.now() + Number(ago) * 1000).toISOString() }),
    })
  }

  /** Runs mppx on a request; {status: 402, challenge} or {withReceipt}. */
  const ask = (request, response, url, path) =>
    charge(url, path)(MppxRequest.fromNodeListener(request, response))

  async function send(response, answer) {
    const headers = Object.fromEntries(answer.headers)
    const text = await answer.text()
    response.writeHead(answer.status, { ...headers, 'content-length': Buffer.byteLength(text) }).end(text)
  }

  /** `?drop=before|after`: the connection ends, once, before or after the payment is taken. */
  function drops(when, url, id) {
    if (url.searchParams.get('drop') !== when || dropped.has(id)) return false
    return Boolean(dropped.add(id))
  }

  async function serveCharge(request, response, url, path) {
    const credential = request.headers.authorization?.startsWith('Payment ') && decoded(request.headers.authorization)
    const id = credential?.challenge?.id
    if (credential) log.push({ path, method: request.method, intent: 'charge', challenge: id })
    if (credential && drops('before', url, id)) return response.socket.destroy()
    const result = await ask(request, response, url, path)
    if (result.status === 402) return send(response, result.challenge)
    if (drops('after', url, id)) return response.socket.destroy()
    const then = url.searchParams.get('then')
    if (then === '500') return json(response, 500, { error: 'broken after the payment' })
    if (then === '402') {
      const fresh = await charge(url, path)(new Request(url))
      const problem = {
        type: 'https://paymentauth.org/problems/verification-failed', title: 'Verification Failed', status: 402,
        detail: `sha256(${credential.payload.preimage}) is not what it should be`,
      }
      return json(response, 402, JSON.stringify(problem), {
        'content-type': 'application/problem+json', 'www-authenticate': fresh.challenge.headers.get('www-authenticate'),
      })
    }
    return send(response, result.withReceipt(Response.json({ ok: true })))
  }

  async function serveL402(request, response, url, path) {
    const { authorization } = request.headers
    await body(request)
    if (authorization) log.push({ path, method: request.method, intent: 'l402', scheme: authorization.split(' ')[0] })
    const status = l402.verify(authorization)
    if (status === 200) return json(response, 200, { ok: true })
    if (status === 401 && !url.searchParams.has('again')) return json(response, 401, { error: 'invalid L402 token' })
    const q = url.searchParams
    const options = { sats: Number(q.get('amount') ?? 10), path, form: q.get('form') ?? 'token', variant: q.get('variant') }
    return json(response, 402, { error: 'payment required' }, { 'www-authenticate': l402.challenge(options) })
  }

  /** Every scheme in one answer, each with an invoice of its own, in the order of aperture. */
  async function serveAll(request, response, url, path) {
    const { authorization = '' } = request.headers
    if (/^(L402|LSAT) /.test(authorization)) return serveL402(request, response, url, path)
    if (authorization.startsWith('Payment ')) {
      const { intent } = decoded(authorization)?.challenge ?? {}
      return intent === 'session' ? sessions.serve(request, response, url, path) : serveCharge(request, response, url, path)
    }
    await body(request)
    const { challenge } = await charge(url, path)(new Request(url))
    return json(response, 402, { error: 'payment required' }, {
      'www-authenticate': [
        ...l402.challenge({ sats: Number(url.searchParams.get('amount') ?? 1), path, form: 'both' }),
        challenge.headers.get('www-authenticate'), sessions.challenge(url, path),
      ],
    })
  }

  const routes = { charge: serveCharge, session: sessions.serve, l402: serveL402, all: serveAll }
  return {
    log,
    sessions,
    l402,
    realm,
    variants: names,
    async handle(request, response, url) {
      const path = url.pathname
      if (path === '/free') return json(response, 200, { ok: true, free: true })
      const route = routes[path.split('/')[1]]
      if (!route) return json(response, 404, { error: 'not found' })
      return route(request, response, url, path)
    },
    /** By path: how many invoices were made and paid, and for how much. */
    stats() {
      const paths = {}
      for (const invoice of merchant.invoices.values()) {
        if (!invoice.path) continue
        const entry = (paths[invoice.path] ??= { invoices: 0, paid: 0, receivedMsat: 0n, held: 0 })
        entry.invoices += 1
        entry.paid += invoice.state === 'SETTLED' ? 1 : 0
        entry.held += invoice.state === 'ACCEPTED' ? 1 : 0
        entry.receivedMsat += invoice.receivedMsat
      }
      return paths
    },
  }
}
