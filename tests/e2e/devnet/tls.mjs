// HTTPS, with HTTP/2 and HTTP/1.1, in front of the devnet's server: node tls.mjs PORT TARGET KEY CERTIFICATE
// Prints READY. Answers carry x-version, the HTTP version that the client spoke.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'

const [port, target, key, cert] = process.argv.slice(2)
const hop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'http2-settings'])
const plain = (headers) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(':') && !hop.has(name)))

const forward = (request, response) => {
  const headers = { ...plain(request.headers), host: new URL(target).host }
  const onward = http.request(new URL(request.url, target), { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode, { ...plain(answer.headers), 'x-version': request.httpVersion })
    answer.pipe(response)
  })
  onward.on('error', () => response.destroy())
  request.pipe(onward)
}

http2
  .createSecureServer({ allowHTTP1: true, key: readFileSync(key), cert: readFileSync(cert) }, forward)
  .listen(Number(port), '127.0.0.1', () => console.log('READY'))
