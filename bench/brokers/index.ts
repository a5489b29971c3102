import { randomBytes } from 'node:crypto'
import { aimsOf, type Found } from './aims.js'
import { Field, type Rows, type Site } from './field.js'
import { type Aim, printAims, printRows, ratio } from './report.js'
import { findServers, type Servers } from './servers.js'
import type { Keeping, Variant } from './spec.js'

const IN_FLIGHT = [1, 64, 1024]
const CONNECTIONS = 64
const FEW_ROWS = 1000
const MANY_ROWS = Number(process.env.BENCH_ROWS ?? 1_000_000)
const TITLES = { rabbitmq: 'RabbitMQ', kafka: 'Kafka' } as const

/** Round trips and HTTP through the brokers that are there, us beside others. */
export async function benchBrokers(): Promise<void> {
  const servers = await findServers()
  try {
    const aims: Aim[] = []
    for (const site of sitesOf(servers)) aims.push(...aimsOf(await benchBroker(site, variantsOf(site))))
    const [site] = sitesOf(servers)
    if (site !== undefined) aims.push(...(await benchRows(site)))
    printAims(aims)
  } finally {
    await servers.close()
  }
}

function sitesOf({ amqp, kafka, redis, postgres }: Servers): Site[] {
  const site = (broker: Site['broker'], address: string | undefined): Site[] =>
    address === undefined ? [] : [{ broker, address, prefix: newPrefix(), redis, postgres }]
  return [...site('rabbitmq', amqp), ...site('kafka', kafka)]
}

function newPrefix(): string {
  return `bench-${randomBytes(5).toString('hex')}`
}

/** The hand-written gateway comes with each store that is there, next to ours. */
function variantsOf({ broker, redis, postgres }: Site): readonly Variant[] {
  const stores: Keeping[] = ['none', 'memory', ...durableStores({ redis, postgres })]
  const both = stores.flatMap((keeping): Variant[] => [
    { asker: 'hand-written', keeping },
    { asker: 'respond-async', keeping },
  ])
  const others: readonly Variant[] = [{ asker: 'NestJS', keeping: 'none' }]
  if (broker === 'kafka') return [...both, ...others]
  return [...both, { asker: 'respond-async', keeping: 'own' }, ...others, { asker: 'rabbitmq-client', keeping: 'none' }]
}

function durableStores({ redis, postgres }: Pick<Site, 'redis' | 'postgres'>): Keeping[] {
  return [
    ...(redis === undefined ? [] : (['redis'] as const)),
    ...(postgres === undefined ? [] : (['postgres'] as const)),
  ]
}

async function benchBroker(site: Site, variants: readonly Variant[]): Promise<Found> {
  const { broker } = site
  const field = new Field(site, variants)
  const found = new Map<number, Rows>()
  try {
    await field.start()
    for (const inFlight of IN_FLIGHT) {
      const rows = await field.roundTrips(inFlight)
      found.set(inFlight, rows)
      printRows(`${TITLES[broker]}, ${inFlight.toLocaleString('en-US')} in flight`, rows, variants)
    }
    const http = await field.http(CONNECTIONS)
    printRows(`${TITLES[broker]}, HTTP on Fastify, ${CONNECTIONS} connections`, http, variants)
    return { broker, variants, roundTrips: found, http }
  } finally {
    await field.close()
  }
}

/** The same stores with few and with many operations in them. */
async function benchRows(site: Site): Promise<Aim[]> {
  const ours = (keeping: Keeping, rows: number): Variant => ({ asker: 'respond-async', keeping, rows })
  const stores = durableStores(site)
  if (stores.length === 0) return []
  const variants = stores.flatMap((keeping) => [ours(keeping, FEW_ROWS), ours(keeping, MANY_ROWS)])
  const field = new Field({ ...site, prefix: newPrefix() }, variants)
  try {
    await field.start()
    const rows = await field.roundTrips(CONNECTIONS)
    const title = TITLES[site.broker]
    printRows(`${title}, ${CONNECTIONS} in flight, with operations in the store`, rows, variants)
    return stores.map((keeping): Aim => {
      const pair = [ours(keeping, MANY_ROWS), ours(keeping, FEW_ROWS)] as const
      const aim = `${title}, ${keeping} with ${MANY_ROWS.toLocaleString('en-US')} rows: CPU beside ${FEW_ROWS} rows`
      return { aim, bound: ['most', 1], found: ratio(rows, 'cpuPerThousand', pair) }
    })
  } finally {
    await field.close()
  }
}
