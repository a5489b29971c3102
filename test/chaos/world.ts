import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { KINDS, type Kind } from '../../scripts/brokers/kinds.js'
import { freePort } from '../../scripts/brokers/ports.js'
import { ChaosProxy } from '../support/chaos-proxy.js'
import { temporaryFolder } from '../support/servers/guard.js'
import { createServer, type Server } from '../support/servers/server.js'
import type { ProcessConfig } from './config.js'
import { Member } from './fleet.js'
import type { Entry } from './history.js'
import type { RunOptions } from './options.js'
import { topicsOf } from './parts.js'

/** A broker or store, with the line over which the gateways reach it. */
export interface Site {
  readonly server: Server
  readonly proxy: ChaosProxy
}

/** All that runs. */
export interface World {
  readonly broker: Site | undefined
  readonly store: Site | undefined
  readonly gateways: readonly Member[]
  readonly workers: readonly Member[]
  readonly executionsFile: string
  close(): Promise<void>
}

/** Starts servers, gateways and workers. */
export async function startWorld(options: RunOptions, note: (entry: Entry) => void): Promise<World> {
  const folder = temporaryFolder('chaos')
  const executionsFile = join(folder.path, 'executions.jsonl')
  writeFileSync(executionsFile, '')
  const kinds = [options.transport, options.store].map((name) => (name === 'memory' ? undefined : name))
  const sites = await Promise.all(kinds.map(startSite))
  const [broker, store] = sites
  const prefix = `chaos-${randomBytes(4).toString('hex')}`
  if (broker?.server.kind === 'kafka') await makeTopics(broker.server.address, prefix)
  const common = { transport: options.transport, store: options.store, prefix, executionsFile }
  const configOf = async (index: number, isWorker: boolean): Promise<ProcessConfig> => ({
    ...common,
    index,
    port: await freePort(),
    // Workers have good lines: a fault of a line is the gateways' alone.
    brokerAddress: addressOf(broker, isWorker),
    storeAddress: addressOf(store, isWorker),
  })
  const members = async (role: 'gateway' | 'worker', count: number) => {
    const configs = await Promise.all(Array.from({ length: count }, (_, index) => configOf(index, role === 'worker')))
    return configs.map((config) => new Member(role, config, note))
  }
  const gateways = await members('gateway', options.gateways)
  const workers = await members('worker', options.workers)
  // Workers first: a request that nobody could take would be unroutable.
  for (const member of [...workers, ...gateways]) await member.start()
  const close = async () => {
    await Promise.all([...gateways, ...workers].map((member) => member.kill()))
    await Promise.all(sites.map((site) => site?.proxy.close()))
    await Promise.all(sites.map((site) => site?.server.close()))
    folder.remove()
  }
  return { broker, store, gateways, workers, executionsFile, close }
}

async function startSite(kind: Kind | undefined): Promise<Site | undefined> {
  if (kind === undefined) return undefined
  // First its port, as a Kafka broker tells its clients where to connect.
  const port = await freePort()
  const server = await createServer(kind, port)
  await server.start()
  const target = { host: '127.0.0.1', port: server.prepared.behindProxy ?? server.port }
  return { server, proxy: await ChaosProxy.to(target, port) }
}

async function makeTopics(address: string, prefix: string): Promise<void> {
  const admin = new Admin({ clientId: prefix, bootstrapBrokers: [address] })
  try {
    await admin.createTopics({ topics: Object.values(topicsOf(prefix)), partitions: 4, replicas: 1 })
  } finally {
    await admin.close()
  }
}

function addressOf(site: Site | undefined, isDirect: boolean): string {
  if (site === undefined) return ''
  const { server, proxy } = site
  return isDirect ? server.address : KINDS[server.kind].address(`127.0.0.1:${proxy.port}`)
}
