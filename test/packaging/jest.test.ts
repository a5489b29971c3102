import { expect, it } from 'vitest'
import { makeConsumer, programs } from './consumer.js'

it('runs in Jest on CommonJS', async () => {
  const consumer = makeConsumer()
  consumer.write('package.json', JSON.stringify({ name: 'consumer', jest: { testEnvironment: 'node', transform: {} } }))
  consumer.write(
    'gateway.test.js',
    `const { createGateway, isGatewayError } = require('respond-async')
const { memoryTransport } = require('respond-async/memory')
const { createWorker } = require('respond-async/worker')

test('asks and is answered', async () => {
  const transport = memoryTransport()
  const gateway = createGateway({ transport })
  const greet = gateway.command({ publish: 'Greet::Requested', outcomes: { 'Greet::Greeted': 'succeeded' } })
  const worker = createWorker({ transport })
  worker.handle('Greet::Requested', async ({ data }) => ({ type: 'Greet::Greeted', data }))
  await gateway.start()
  await worker.start()
  expect(await greet.request({ name: 'you' })).toMatchObject({ kind: 'completed', event: { data: { name: 'you' } } })
  await gateway.close()
  await worker.close()
  await expect(greet.request({})).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  expect(isGatewayError(await greet.request({}).catch((error) => error))).toBe(true)
})`,
  )
  await consumer.node(programs.jest, '--ci', '--watchman=false', '--json', '--outputFile=report.json')
  expect(JSON.parse(consumer.read('report.json'))).toMatchObject({ numPassedTests: 1, numFailedTests: 0 })
})
