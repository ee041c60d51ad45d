// Plays scenarios.json on Node and writes expected.json: node record.mjs FOLDER [NAME...]
// FOLDER has the certificates as KIND-cert.pem and KIND-key.pem, and ca.pem. Each is played six
// times; one that is not the same each time is not recorded. With names, prints and writes nothing.
import fs from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'

const here = new URL('.', import.meta.url).pathname
const [folder, ...names] = process.argv.slice(2)
const read = (name) => fs.readFileSync(`${folder}/${name}.pem`)
const own = (kind) => ({ cert: read(`${kind}-cert`), key: read(`${kind}-key`) })

function act(sock, steps) {
  for (const [what, value] of steps ?? []) {
    if (what === 'write') sock.write(Buffer.from(value, 'latin1'))
    else if (what === 'big') sock.write(Buffer.alloc(value, 120))
    else if (what === 'end') value === undefined ? sock.end() : sock.end(value)
    else if (what === 'destroy') sock.destroy()
  }
}

function watch(sock, side, trace, steps, secure, plain) {
  let size = 0
  const said = (event, ...more) => {
    trace.push([event, ...more].join(' ').trimEnd())
    act(sock, steps[`${side} ${event}`])
  }
  for (const event of ['connect', 'ready', 'secureConnect', 'end']) {
    sock.on(event, () => said(event, ...(event === 'secureConnect' ? secure(sock) : [])))
  }
  sock.on('data', (chunk) => { if (!size) act(sock, steps[`${side} data`]); size += chunk.length })
  sock.on('error', (error) => said('error', error.code))
  sock.on('close', (hadError) => said('close', hadError, plain ? '' : size))
}

const known = (sock) =>
  [sock.getProtocol(), sock.authorized, sock.authorizationError, sock.alpnProtocol, sock.servername]

function play({ server = {}, client = {}, own: shown = 'server', show, plain, do: steps }) {
  return new Promise((done) => {
    const trace = { client: [], server: [] }
    const left = new Set(['client'])
    let there
    const over = (one) => {
      left.delete(one)
      if (!left.size) setTimeout(() => { there.close(); done(trace) }, 20)
    }
    const { sni, alpn, ...options } = server
    if (sni) {
      const context = tls.createSecureContext(own(sni === 'error' ? 'server' : 'other_host'))
      options.SNICallback = (name, answer) =>
        sni === 'error' ? answer(new Error('no')) : answer(null, context)
    }
    if (alpn !== undefined) options.ALPNCallback = () => alpn ?? undefined
    const accepted = (sock, event, ...more) => {
      left.add(sock)
      sock.on('close', () => over(sock))
      watch(sock, 'server', trace.server, steps, known, plain)
      trace.server.push([event, ...more].join(' '))
      act(sock, steps[`server ${event}`])
    }
    if (plain === 'server') {
      there = net.createServer((sock) => accepted(sock, 'connection'))
    } else {
      there = tls.createServer({ ...own(shown), ca: read('ca'), ...options },
        (sock) => accepted(sock, 'secureConnection', ...known(sock)))
      there.on('tlsClientError', (error) => trace.server.push(`tlsClientError ${error.code}`))
    }
    there.listen(0, '127.0.0.1', () => {
      const { check, ...more } = client
      if (check !== undefined) {
        more.checkServerIdentity = () => check ? Object.assign(new Error(), { code: check }) : undefined
      }
      const where = { port: there.address().port, host: '127.0.0.1' }
      const sock = plain === 'client' ? net.connect(where) : tls.connect({
        ...where, servername: 'localhost', ca: read('ca'), ...(show ? own(show) : {}), ...more })
      watch(sock, 'client', trace.client, steps, known)
      sock.on('close', () => over('client'))
      act(sock, steps.start)
    })
  })
}

const scenarios = JSON.parse(fs.readFileSync(`${here}/scenarios.json`))
const expected = {}
for (const [name, scenario] of Object.entries(scenarios)) {
  if (names.length && !names.includes(name)) continue
  const traces = []
  for (let i = 0; i < 6; i++) traces.push(JSON.stringify(await play(scenario)))
  if (new Set(traces).size === 1) expected[name] = JSON.parse(traces[0])
  else console.error('not the same each time:', name, [...new Set(traces)])
}
const text = JSON.stringify(expected, null, 1) + '\n'
if (names.length) console.log(text)
else fs.writeFileSync(`${here}/expected.json`, text)
