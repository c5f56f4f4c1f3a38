// Starts the nodes, the wallets' interfaces, the relay, the shop and the control API. See README.md.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCln } from './cln.mjs'
import { control } from './control.mjs'
import { startLnbits } from './lnbits.mjs'
import { startLnd } from './lnd.mjs'
import { start } from './net.mjs'
import { startNwc } from './nwc.mjs'
import { startPhoenixd } from './phoenixd.mjs'
import { startRelay } from './relay.mjs'
import { makeShop } from './server.mjs'
import { makeWallet } from './wallet.mjs'
import { listen, makeCertificate } from './web.mjs'

const base = Number(process.argv[2] ?? 18800)
const folder = mkdtempSync(join(tmpdir(), 'paycurl-lightning-'))
const stop = () => {
  rmSync(folder, { recursive: true, force: true })
  process.exit(0)
}
process.on('SIGTERM', stop)
process.on('SIGINT', stop)

const tls = makeCertificate(folder)
const net = await start()
const wallet = makeWallet(net.payer)
const shop = makeShop(net.merchant)

const ports = ['http', 'https', 'control', 'lnd', 'cln', 'pay', 'phoenixd', 'lnbits', 'relay']
const port = Object.fromEntries(ports.map((name, index) => [name, base + index]))
const relay = await startRelay(port.relay)
await Promise.all([
  listen(port.http, shop.handle),
  listen(port.https, shop.handle, tls),
  startLnd(wallet, port.lnd, tls),
  startCln(wallet, port.cln, tls),
  startCln(wallet, port.pay, tls, { xpay: false }),
  startPhoenixd(wallet, port.phoenixd),
  startLnbits(wallet, port.lnbits),
])
const nwc = await startNwc(wallet, `ws://127.0.0.1:${port.relay}`)
const blind = await startNwc(wallet, `ws://127.0.0.1:${port.relay}`, { lookups: false })

const der = tls.cert.replace(/-----[^-]+-----|\s/g, '')
const base64url = (text) => Buffer.from(text, 'base64').toString('base64url')
const macaroon = Buffer.from(wallet.secret, 'hex').toString('base64url')
// Core Lightning's own form: key and certificate of the client, then the authority's.
const certs = encodeURIComponent(Buffer.from(tls.key + tls.cert + tls.cert).toString('base64'))
const info = {
  http: `http://127.0.0.1:${port.http}`,
  https: `https://localhost:${port.https}`,
  control: `http://127.0.0.1:${port.control}`,
  certificate: tls.path,
  blind, // a Nostr wallet that finds no payments again
  wallets: {
    lnd: `lndconnect://127.0.0.1:${port.lnd}?cert=${base64url(der)}&macaroon=${macaroon}`,
    cln: `clnrest+https://127.0.0.1:${port.cln}?rune=${wallet.secret}&certs=${certs}`,
    'cln-pay': `clnrest+https://127.0.0.1:${port.pay}?rune=${wallet.secret}&certs=${certs}`,
    phoenixd: `phoenixd://:${wallet.secret}@127.0.0.1:${port.phoenixd}`,
    lnbits: `lnbits+http://${wallet.secret}@127.0.0.1:${port.lnbits}`,
    nwc,
  },
}
await listen(port.control, control({ net, wallet, relay, shop, info }))

for (const name of ['http', 'https', 'control', 'certificate']) console.log(`${name} ${info[name]}`)
for (const [name, uri] of Object.entries(info.wallets)) console.log(`wallet ${name} ${uri}`)
console.log('READY')
