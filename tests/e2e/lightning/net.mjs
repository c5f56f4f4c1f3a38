// Three Lightning nodes (payer - router - merchant) of LDK on a simulated chain, in this process.
// HTLCs, onions, routing fees and preimages are real; there is no proof of work and no sockets.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import * as ldk from 'lightningdevkit'

const CHANNEL_SATS = 16_000_000n
export const FEE_BASE_MSAT = 4_000
export const FEE_PPM = 4_000

const none = { u16: ldk.Option_u16Z, u32: ldk.Option_u32Z, u64: ldk.Option_u64Z, bytes: ldk.Option_ThirtyTwoBytesZ }
const some = (option, value) =>
  value === undefined ? none[option].constructor_none() : none[option].constructor_some(value)
const value = (option) => option?.some
const sha256 = (bytes) => createHash('sha256').update(bytes).digest()
export const hex = (bytes) => Buffer.from(bytes).toString('hex')
const bytes = (text) => Uint8Array.from(Buffer.from(text, 'hex'))

/** The value of an LDK result, or its error thrown. */
function must(result, what) {
  if (result.is_ok()) return result.res
  const error = result.err
  throw new Error(`${what}: ${error?.err ?? error?.constructor?.name ?? error}`)
}

/** One node: a channel manager with what it needs, and what has happened to its payments. */
class Node {
  constructor(net, name, seed) {
    this.net = net
    this.name = name
    this.payments = new Map() // by hash: {hash, state, preimage, feeMsat, reason, amountMsat}
    this.invoices = new Map() // by hash: {hash, text, amountMsat, description, expirySecs, state, receivedMsat}
    this.held = new Map()
    this.holding = false
    this.watchers = new Set()

    const logger = ldk.Logger.new_impl({
      log(record) {
        if (process.env.LIGHTNING_LOG === 'ldk') console.error(name, record.get_module_path(), record.get_args())
      },
    })
    const fees = ldk.FeeEstimator.new_impl({ get_est_sat_per_1000_weight: () => 253 })
    const broadcaster = ldk.BroadcasterInterface.new_impl({ broadcast_transactions() {} })
    const completed = ldk.ChannelMonitorUpdateStatus.LDKChannelMonitorUpdateStatus_Completed
    const persister = ldk.Persist.new_impl({
      persist_new_channel: () => completed,
      update_persisted_channel: () => completed,
      archive_persisted_channel() {},
    })
    const network = ldk.Network.LDKNetwork_Regtest
    this.monitor = ldk.ChainMonitor.constructor_new(
      ldk.Option_FilterZ.constructor_none(), broadcaster, logger, fees, persister)
    const keys = ldk.KeysManager.constructor_new(new Uint8Array(32).fill(seed), 42n, 42)
    const graph = ldk.NetworkGraph.constructor_new(network, logger)
    const scorer = ldk.MultiThreadedLockableScore.constructor_new(
      ldk.ProbabilisticScorer.constructor_new(
        ldk.ProbabilisticScoringDecayParameters.constructor_default(), graph, logger).as_Score())
    const entropy = keys.as_EntropySource()
    const router = ldk.DefaultRouter.constructor_new(
      graph, logger, entropy, scorer.as_LockableScore(), ldk.ProbabilisticScoringFeeParameters.constructor_default())
    const messages = ldk.DefaultMessageRouter.constructor_new(graph, entropy)
    this.manager = ldk.ChannelManager.constructor_new(
      fees, this.monitor.as_Watch(), broadcaster, router.as_Router(), messages.as_MessageRouter(), logger, entropy,
      keys.as_NodeSigner(), keys.as_SignerProvider(), configuration(),
      ldk.ChainParameters.constructor_new(network, ldk.BestBlock.constructor_from_network(network)), net.now())
    const ignorer = ldk.IgnoringMessageHandler.constructor_new()
    this.peers = ldk.PeerManager.constructor_new(
      this.manager.as_ChannelMessageHandler(), ignorer.as_RoutingMessageHandler(), ignorer.as_OnionMessageHandler(),
      ignorer.as_CustomMessageHandler(), net.now(), entropy.get_secure_random_bytes(), logger, keys.as_NodeSigner())
    this.events = []
    this.collector = ldk.EventHandler.new_impl({
      handle_event: (event) => {
        this.events.push(event)
        return ldk.Result_NoneReplayEventZ.constructor_ok()
      },
    })
    this.id = this.manager.get_our_node_id()
    // What JavaScript must not collect while the node lives.
    this.alive = [keys, graph, scorer, router, messages, ignorer, logger, fees, broadcaster, persister]
  }

