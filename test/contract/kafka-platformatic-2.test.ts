import { readFileSync } from 'node:fs'
import { expect, it, vi } from 'vitest'
import { platformatic } from '../../src/transports/kafka/index.js'
import { noKafka } from '../support/kafka.js'
import { describeKafka } from '../support/kafka-contract.js'
import { describeTransactions } from '../support/kafka-transactions.js'

// The next major release under another name: it needs a Node that is newer than the oldest one supported here.
vi.mock('@platformatic/kafka', async () => (await import('platformatic2')) as object)

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isNew = (major === 22 && minor >= 22) || (major === 24 && minor >= 6) || major > 24
const tooOld = `@platformatic/kafka 2 needs Node 22.22 or 24.6, and this is ${process.versions.node}`
if (!isNew) process.stderr.write(`skipped: ${tooOld}\n`)

for (const suite of [describeKafka, describeTransactions])
  suite('@platformatic/kafka 2', (brokers) => platformatic({ bootstrapBrokers: brokers }), isNew ? noKafka : tooOld)

it('it is the next major release that is tested', async () => {
  const installed = JSON.parse(readFileSync('node_modules/platformatic2/package.json', 'utf8'))
  expect([installed.name, installed.version]).toEqual(['@platformatic/kafka', expect.stringMatching(/^2\./)])
  if (!isNew) return
  const next = await vi.importActual<{ Producer: unknown }>('platformatic2')
  expect((await import('@platformatic/kafka')).Producer).toBe(next.Producer)
})
