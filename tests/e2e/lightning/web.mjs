// What the HTTP servers here share.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { join } from 'node:path'

/** A key and a certificate for localhost and 127.0.0.1, made in `folder`: {key, cert, path}, PEM. */
export function makeCertificate(folder) {
  const [key, path] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', path,
    '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1',
  ], { stdio: 'ignore' })
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(path, 'utf8'), path }
}

export async function body(request) {
  const parts = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString()
}

export function json(response, status, value, headers = {}) {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const type = typeof value === 'string' ? 'text/plain' : 'application/json'
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text), ...headers }).end(text)
}

/** Listens on a loopback port; `handle(request, response, url)` answers. With `tls` over HTTPS. */
export function listen(port, handle, tls) {
  const answer = async (request, response) => {
    response.on('error', () => {})
    try {
      await handle(request, response, new URL(request.url, `http://${request.headers.host ?? 'localhost'}`))
    } catch (error) {
      console.error(error)
      if (!response.headersSent) json(response, 500, { error: String(error.message ?? error) })
      else response.destroy()
    }
  }
  const server = tls ? https.createServer({ key: tls.key, cert: tls.cert }, answer) : http.createServer(answer)
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)))
}
