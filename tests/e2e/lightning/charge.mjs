// A lightning charge for the real mppx server: a fresh invoice of the merchant for every challenge.
import { createHash } from 'node:crypto'
import { Errors, Method, z } from 'mppx'
import { Mppx } from 'mppx/server'
import { mint } from './mint.mjs'

export const sha256 = (data) => createHash('sha256').update(data).digest()
export const realm = 'lightning.test'

const details = z.object({
  invoice: z.string(), paymentHash: z.optional(z.string()), network: z.optional(z.string()),
})
const method = Method.from({
  name: 'lightning',
  intent: 'charge',
  schema: {
    credential: { payload: z.object({ preimage: z.string() }) },
    request: z.object({
      amount: z.string(), currency: z.string(), description: z.optional(z.string()), methodDetails: z.optional(details),
    }),
  },
})

/** What a challenge says of `sats` in each variant; `make` makes an invoice of the merchant's. */
const variants = {
  honest: (sats, make) => known(make({ sats })),
  bare: (sats, make) => ({ invoice: make({ sats }).text }),
  described: (sats, make, description) => known(make({ sats, descriptionHash: sha256(description) })),
  'lies-amount': (sats, make) => known(make({ sats: sats * 1000n })),
  'lies-msat': (sats, make) => known(make({ sats, extraMsat: 1n })),
  'lies-hash': (sats, make) => ({ ...known(make({ sats })), paymentHash: sha256('another').toString('hex') }),
  'lies-network': (sats, make) => ({ ...known(make({ sats })), network: 'mainnet' }),
  'lies-description': (sats, make) => known(make({ sats, descriptionHash: sha256('another description') })),
  amountless: (sats, make) => known(make({})),
  mainnet: (sats) => known(mint({ network: 'mainnet', amountMsat: sats * 1000n }), 'mainnet'),
  signet: (sats) => known(mint({ network: 'signet', amountMsat: sats * 1000n }), 'signet'),
  expired: (sats) => known(mint({ amountMsat: sats * 1000n, created: Math.floor(Date.now() / 1000) - 7200 })),
  feature: (sats) => known(mint({ amountMsat: sats * 1000n, features: [8, 14, 100] })),
  'two-hashes': (sats) => known(mint({ amountMsat: sats * 1000n, hashes: 2 })),
  garbage: (sats, make) => {
    const { text, hash } = make({ sats })
    return known({ text: text.slice(0, -1) + (text.endsWith('q') ? 'p' : 'q'), hash })
  },
}
const known = ({ text, hash }, network = 'regtest') => ({ invoice: text, paymentHash: hash, network })

export const names = Object.keys(variants)

/**
 * The server. Options of its charges, besides mppx's: `variant`; `path`, which the invoices are counted for; `said`, the
 * description in the request.
 */
export function makeCharges(merchant) {
  const used = new Set()
  const server = Method.toServer(method, {
    defaults: { currency: 'sat' },
    request({ credential, request: { variant = 'honest', path, said, ...terms } }) {
      const request = { ...terms, description: said }
      if (credential) return { ...request, methodDetails: credential.challenge.request.methodDetails }
      const make = ({ sats, extraMsat = 0n, descriptionHash }) => {
        const amountMsat = sats === undefined ? undefined : sats * 1000n + extraMsat
        const invoice = merchant.invoice({ amountMsat, description: said, descriptionHash })
        invoice.path = path
        return invoice
      }
      return { ...request, methodDetails: variants[variant](BigInt(request.amount), make, said) }
    },
    async verify({ credential }) {
      const { preimage } = credential.payload
      const { invoice, paymentHash } = credential.challenge.request.methodDetails
      const refuse = (reason) => new Errors.VerificationFailedError({ reason })
      if (!/^[0-9a-f]{64}$/.test(preimage)) throw refuse('the preimage is not 64 lowercase hex digits')
      const hash = sha256(Buffer.from(preimage, 'hex')).toString('hex')
      const made = merchant.invoices.get(hash)
      const right = made?.text === invoice && (paymentHash ?? hash) === hash
      if (!right) throw refuse('the preimage is not of this invoice')
      if (made.state !== 'SETTLED') throw refuse('the invoice is not paid')
      if (used.has(hash)) throw refuse('Preimage already consumed')
      used.add(hash)
      return { method: 'lightning', reference: hash, status: 'success', timestamp: new Date().toISOString() }
    },
  })
  return Mppx.create({ realm, secretKey: 'lightning-secret-key-lightning-secret', methods: [server] })
}
