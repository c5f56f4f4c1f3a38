// The control API of the tests: GET looks, POST does. JSON out, parameters in the query.
import { json } from './web.mjs'

export function control({ net, wallet, relay, shop, info }) {
  const { payer, router, merchant } = net
  const on = (q, name) => q.get(name) !== '0' && q.get(name) !== 'off'
  const payments = () =>
    [...payer.payments.values()].map(({ hash, state, amountMsat, feeMsat }) => ({ hash, state, amountMsat, feeMsat }))
  const routes = {
    'GET /info': () => info,
    'GET /balances': () => ({
      payer: payer.balanceMsat(), router: router.balanceMsat(), merchant: merchant.balanceMsat(),
      spendable: payer.spendableMsat(),
    }),
    'GET /wallet': () => ({ ...wallet.count, relayed: relay.events }),
    'GET /payments': payments,
    'GET /preimages': () => [...payer.payments.values()].map(({ preimage }) => preimage).filter(Boolean),
    'GET /log': () => shop.log,
    'GET /stats': () => shop.stats(),
    'GET /sessions': () =>
      [...shop.sessions.sessions.values()].filter((s) => s.path).map(({ watchers, ...session }) => session),
    'GET /held': () => ({ held: merchant.held.size, refundsHeld: payer.held.size }),
    // Keeps what arrives (at the merchant, ?node=payer: refunds) until it is released or failed; ?on=0 ends that.
    'POST /hold': (q) => {
      const node = q.get('node') === 'payer' ? payer : merchant
      return { holding: (node.holding = on(q, 'on')) }
    },
    'POST /release': () => {
      merchant.holding = payer.holding = false
      return { released: merchant.settleHeld(true) + payer.settleHeld(true) }
    },
    'POST /fail': () => {
      merchant.holding = payer.holding = false
      return { failed: merchant.settleHeld(false) + payer.settleHeld(false) }
    },
    'POST /mine': (q) => {
      net.mine(Number(q.get('count') ?? 1))
      return { height: net.height }
    },
    // The wallet: ?lose=N answers to payments get lost; ?away=1 none of its interfaces answers; ?invoices=priced,
    // short or garbled: what is wrong with invoices without an amount.
    'POST /wallet': (q) => {
      if (q.has('lose')) wallet.lose = Number(q.get('lose'))
      if (q.has('away')) wallet.away = on(q, 'away')
      if (q.has('invoices')) wallet.invoices = q.get('invoices')
      return { lose: wallet.lose, away: wallet.away, invoices: wallet.invoices }
    },
    // The relay: ?deaf=1 the wallet's answers get lost; ?away=1 it ends every new connection.
    'POST /relay': (q) => {
      if (q.has('deaf')) relay.deaf = on(q, 'deaf')
      if (q.has('away')) relay.away = on(q, 'away')
      return { deaf: relay.deaf, away: relay.away }
    },
    // The refunds of sessions: honest, failed, claimed (said and not paid), denied (paid and not said).
    'POST /refund': (q) => ({ refund: (shop.sessions.state.refund = q.get('mode') ?? 'honest') }),
    'POST /close': async () => ({ closed: await shop.sessions.closeAll() }),
    'POST /forget': () => {
      shop.l402.forget()
      return { forgotten: true }
    },
    // Back to how it started, balances excepted.
    'POST /clear': () => {
      routes['POST /release']()
      wallet.clear()
      Object.assign(relay, { deaf: false, away: false, events: 0 })
      shop.sessions.state.refund = 'honest'
      shop.log.length = 0
      for (const counted of [...merchant.invoices.values(), ...shop.sessions.sessions.values()]) counted.path = undefined
      return { cleared: true }
    },
  }
  return async (request, response, url) => {
    const route = routes[`${request.method} ${url.pathname}`]
    if (!route) return json(response, 404, { error: 'not found', routes: Object.keys(routes) })
    const text = JSON.stringify(await route(url.searchParams), number)
    return json(response, 200, text, { 'content-type': 'application/json' })
  }
}

function number(_, value) {
  return typeof value === 'bigint' ? Number(value) : value
}
