import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import amqplib from 'amqplib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { freePort } from '../../../scripts/brokers/ports.js'
import { ROOT, readText } from '../../repo/files.js'
import { blocksOf } from '../../repo/markdown.js'
import { codeOf, type Example, examplesOf, printedOf, serverOf, withPort } from '../../repo/page-examples.js'
import { type Bindings, parseTranscript, replay } from '../../repo/transcript.js'
import { noKafka, testTopics } from '../../support/kafka.js'
import { AMQP_URL, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'

const PAGES = ['docs/events.md', 'docs/rabbitmq.md', 'docs/kafka.md', 'docs/interop.md']
const examples = PAGES.flatMap((page) => examplesOf(blocksOf(page, readText(page))))
const noRabbitMq = await whyNoRabbitMq()
const folder = mkdtempSync(join(tmpdir(), 'respond-async-servers-pages-'))

beforeAll(() => symlinkSync(`${ROOT}node_modules`, join(folder, 'node_modules')))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs an example on the servers of the tests, under names of its own. Gives what it has printed. */
async function run(example: Example, brokers: readonly string[], prefix: string): Promise<string[]> {
  const port = await freePort()
  const code = withPort(codeOf(example), port)
    .replaceAll('amqp://guest:guest@localhost:5672', AMQP_URL)
    .replaceAll("['localhost:9092']", JSON.stringify(brokers))
    .replaceAll(/'shop\b/g, `'${prefix}`)
  const file = join(folder, `${example.name.replace(/\W+/g, '-')}.ts`)
  writeFileSync(file, code)
  const printed: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((...what) => void printed.push(format(...what)))
  const before = process.listeners('SIGTERM')
  try {
    await import(/* @vite-ignore */ file)
    await replayAll(example, port)
  } finally {
    log.mockRestore()
    await stop(process.listeners('SIGTERM').filter((listener) => !before.includes(listener)))
  }
  return printed
}

/** Sends the requests that are shown behind an example. */
async function replayAll({ transcripts }: Example, port: number): Promise<void> {
  const ids: Bindings = new Map()
  for (const { code, page, line } of transcripts) {
    for (const exchange of parseTranscript(code))
      expect(await replay(exchange, port, ids), `${page}:${line}`).toEqual([])
  }
}

/** What an example does at the end of its process. */
async function stop(listeners: readonly NodeJS.SignalsListener[]): Promise<void> {
  for (const listener of listeners) {
    process.off('SIGTERM', listener)
    await (listener('SIGTERM') as unknown)
  }
}

async function removeFromRabbitMq(prefix: string): Promise<void> {
  const connection = await amqplib.connect(AMQP_URL)
  const channel = await connection.createChannel()
  const queues = ['workers.PlaceOrder::Requested', 'users.CreateUser::Requested'].map(
    (name) => `${prefix}.requests.${name}`,
  )
  for (const name of [...queues, ...queues.map((queue) => `${queue}.parked`), `${prefix}.orders`])
    await channel.deleteQueue(name)
  for (const name of ['requests', 'results']) await channel.deleteExchange(`${prefix}.${name}`)
  await connection.close()
}

const onRabbitMq = examples.filter((example) => serverOf(example) === 'amqp')
const onKafka = examples.filter((example) => serverOf(example) === 'kafka')

it('each of these pages has an example that speaks to a server', () => {
  expect([...onRabbitMq, ...onKafka].map(({ name }) => name.split(':')[0]).sort()).toEqual([...PAGES].sort())
  for (const example of [...onRabbitMq, ...onKafka])
    expect([...printedOf(codeOf(example)), ...example.transcripts]).not.toEqual([])
})

describe.skipIf(noRabbitMq)(`the pages on RabbitMQ${noRabbitMq ? ` (skipped: ${noRabbitMq})` : ''}`, () => {
  it.each(onRabbitMq)('$name prints what it says', { timeout: 60_000 }, async (example) => {
    const prefix = uniquePrefix()
    try {
      expect(await run(example, [], prefix)).toEqual(printedOf(codeOf(example)))
    } finally {
      await removeFromRabbitMq(prefix)
    }
  })
})

describe.skipIf(noKafka)(`the pages on Kafka${noKafka ? ` (skipped: ${noKafka})` : ''}`, () => {
  it.each(onKafka)('$name prints what it says', { timeout: 120_000 }, async (example) => {
    const topics = await testTopics()
    try {
      for (const name of ['requests', 'results']) await topics.create(name)
      expect(await run(example, topics.brokers, topics.prefix)).toEqual(printedOf(codeOf(example)))
    } finally {
      await topics.remove()
    }
  })
})
