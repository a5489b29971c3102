import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import amqplib from 'amqplib'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { ROOT, readText } from '../../repo/files.js'
import { blocksOf } from '../../repo/markdown.js'
import { codeOf, type Example, examplesOf, printedOf, serverOf } from '../../repo/page-examples.js'
import { noKafka, testTopics } from '../../support/kafka.js'
import { AMQP_URL, uniquePrefix, whyNoRabbitMq } from '../../support/rabbitmq.js'

const PAGES = ['docs/rabbitmq.md', 'docs/kafka.md', 'docs/interop.md']
const examples = PAGES.flatMap((page) => examplesOf(blocksOf(page, readText(page))))
const noRabbitMq = await whyNoRabbitMq()
const folder = mkdtempSync(join(tmpdir(), 'respond-async-servers-pages-'))

beforeAll(() => symlinkSync(`${ROOT}node_modules`, join(folder, 'node_modules')))
afterAll(() => rmSync(folder, { recursive: true }))

/** Runs an example on the servers of the tests, under names of its own. Gives what it has printed. */
async function run(example: Example, brokers: readonly string[], prefix: string): Promise<string[]> {
  const code = codeOf(example)
    .replaceAll('amqp://guest:guest@localhost:5672', AMQP_URL)
    .replaceAll("['localhost:9092']", JSON.stringify(brokers))
    .replaceAll(/'shop\b/g, `'${prefix}`)
  const file = join(folder, `${example.name.replace(/\W+/g, '-')}.ts`)
  writeFileSync(file, code)
  const printed: string[] = []
  const log = vi.spyOn(console, 'log').mockImplementation((...what) => void printed.push(format(...what)))
  try {
    await import(/* @vite-ignore */ file)
  } finally {
    log.mockRestore()
  }
  return printed
}

async function removeFromRabbitMq(prefix: string): Promise<void> {
  const connection = await amqplib.connect(AMQP_URL)
  const channel = await connection.createChannel()
  const queue = `${prefix}.requests.workers.PlaceOrder::Requested`
  for (const name of [queue, `${queue}.parked`, `${prefix}.orders`]) await channel.deleteQueue(name)
  for (const name of ['requests', 'results']) await channel.deleteExchange(`${prefix}.${name}`)
  await connection.close()
}

const onRabbitMq = examples.filter((example) => serverOf(example) === 'amqp')
const onKafka = examples.filter((example) => serverOf(example) === 'kafka')

it('each of these pages has an example that speaks to a server', () => {
  expect([...onRabbitMq, ...onKafka].map(({ name }) => name.split(':')[0]).sort()).toEqual([...PAGES].sort())
  for (const example of [...onRabbitMq, ...onKafka]) expect(printedOf(codeOf(example))).not.toEqual([])
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