  /** What is ours in the channels: spendable, and the reserve that is not. HTLCs under way are nobody's. */
  balanceMsat() {
    const reserved = this.manager.list_channels()
      .reduce((sum, channel) => sum + (value(channel.get_unspendable_punishment_reserve()) ?? 0n) * 1000n, 0n)
    return this.spendableMsat() + reserved
  }

  spendableMsat() {
    return this.manager.list_channels().reduce((sum, c) => sum + c.get_outbound_capacity_msat(), 0n)
  }

  /** Makes an invoice; no amount: the payer chooses. descriptionHash (32 bytes) takes the description's place. */
  invoice({ amountMsat, description = '', descriptionHash, expirySecs = 3600 } = {}) {
    this.net.tick()
    const said = descriptionHash
      ? ldk.Bolt11InvoiceDescription.constructor_hash(ldk.Sha256.constructor_from_bytes(Uint8Array.from(descriptionHash)))
      : ldk.Bolt11InvoiceDescription.constructor_direct(must(ldk.Description.constructor_new(description), 'description'))
    const made = must(
      this.manager.create_bolt11_invoice(
        some('u64', amountMsat === undefined ? undefined : BigInt(amountMsat)), said, some('u32', expirySecs),
        some('u16'), some('bytes')),
      'invoice')
    const invoice = {
      hash: hex(made.payment_hash()), text: made.to_str(), amountMsat, description, expirySecs,
      created: Number(made.duration_since_epoch()), state: 'OPEN', receivedMsat: 0n,
    }
    this.invoices.set(invoice.hash, invoice)
    return invoice
  }

  /**
   * Pays an invoice; returns its record, which changes as the payment goes on. One attempt. Throws with
   * `code` exists when the hash was paid before or is being paid, invalid when it cannot be paid so.
   */
  pay(text, { feeLimitMsat = 0n, amountMsat } = {}) {
    const refuse = (code, message) => Object.assign(new Error(message), { code })
    const invoice = read(text)
    if (!invoice) throw refuse('invalid', 'invoice not readable')
    const { hash } = invoice
    const earlier = this.payments.get(hash)
    if (earlier?.state === 'SUCCEEDED') throw refuse('exists', 'invoice is already paid')
    if (earlier?.state === 'IN_FLIGHT') throw refuse('exists', 'payment is in transition')
    if (invoice.network !== 'regtest') throw refuse('invalid', `invoice not for current active network 'regtest'`)
    if (invoice.expires <= Date.now() / 1000) {
      throw refuse('invalid', `invoice expired. Valid until ${new Date(invoice.expires * 1000).toISOString()}`)
    }
    if (invoice.amountMsat === undefined && !amountMsat) {
      throw refuse('invalid', 'amount must be specified when paying a zero amount invoice')
    }
    if (invoice.amountMsat !== undefined && amountMsat) {
      throw refuse('invalid', 'amount must not be specified when paying a non-zero amount invoice')
    }
    const amount = invoice.amountMsat ?? BigInt(amountMsat)
    const params = must(
      invoice.amountMsat === undefined
        ? ldk.UtilMethods.constructor_payment_parameters_from_variable_amount_invoice(invoice.parsed, amount)
        : ldk.UtilMethods.constructor_payment_parameters_from_invoice(invoice.parsed),
      'parameters')
    const route = params.get_c()
    route.set_max_total_routing_fee_msat(some('u64', BigInt(feeLimitMsat)))
    const payment = {
      hash, text, amountMsat: amount, state: 'IN_FLIGHT', preimage: '', feeMsat: 0n, reason: 'NONE', created: Date.now(),
    }
    this.payments.set(hash, payment)
    // A failed payment may be tried again: every attempt has an id of its own.
    const id = sha256(`${hash}:${(this.net.attempts += 1)}`)
    payment.id = hex(id)
    const sent = this.manager.send_payment(
      params.get_a(), params.get_b(), Uint8Array.from(id), route, ldk.Retry.constructor_attempts(0))
    if (!sent.is_ok()) this.finish(payment, 'FAILED', amount > this.spendableMsat() ? 'INSUFFICIENT_BALANCE' : 'NO_ROUTE')
    this.net.pump()
    return payment
  }

