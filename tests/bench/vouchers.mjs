// Signs vouchers of one channel: a line with the cumulative amount in, the signature out.
//   node vouchers.mjs CHANNEL_ID CHAIN_ID ESCROW
import { createRequire } from 'node:module'
import readline from 'node:readline'

const devnet = createRequire(new URL('../e2e/devnet/server.mjs', import.meta.url))
const { privateKeyToAccount } = devnet('viem/accounts')
const [channelId, chainId, verifyingContract] = process.argv.slice(2)
const account = privateKeyToAccount(process.env.MPPX_PRIVATE_KEY)

for await (const line of readline.createInterface({ input: process.stdin })) {
  const signature = await account.signTypedData({
    domain: { name: 'TIP20 Channel Reserve', version: '1', chainId: Number(chainId), verifyingContract },
    types: { Voucher: [{ name: 'channelId', type: 'bytes32' }, { name: 'cumulativeAmount', type: 'uint96' }] },
    primaryType: 'Voucher',
    message: { channelId, cumulativeAmount: BigInt(line) },
  })
  console.log(signature)
}
