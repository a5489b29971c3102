import type { Rows } from './field.js'
import { type Aim, ratio } from './report.js'
import { type Asker, type Broker, type Keeping, nameOf, type Variant } from './spec.js'

/** What was measured on one broker: rows by the number in flight, and over HTTP. */
export interface Found {
  readonly broker: Broker
  readonly variants: readonly Variant[]
  readonly roundTrips: ReadonlyMap<number, Rows>
  readonly http: Rows
}

const RATE = 0.95
const CPU = 1.15
/** What a durable store may cost of the memory store's CPU, at 64 in flight; at 1,024 it is less. */
const STORES = [
  ['redis', 1.7],
  ['postgres', 2],
] as const
const STORES_AT_1024 = 1.4
/** How much faster than NestJS. */
const NEST = {
  rabbitmq: [
    [1, 1],
    [64, 1],
    [1024, 1],
  ],
  kafka: [
    [64, 8],
    [1024, 12],
  ],
} as const
const TITLES = { rabbitmq: 'RabbitMQ', kafka: 'Kafka' } as const

const of = (asker: Asker, keeping: Keeping): Variant => ({ asker, keeping })

/** The aims of one broker. */
export function aimsOf({ broker, variants, roundTrips, http }: Found): Aim[] {
  const title = TITLES[broker]
  const sets = [...[...roundTrips].map(([at, rows]) => [`${at.toLocaleString('en-US')} in flight`, rows] as const)]
  const peers = [...sets, ['HTTP', http] as const].flatMap(([where, rows]) =>
    variants
      .filter(({ asker, keeping }) => asker === 'hand-written' && rows.has(nameOf(of('respond-async', keeping))))
      .flatMap((hand) => toPeer(`${title}, ${where}`, rows, hand)),
  )
  const nest = NEST[broker].map(([at, bound]): Aim => {
    const pair = [of('respond-async', 'none'), of('NestJS', 'none')] as const
    const aim = `${title}, ${at.toLocaleString('en-US')} in flight: requests/s beside NestJS`
    return { aim, bound: ['least', bound], found: ratio(roundTrips.get(at), 'rate', pair) }
  })
  return [...peers, ...nest, ...storesOf(title, roundTrips)]
}

function toPeer(where: string, rows: Rows, hand: Variant): Aim[] {
  const ours = of('respond-async', hand.keeping)
  const store = hand.keeping === 'none' ? '' : `, ${hand.keeping}`
  const pair = [ours, hand] as const
  return [
    {
      aim: `${where}${store}: requests/s beside hand-written`,
      bound: ['least', RATE],
      found: ratio(rows, 'rate', pair),
    },
    { aim: `${where}${store}: CPU beside it`, bound: ['most', CPU], found: ratio(rows, 'cpuPerThousand', pair) },
  ]
}

function storesOf(title: string, roundTrips: Found['roundTrips']): Aim[] {
  return STORES.flatMap(([keeping, atFew]) =>
    [64, 1024].map((at): Aim => {
      const pair = [of('respond-async', keeping), of('respond-async', 'memory')] as const
      const aim = `${title}, ${at.toLocaleString('en-US')} in flight: CPU with ${keeping} beside memory`
      const bound = at === 64 ? atFew : STORES_AT_1024
      return { aim, bound: ['most', bound], found: ratio(roundTrips.get(at), 'cpuPerThousand', pair) }
    }),
  )
}
