// A Nostr relay (NIP-01) for one wallet and its clients: events are checked, and kept when they are to be.
import { matchFilters, verifyEvent } from 'nostr-tools'
import { WebSocketServer } from 'ws'

const ephemeral = (kind) => kind >= 20_000 && kind < 30_000
const replaceable = (kind) => kind === 0 || kind === 3 || (kind >= 10_000 && kind < 20_000)

export function startRelay(port) {
  const relay = { away: false, deaf: false, events: 0 }
  const kept = []
  const sockets = new Map() // of each, its subscriptions by name
  const server = new WebSocketServer({ host: '127.0.0.1', port })

  const publish = (event) => {
    relay.events += 1
    if (!ephemeral(event.kind)) {
      const older = kept.findIndex((e) => replaceable(e.kind) && e.kind === event.kind && e.pubkey === event.pubkey)
      if (older >= 0) kept.splice(older, 1)
      kept.push(event)
    }
    // Deaf: the wallet's answers get lost.
    if (relay.deaf && event.kind === 23195) return
    for (const [socket, subscriptions] of sockets) {
      for (const [name, filters] of subscriptions) {
        if (matchFilters(filters, event)) socket.send(JSON.stringify(['EVENT', name, event]))
      }
    }
  }

  server.on('connection', (socket) => {
    if (relay.away) return socket.terminate()
    const subscriptions = new Map()
    const say = (...message) => socket.send(JSON.stringify(message))
    sockets.set(socket, subscriptions)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    return socket.on('message', (data) => {
      let message
      try {
        message = JSON.parse(data.toString())
      } catch {
        return say('NOTICE', 'not JSON')
      }
      const [verb, first, ...rest] = message
      if (verb === 'EVENT') {
        if (!verifyEvent(first)) return say('OK', first?.id ?? '', false, 'invalid: signature')
        say('OK', first.id, true, '')
        return publish(first)
      }
      if (verb === 'REQ') {
        subscriptions.set(first, rest)
        for (const event of kept) if (matchFilters(rest, event)) say('EVENT', first, event)
        return say('EOSE', first)
      }
      if (verb === 'CLOSE') return subscriptions.delete(first)
      return say('NOTICE', `unknown: ${verb}`)
    })
  })
  return new Promise((resolve) => server.on('listening', () => resolve(relay)))
}