  /** The payment once it has ended, or as it is after `ms`. */
  async ended(payment, ms = 60_000) {
    const end = Date.now() + ms
    while (payment.state === 'IN_FLIGHT' && Date.now() < end) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, Math.min(250, end - Date.now()))
        this.watchers.add(() => (clearTimeout(timer), resolve()))
      })
    }
    return payment
  }

  finish(payment, state, reason = 'NONE') {
    Object.assign(payment, { state, reason, settled: Date.now() })
    for (const watcher of this.watchers) watcher()
    this.watchers.clear()
  }

  /** Claims (or fails) what is held; returns how many. */
  settleHeld(claim) {
    const waiting = [...this.held]
    this.held.clear()
    for (const [hash, preimage] of waiting) this.settle(hash, claim ? preimage : undefined)
    this.net.pump()
    return waiting.length
  }

  settle(hash, preimage) {
    if (preimage) return this.manager.claim_funds(preimage)
    this.manager.fail_htlc_backwards(bytes(hash))
    this.invoices.get(hash).state = 'OPEN'
  }

  handle(event) {
    if (event instanceof ldk.Event_PaymentClaimable) {
      const hash = hex(event.payment_hash)
      const preimage = value(event.purpose.payment_preimage)
      this.invoices.get(hash).state = 'ACCEPTED'
      if (this.holding) this.held.set(hash, preimage)
      else this.settle(hash, preimage)
    } else if (event instanceof ldk.Event_PaymentClaimed) {
      Object.assign(this.invoices.get(hex(event.payment_hash)), {
        state: 'SETTLED', receivedMsat: event.amount_msat, settled: Date.now(),
      })
    } else if (event instanceof ldk.Event_PaymentSent) {
      const payment = this.payments.get(hex(event.payment_hash))
      payment.preimage = hex(event.payment_preimage)
      payment.feeMsat = value(event.fee_paid_msat) ?? 0n
      this.finish(payment, 'SUCCEEDED')
    } else if (event instanceof ldk.Event_PaymentFailed) {
      const payment = [...this.payments.values()].find((p) => p.id === hex(event.payment_id))
      const why = ldk.PaymentFailureReason
      const reasons = {
        [why.LDKPaymentFailureReason_RouteNotFound]: 'NO_ROUTE',
        [why.LDKPaymentFailureReason_RecipientRejected]: 'INCORRECT_PAYMENT_DETAILS',
        [why.LDKPaymentFailureReason_PaymentExpired]: 'TIMEOUT',
      }
      if (payment) this.finish(payment, 'FAILED', reasons[value(event.reason)] ?? 'ERROR')
    } else if (event instanceof ldk.Event_PendingHTLCsForwardable) {
      this.manager.process_pending_htlc_forwards()
    } else if (event instanceof ldk.Event_FundingGenerationReady) {
      const funding = fundingTransaction(event.output_script, event.channel_value_satoshis)
      this.net.toConfirm.push(funding)
      must(this.manager.funding_transaction_generated(
        event.temporary_channel_id, event.counterparty_node_id, funding), 'funding')
    }
  }
}

function configuration() {
  const config = ldk.UserConfig.constructor_default()
  config.set_accept_forwards_to_priv_channels(true)
  const handshake = ldk.ChannelHandshakeConfig.constructor_default()
  handshake.set_max_inbound_htlc_value_in_flight_percent_of_channel(100)
  handshake.set_minimum_depth(1)
  config.set_channel_handshake_config(handshake)
  const channel = ldk.ChannelConfig.constructor_default()
  channel.set_forwarding_fee_base_msat(FEE_BASE_MSAT)
  channel.set_forwarding_fee_proportional_millionths(FEE_PPM)
  config.set_channel_config(channel)
  return config
}

/** A transaction that pays `amount` to `script` out of nothing; nobody validates it here. */
let inputs = 0
function fundingTransaction(script, amount) {
  const output = Buffer.alloc(9)
  output.writeBigUInt64LE(amount)
  output[8] = script.length
  const previous = Buffer.alloc(36)
  previous.writeUInt32LE((inputs += 1))
  return Uint8Array.from(Buffer.concat([
    Buffer.from('02000000' + '0001' + '01', 'hex'), previous, Buffer.from('00' + 'ffffffff' + '01', 'hex'), output,
    Buffer.from(script), Buffer.from('0101ff' + '00000000', 'hex'),
  ]))
}

const currencies = () => ({
  [ldk.Currency.LDKCurrency_Bitcoin]: 'mainnet', [ldk.Currency.LDKCurrency_BitcoinTestnet]: 'testnet',
  [ldk.Currency.LDKCurrency_Regtest]: 'regtest', [ldk.Currency.LDKCurrency_Signet]: 'signet',
})

