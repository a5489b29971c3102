import { describe, expect, it } from 'vitest'
import { makeConsumer } from './consumer.js'

/** A round trip through gateway, worker and HTTP; `load` is how the module system gets a subpath. */
const roundTrip = (load: string) => `
const { createGateway, created, GatewayError, isGatewayError } = ${load}('respond-async')
const { memoryTransport } = ${load}('respond-async/memory')
const { createWorker } = ${load}('respond-async/worker')
const { handle } = ${load}('respond-async/fetch')

const transport = memoryTransport()
const gateway = createGateway({ transport })
const greet = gateway.command({
  publish: 'Greet::Requested',
  outcomes: { 'Greet::Greeted': created(({ data }) => '/greetings/' + data.name) },
})
const worker = createWorker({ transport })
worker.handle('Greet::Requested', async ({ data }) => ({ type: 'Greet::Greeted', data }))
await gateway.start()
await worker.start()

const request = new Request('http://localhost/greetings', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ name: 'you' }),
})
const response = await handle(greet)(request)
console.log(response.status, response.headers.get('location'))
await gateway.close()
await worker.close()
`

/** Says which of the package's checks hold for an error that another entry, or another copy, has thrown. */
const identities = `
const thrown = (call) => { try { call() } catch (error) { return error } }
const own = thrown(() => createWorker({}))
`

describe('module systems', () => {
  it('runs as ES modules, with one error class for all entries', async () => {
    const consumer = makeConsumer()
    consumer.write(
      'main.mjs',
      `const load = (name) => modules[name]
const names = ['respond-async', 'respond-async/memory', 'respond-async/worker', 'respond-async/fetch']
const modules = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await import(name)])))
${roundTrip('load')}${identities}
console.log(own instanceof GatewayError, isGatewayError(own), own.code)`,
    )
    expect(await consumer.node('main.mjs')).toBe('201 /greetings/you\ntrue true ERR_CONFIG\n')
  })

  it('runs as CommonJS, with one error class for all entries', async () => {
    const consumer = makeConsumer()
    consumer.write(
      'main.cjs',
      `async function main() {${roundTrip('require')}${identities}
console.log(own instanceof GatewayError, isGatewayError(own), own.code)
}
main()`,
    )
    expect(await consumer.node('main.cjs')).toBe('201 /greetings/you\ntrue true ERR_CONFIG\n')
  })

  it('tells its errors across the ES module and the CommonJS copy', async () => {
    const consumer = makeConsumer()
    consumer.write(
      'main.mjs',
      `import { createRequire } from 'node:module'
import { GatewayError, isGatewayError } from 'respond-async'
import { createWorker } from 'respond-async/worker'
const common = createRequire(import.meta.url)('respond-async')
${identities}
const foreign = new common.GatewayError('ERR_CONFIG', 'text')
console.log(common.isGatewayError(own), isGatewayError(foreign), foreign instanceof GatewayError, isGatewayError(new Error('ERR_CONFIG')))`,
    )
    expect(await consumer.node('main.mjs')).toBe('true true false false\n')
  })
})

describe('each subpath with only its own peer', () => {
  const free = ['', '/fetch', '/worker', '/client', '/testing', '/memory', '/amqp', '/redis', '/postgres'].map(
    (subpath) => `respond-async${subpath}`,
  )

  it.each([
    { peers: [], specifiers: free },
    { peers: ['express'], specifiers: ['respond-async/express'] },
    { peers: ['fastify'], specifiers: ['respond-async/fastify'] },
  ])('loads $specifiers with $peers', async ({ peers, specifiers }) => {
    const consumer = makeConsumer(peers)
    consumer.write(
      'main.mjs',
      `import { createRequire } from 'node:module'
const require = createRequire(import.meta.url)
for (const specifier of ${JSON.stringify(specifiers)}) {
  const names = Object.keys(await import(specifier)).sort().join()
  console.log(specifier, names !== '' && names === Object.keys(require(specifier)).sort().join())
}
for (const peer of ['express', 'fastify']) {
  try { require.resolve(peer); console.log('has', peer) } catch { }
}`,
    )
    const expected = [...specifiers.map((specifier) => `${specifier} true`), ...peers.map((peer) => `has ${peer}`)]
    expect((await consumer.node('main.mjs')).trim().split('\n')).toEqual(expected)
  })

  it('says how to install the client of a broker that is not there', async () => {
    const consumer = makeConsumer([])
    consumer.write(
      'main.mjs',
      `import { amqp } from 'respond-async/amqp'
await amqp({ url: 'amqp://localhost' }).start().catch(({ code, message }) => console.log(code, message))`,
    )
    expect(await consumer.node('main.mjs')).toMatch(
      /^ERR_CONFIG The package amqplib is not installed: npm install amqplib\./,
    )
  })
})
