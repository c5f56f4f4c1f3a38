// Signs credentials for the bench: for each line on stdin, asks URL for a challenge and prints the value of
// the Authorization field that pays it. The npm library does it, so that curl can send what paycurl would.
//   node credentials.mjs URL RPC
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [url, rpc] = process.argv.slice(2)
const require = createRequire(new URL('../e2e/devnet/package.json', import.meta.url))
const load = (name) => import(pathToFileURL(require.resolve(name)))
const { Mppx, tempo } = await load('mppx/client')
const { createClient, http } = await load('viem')
const { privateKeyToAccount } = await load('viem/accounts')
const { tempoModerato } = await load('viem/tempo/chains')

const account = privateKeyToAccount('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80')
const client = createClient({ account, chain: tempoModerato, transport: http(rpc) })
const payer = Mppx.create({ polyfill: false, methods: [tempo.charge({ account, getClient: () => client })] })
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(await payer.createCredential(await fetch(url)))
}