/** What an invoice says, read by LDK; undefined when LDK refuses it. */
export function read(text) {
  const result = ldk.Bolt11Invoice.constructor_from_str(text)
  if (!result.is_ok()) return undefined
  const parsed = result.res
  const created = Number(parsed.duration_since_epoch())
  return {
    parsed, hash: hex(parsed.payment_hash()), amountMsat: value(parsed.amount_milli_satoshis()),
    network: currencies()[parsed.currency()], created, expires: created + Number(parsed.expiry_time()),
    payee: hex(parsed.get_payee_pub_key()),
  }
}

class Net {
  constructor() {
    this.height = 0
    this.time = 0
    this.blocks = 0
    this.attempts = 0
    this.queue = []
    this.toConfirm = []
    this.payer = new Node(this, 'payer', 1)
    this.router = new Node(this, 'router', 2)
    this.merchant = new Node(this, 'merchant', 3)
    this.nodes = [this.payer, this.router, this.merchant]
    this.connect(this.payer, this.router)
    this.connect(this.router, this.merchant)
    this.mine()
    // Half of every channel on each side, so that refunds can flow back.
    this.open(this.payer, this.router)
    this.open(this.router, this.merchant)
  }

  now() {
    return Math.floor(Date.now() / 1000)
  }

  header() {
    const header = Buffer.alloc(80)
    header.writeUInt32LE(1)
    header.writeUInt32LE((this.blocks += 1), 4)
    header.writeUInt32LE((this.time = Math.max(this.time, this.now())), 68)
    return Uint8Array.from(header)
  }

  /** The clock of a node is its newest block: gives them one of now, at the height they have. */
  tick() {
    if (this.now() <= this.time) return
    const header = this.header()
    for (const node of this.nodes) node.manager.as_Confirm().best_block_updated(header, this.height)
  }

  mine(count = 1) {
    for (let block = 0; block < count; block++) {
      const header = this.header()
      this.height += 1
      const confirmed = this.toConfirm.splice(0)
        .map((tx, index) => ldk.TwoTuple_usizeTransactionZ.constructor_new(index + 1, tx))
      for (const { manager, monitor } of this.nodes) {
        for (const chain of [manager.as_Confirm(), monitor.as_Confirm()]) {
          if (confirmed.length) chain.transactions_confirmed(header, confirmed, this.height)
          chain.best_block_updated(header, this.height)
        }
      }
    }
    this.pump()
  }

  connect(a, b) {
    let ends
    const socket = (number, other) => {
      const end = ldk.SocketDescriptor.new_impl({
        // Delivered later: a node must not be called while it is calling.
        send_data: (data) => (this.queue.push(() => other().read(data)), data.length),
        disconnect_socket() {
          console.error(`${a.name}-${b.name}: disconnected`)
        },
        eq: (that) => that.hash() === BigInt(number),
        hash: () => BigInt(number),
      })
      return end
    }
    const number = 10 + this.nodes.indexOf(a) * 2
    const atA = socket(number, () => ends.b)
    const atB = socket(number + 1, () => ends.a)
    ends = {
      a: { read: (data) => must(a.peers.read_event(atA, data), 'read') },
      b: { read: (data) => must(b.peers.read_event(atB, data), 'read') },
    }
    const nowhere = () => ldk.Option_SocketAddressZ.constructor_none()
    must(b.peers.new_inbound_connection(atB, nowhere()), 'connect')
    const hello = must(a.peers.new_outbound_connection(b.id, atA, nowhere()), 'connect')
    this.queue.push(() => ends.b.read(hello))
    this.pump()
  }

  open(a, b) {
    must(a.manager.create_channel(b.id, CHANNEL_SATS, CHANNEL_SATS * 500n, 1n, null, null), 'channel')
    this.pump()
    this.mine(6)
    this.pump()
  }

  /** Lets everything happen that can happen now. */
  pump() {
    for (let idle = 0; idle < 2; ) {
      let busy = false
      for (const node of this.nodes) {
        node.peers.process_events()
        node.manager.as_EventsProvider().process_pending_events(node.collector)
        node.monitor.as_EventsProvider().process_pending_events(node.collector)
        for (const event of node.events.splice(0)) {
          busy = true
          node.handle(event)
        }
      }
      for (const deliver of this.queue.splice(0)) {
        busy = true
        deliver()
      }
      idle = busy ? 0 : idle + 1
    }
  }
}

/** Starts the three nodes. */
export async function start() {
  const wasm = createRequire(import.meta.url).resolve('lightningdevkit/liblightningjs.wasm')
  await ldk.initializeWasmFromBinary(readFileSync(wasm))
  const net = new Net()
  if (net.nodes.some((node) => node.manager.list_usable_channels().length !== (node === net.router ? 2 : 1))) {
    throw new Error('the channels did not open')
  }
  return net
}
