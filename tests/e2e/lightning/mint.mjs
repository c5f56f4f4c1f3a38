// Writes BOLT 11 invoices that no node here would: of other networks, expired, malformed in one respect.
import { createHash, randomBytes } from 'node:crypto'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bech32 } from '@scure/base'

const prefixes = { mainnet: 'lnbc', testnet: 'lntb', signet: 'lntbs', regtest: 'lnbcrt' }
const key = createHash('sha256').update('a payee that does not exist').digest()
const sha256 = (data) => createHash('sha256').update(data).digest()

/** `value` in `count` groups of five bits. */
const groups = (value, count) =>
  Array.from({ length: count }, (_, index) => Number((BigInt(value) >> BigInt(5 * (count - 1 - index))) & 31n))

function field(type, words) {
  return [type, words.length >> 5, words.length & 31, ...words]
}

/** Eight bits from five, the last byte filled up with zeros. */
function packed(words) {
  const bits = words.map((word) => word.toString(2).padStart(5, '0')).join('')
  return Buffer.from((bits.match(/.{1,8}/g) ?? []).map((byte) => parseInt(byte.padEnd(8, '0'), 2)))
}

/**
 * An invoice that is signed by nobody's key. `features`: bits; `hashes`: how many p fields. No description
 * hash: the description. Returns {text, hash}.
 */
export function mint({
  network = 'regtest', amountMsat, description = '', descriptionHash, created = Math.floor(Date.now() / 1000),
  expirySecs = 3600, features = [8, 14], hashes = 1,
}) {
  const hrp = prefixes[network] + (amountMsat === undefined ? '' : `${amountMsat * 10n}p`)
  const hash = randomBytes(32)
  const bits = features.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n)
  const words = [
    ...groups(created, 7),
    ...field(1, bech32.toWords(hash)),
    ...Array.from({ length: hashes - 1 }, () => field(1, bech32.toWords(randomBytes(32)))).flat(),
    ...field(16, bech32.toWords(randomBytes(32))),
    ...(descriptionHash ? field(23, bech32.toWords(descriptionHash)) : field(13, bech32.toWords(Buffer.from(description)))),
    ...field(6, groups(expirySecs, expirySecs < 1024 ? 2 : expirySecs < 32768 ? 3 : 5)),
    ...field(5, groups(bits, Math.ceil(bits.toString(2).length / 5))),
  ]
  const digest = sha256(Buffer.concat([Buffer.from(hrp), packed(words)]))
  const signed = secp256k1.sign(digest, key, { prehash: false, format: 'recovered' })
  const signature = Buffer.concat([signed.slice(1), signed.slice(0, 1)]) // r, s, recovery id
  return { text: bech32.encode(hrp, [...words, ...bech32.toWords(signature)], 10_000), hash: hash.toString('hex') }
}
