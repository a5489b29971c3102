import { expect, it } from 'vitest'
import { type Consumer, makeConsumer, programs } from './consumer.js'

const source = `import { createGateway, created, problem, type GatewayError } from 'respond-async'
import { memoryTransport } from 'respond-async/memory'
import { createWorker } from 'respond-async/worker'
import { handle } from 'respond-async/fetch'
import { follow } from 'respond-async/client'
import { transportContract } from 'respond-async/testing'

interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' }
}

const transport = memoryTransport()
const gateway = createGateway<Events>({ transport })
const createUser = gateway.command({
  publish: 'CreateUser::Requested',
  outcomes: {
    'CreateUser::UserCreated': created(({ data }) => '/users/' + data.id),
    'CreateUser::UserNotCreated': problem(409),
  },
})
// @ts-expect-error the name of a field is wrong
void createUser.request({ userName: 'x' })
// @ts-expect-error there is no such event
gateway.command({ publish: 'CreateUser::Wanted', outcomes: {} })

createWorker<Events>({ transport }).handle('CreateUser::Requested', async ({ data }) => {
  return { type: 'CreateUser::UserCreated', data: { id: data.username } }
})
export const answer: Promise<Response> = handle(createUser)(new Request('http://localhost'))
export const code = (error: GatewayError): string => error.code
export { follow, transportContract }
`

const expressSource = `import express from 'express'
import { createGateway } from 'respond-async'
import { memoryTransport } from 'respond-async/memory'
import { handle, operations } from 'respond-async/express'

const gateway = createGateway({ transport: memoryTransport() })
const command = gateway.command({ publish: 'A', outcomes: { B: 'succeeded' } })
const app = express()
app.post('/a', handle(command))
app.use('/operations', operations(gateway))
`

const fastifySource = `import { fastify } from 'fastify'
import { createGateway } from 'respond-async'
import { memoryTransport } from 'respond-async/memory'
import { handle, operations } from 'respond-async/fastify'

const gateway = createGateway({ transport: memoryTransport() })
const command = gateway.command({ publish: 'A', outcomes: { B: 'succeeded' } })
const app = fastify()
app.post('/a', handle(command))
app.register(operations(gateway), { prefix: '/operations' })
`

interface Compilation {
  peers?: string[]
  files: Readonly<Record<string, string>>
  options: Readonly<Record<string, unknown>>
}

function prepare({ peers = [], files, options }: Compilation): Consumer {
  const consumer = makeConsumer(['@types/node', ...peers])
  const base = { noEmit: true, strict: true, target: 'ES2022', lib: ['ES2022', 'ESNext.Disposable'], types: ['node'] }
  consumer.write(
    'tsconfig.json',
    JSON.stringify({ compilerOptions: { ...base, ...options }, include: ['*.ts', '*.?ts'] }),
  )
  for (const [name, content] of Object.entries(files)) consumer.write(name, content)
  return consumer
}

// Without skipLibCheck our declarations are checked too, and nothing but Node's own types is there to help them. Bundler
// and node10 find the very files that node16 has found from ES modules and from CommonJS.
it.each([
  { resolution: 'node16', files: ['main.mts', 'main.cts'], options: { module: 'Node16' } },
  {
    resolution: 'bundler',
    files: ['main.ts'],
    options: { module: 'ESNext', moduleResolution: 'bundler', skipLibCheck: true },
  },
  {
    resolution: 'node10',
    files: ['main.ts'],
    options: { module: 'CommonJS', moduleResolution: 'node10', ignoreDeprecations: '6.0', skipLibCheck: true },
  },
])('type-checks a TypeScript consumer with $resolution', async ({ files, options }) => {
  const consumer = prepare({ files: Object.fromEntries(files.map((name) => [name, source])), options })
  expect(await consumer.node(programs.tsc)).toBe('')
})

it("type-checks a consumer with the compiler's own libraries alone, which lack AsyncDisposable", async () => {
  const options = { module: 'Node16', lib: ['ES2022', 'DOM'], types: [] }
  const consumer = prepare({ files: { 'main.mts': source }, options })
  expect(await consumer.node(programs.tsc)).toBe('')
})

it.each([
  { peer: 'express', peers: ['express', '@types/express'], source: expressSource },
  { peer: 'fastify', peers: ['fastify'], source: fastifySource },
])('type-checks the $peer subpath with that peer alone', async ({ peers, source: content }) => {
  const files = { 'main.mts': content, 'main.cts': content }
  const consumer = prepare({ peers, files, options: { module: 'Node16', esModuleInterop: true } })
  expect(await consumer.node(programs.tsc)).toBe('')
})
