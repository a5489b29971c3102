import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../src/testing/contract.js'
import { type Cluster, createCluster, whyNoCluster } from '../support/postgres-cluster.js'
import { RabbitMqNode, whyNoNode } from '../support/rabbitmq-node.js'
import { type Child, startChild } from './child.js'
import { expectParkedToBeKept } from './parked.js'

const missing = whyNoNode() ?? whyNoCluster()

describe.skipIf(missing !== undefined)(`the demo over RabbitMQ and Postgres${missing ? ` (${missing})` : ''}`, () => {
  let node: RabbitMqNode | undefined
  let cluster: Cluster | undefined
  let demo: Child

  const origin = (index: number) => `http://127.0.0.1:${demo.port + index}`
  const pidOf = (role: string) => Number(new RegExp(`^${role} .*pid (\\d+)$`, 'm').exec(demo.output())?.[1])

  beforeAll(async () => {
    node = await RabbitMqNode.start()
    cluster = await createCluster()
    await cluster.start()
    const args = ['--transport', 'amqp', '--store', 'postgres', '--instances', '2', '--workers', '2']
    demo = await startChild('examples/demo/main.ts', { args, env: { AMQP_URL: node.url, DATABASE_URL: cluster.url } })
    for (const role of ['gateway 0', 'gateway 1', 'worker 0', 'worker 1']) await until(() => pidOf(role) > 0, 60_000)
  }, 180_000)
  afterAll(async () => {
    expect(await demo?.stop()).toBe(0)
    await node?.stop()
    await cluster?.remove()
  }, 60_000)

  it('a gateway that ends with 1,000 requests waiting answers each with 202 within a second, and none is lost', async () => {
    const signal = () => void process.kill(pidOf('gateway 0'), 'SIGTERM')
    await expectParkedToBeKept({ origin: origin(0), otherOrigin: origin(1), signal })
  }, 120_000)
})
