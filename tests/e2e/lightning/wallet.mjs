// The payer's node as its wallets' interfaces see it: counted, and with the faults that tests ask for.
import { randomBytes } from 'node:crypto'

export const kinds = ['lnd', 'cln', 'phoenixd', 'lnbits', 'nwc']

export function makeWallet(node) {
  const counts = () => Object.fromEntries(kinds.map((kind) => [kind, { requests: 0, pays: 0, lookups: 0, invoices: 0 }]))
  const wallet = {
    node,
    secret: randomBytes(32).toString('hex'),
    count: counts(),
    lose: 0, // so many answers to payments get lost: the payment goes on, the connection ends
    away: false, // no interface answers
    invoices: 'right', // or what is wrong with those without an amount: priced, short, garbled
    saw(kind, what) {
      wallet.count[kind][what] += 1
    },
    /** Whether the answer to this payment is to get lost. */
    loses() {
      return wallet.lose > 0 && wallet.lose-- > 0
    },
    /** Makes an invoice, as asked or with the fault that is set. */
    invoice(options) {
      if (options.amountMsat !== undefined || wallet.invoices === 'right') return node.invoice(options)
      if (wallet.invoices === 'priced') return node.invoice({ ...options, amountMsat: 1000n })
      if (wallet.invoices === 'short') return node.invoice({ ...options, expirySecs: 60 })
      const invoice = node.invoice(options)
      return { ...invoice, text: invoice.text.slice(0, -6) + 'qqqqqq' }
    },
    clear() {
      wallet.count = counts()
      wallet.lose = 0
      wallet.away = false
      wallet.invoices = 'right'
    },
  }
  return wallet
}

/** The fee limit in msat that a wallet without one of its own takes: 1 %, at least 10 sat. */
export const reserve = (amountMsat) => (amountMsat / 100n > 10_000n ? amountMsat / 100n : 10_000n)

export const rounded = (msat) => Number((msat + 999n) / 1000n)
