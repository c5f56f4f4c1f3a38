// L402 (and LSAT): a macaroon and an invoice; the token can be used again until it is forgotten.
import { createHmac, randomBytes } from 'node:crypto'
import { sha256 } from './charge.mjs'

const generator = Buffer.concat([Buffer.from('macaroons-key-generator')], 32)
const hmac = (key, data) => createHmac('sha256', key).update(data).digest()

/** A macaroon, version 2, without caveats: its identifier is version 0, payment hash and id. */
export function macaroon(hash, id, rootKey) {
  const identifier = Buffer.concat([Buffer.alloc(2), Buffer.from(hash, 'hex'), id])
  const location = Buffer.from('lightning.test')
  return Buffer.concat([
    Buffer.from([2, 1, location.length]), location, Buffer.from([2, identifier.length]), identifier,
    Buffer.from([0, 0, 6, 32]), hmac(hmac(generator, rootKey), identifier),
  ])
}

export function makeL402(merchant) {
  const rootKey = randomBytes(32)
  const tokens = new Map() // base64 of the macaroon: {hash, forgotten}
  function offer({ sats, path, variant }) {
    const invoice = merchant.invoice({ amountMsat: BigInt(sats) * 1000n, description: 'a token' })
    invoice.path = path
    const named = variant === 'lies-hash' ? sha256('another').toString('hex') : invoice.hash
    const token = macaroon(named, randomBytes(32), rootKey).toString('base64')
    tokens.set(token, { hash: invoice.hash, forgotten: false })
    return { token, invoice: invoice.text }
  }
  const forms = {
    token: ({ token, invoice }) => `L402 version="0", token="${token}", invoice="${invoice}"`,
    macaroon: ({ token, invoice }) => `L402 macaroon="${token}", invoice="${invoice}"`,
    lsat: ({ token, invoice }) => `LSAT macaroon="${token}", invoice="${invoice}"`,
  }
  return {
    /** The header fields of a challenge in the forms that are seen: token, macaroon, lsat; both: the last two. */
    challenge({ form = 'token', ...options }) {
      const names = form === 'both' ? ['lsat', 'macaroon'] : [form]
      return names.map((name) => forms[name](offer(options)))
    },
    /** 200, 401 (forged or forgotten) or 402 (no credential, or not paid). */
    verify(authorization) {
      const [, scheme, token, preimage] = /^(L402|LSAT) ([^:]+):([0-9a-fA-F]*)$/.exec(authorization ?? '') ?? []
      if (!scheme) return authorization && /^(L402|LSAT) /.test(authorization) ? 401 : 402
      const known = tokens.get(token)
      if (!known || known.forgotten) return 401
      if (sha256(Buffer.from(preimage, 'hex')).toString('hex') !== known.hash) return 401
      return merchant.invoices.get(known.hash).state === 'SETTLED' ? 200 : 402
    },
    forget() {
      for (const known of tokens.values()) known.forgotten = true
    },
  }
}
