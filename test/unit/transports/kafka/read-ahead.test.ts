import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../../src/core/errors.js'
import type { Channel, MessageHandler } from '../../../../src/core/transport.js'
import { createFakeClock } from '../../../../src/testing/index.js'
import { bindingWith } from '../../../../src/transports/kafka/binding.js'
import type { KafkaClient, ReadRequest } from '../../../../src/transports/kafka/client.js'
import { Reading } from '../../../../src/transports/kafka/reading.js'
import type { IncomingRecord } from '../../../../src/transports/profiles/kafka-wire.js'

const MINE = 'Mine'
const OTHERS = 'Others'

interface Settings {
  readonly onMessage: MessageHandler
  readonly partitions?: number
  readonly channel?: Channel
  readonly concurrency?: number
}

/** A member of a group that has all partitions of a topic, and what it does with its client. */
class Member {
  readonly clock = createFakeClock()
  readonly paused = new Set<string>()
  readonly parked: bigint[] = []
  readonly warnings: string[] = []
  readonly committed = new Map<string, bigint>()
  /** How many records were read of each partition. */
  readonly #read = new Map<string, number>()
  #request: ReadRequest | undefined

  get ids(): string[] {
    return [...this.#read.keys()]
  }

  get records(): number {
    return [...this.#read.values()].reduce((sum, one) => sum + one, 0)
  }

  async open({ onMessage, partitions = 1, channel = 'results', concurrency = 256 }: Settings): Promise<this> {
    for (let partition = 0; partition < partitions; partition += 1) this.#read.set(`topic:${partition}`, 0)
    const reading = new Reading({
      client: this.#client(),
      binding: bindingWith(),
      clock: this.clock,
      partitions,
      topics: ['topic'],
      group: 'group',
      groupPrefix: '',
      subscription: { channel, types: [MINE], reading: { kind: 'shared', group: 'group', concurrency } },
      onMessage,
      retentionMsOf: () => undefined,
      park: async ({ offset }) => void this.parked.push(offset),
      warn: (text) => this.warnings.push(text),
    })
    await reading.open()
    return this
  }

  assign(...partitions: string[]): Promise<unknown> {
    const committed = async () => new Map(this.ids.map((id) => [id, 0n]))
    return this.#request?.assigned({
      partitions,
      isLeader: true,
      committed,
      commit: async () => {},
    }) as Promise<unknown>
  }

  /** Reads on in a partition, also where it is paused: a fetch may have been under way. */
  receive(id: string, records: number, { type = MINE, bytes = 10 } = {}): void {
    const from = this.#read.get(id) ?? 0
    const list = Array.from({ length: records }, (_, at): IncomingRecord => {
      const record = { topic: 'topic', partition: 0, offset: BigInt(from + at), timestamp: 0, key: null }
      return { ...record, value: Buffer.alloc(bytes, 32), headers: [['ce_type', Buffer.from(type)]] }
    })
    this.#read.set(id, from + records)
    this.#request?.received(id, list, BigInt(from + records))
  }

  /** Reads a MiB of each partition in turn, until all are paused. */
  fill(bytes: number): void {
    const records = Math.max(1, Math.floor(2 ** 20 / bytes))
    for (let round = 0; round < 10_000 && this.paused.size < this.ids.length; round += 1) {
      for (const id of this.ids) if (!this.paused.has(id)) this.receive(id, records, { bytes })
    }
  }

  #client(): KafkaClient {
    const client: Partial<KafkaClient> = {
      offsets: async () => new Map(this.ids.map((id) => [id, 0n])),
      read: async (request) => {
        this.#request = request
        await this.assign(...this.ids)
        return {
          pause: (id) => void this.paused.add(id),
          resume: (id) => void this.paused.delete(id),
          commit: async (offsets) => {
            for (const [id, offset] of offsets) this.committed.set(id, offset)
          },
          close: async () => {},
        }
      },
    }
    return client as KafkaClient
  }
}

const ID = 'topic:0'
const away = () => new GatewayError('ERR_STORE_UNAVAILABLE', 'away')

/** A handler of a store that is away until it is told otherwise. */
function storeThatIsAway() {
  const store = { isAway: true, handled: [] as number[] }
  const onMessage: MessageHandler = async ({ type, body }) => {
    if (type === MINE && store.isAway) throw away()
    if (type === MINE) store.handled.push(body.byteLength)
    return 'ack'
  }
  return { store, onMessage }
}

describe('a Kafka group whose store is away', () => {
  it.each(['throws that it is away', 'requeues'])(
    'puts no result aside, however much is read behind it, when its handler %s',
    async (how) => {
      const { store, onMessage } = storeThatIsAway()
      const requeue: MessageHandler = (...args) => onMessage(...args).catch(() => 'requeue')
      const member = await new Member().open({ onMessage: how === 'requeues' ? requeue : onMessage })
      member.receive(ID, 1, { bytes: 7 })
      for (let fetch = 0; fetch < 30; fetch += 1) {
        member.receive(ID, 1000, { type: OTHERS })
        await member.clock.advance(1000)
      }
      expect(member.parked).toEqual([])
      store.isAway = false
      await member.clock.advance(1000)
      expect(store.handled).toEqual([7])
    },
  )

  it('reads a partition no further than 10,000 records behind one that fails, and on when that is handled', async () => {
    const { store, onMessage } = storeThatIsAway()
    const member = await new Member().open({ onMessage, partitions: 2 })
    member.receive(ID, 1)
    await member.clock.advance(100)
    for (let fetch = 0; fetch < 10; fetch += 1) {
      expect(member.paused.size).toBe(0)
      member.receive(ID, 1000, { type: OTHERS })
      await member.clock.advance(100)
    }
    expect([...member.paused]).toEqual([ID])
    expect(member.warnings).toEqual([expect.stringContaining('Offset 0 of topic:0 still fails')])
    expect(member.committed.get(ID)).toBeUndefined()
    store.isAway = false
    await member.clock.advance(1000)
    expect(member.paused.size).toBe(0)
    expect(member.committed.get(ID)).toBe(10_001n)
  })

  it('keeps the bytes of its results, and not of all that was fetched with them', async () => {
    const bodies: Uint8Array[] = []
    const member = await new Member().open({
      onMessage: async ({ body }) => {
        bodies.push(body)
        throw away()
      },
    })
    member.receive(ID, 1, { bytes: 1000 })
    await member.clock.advance(50)
    expect(bodies.length).toBeGreaterThan(2)
    expect(bodies[1]).not.toBe(bodies[0])
    expect(bodies[2]).toBe(bodies[1])
    expect(bodies[1]).toEqual(bodies[0])
  })
})

describe('a Kafka group', () => {
  it('puts aside what fails for good when 10,000 records behind it are read', async () => {
    const onMessage: MessageHandler = async ({ type }) => {
      if (type === MINE) throw new TypeError('always')
      return 'ack'
    }
    const member = await new Member().open({ onMessage })
    member.receive(ID, 1)
    member.receive(ID, 9999, { type: OTHERS })
    await member.clock.advance(5000)
    expect(member.parked).toEqual([])
    member.receive(ID, 2, { type: OTHERS })
    await member.clock.advance(1000)
    expect(member.parked).toEqual([0n])
    expect(member.paused.size).toBe(0)
  })

  it('reads on behind a handler that only takes its time', async () => {
    const onMessage: MessageHandler = ({ type }) => (type === MINE ? new Promise(() => {}) : Promise.resolve('ack'))
    const member = await new Member().open({ onMessage })
    member.receive(ID, 1)
    for (let fetch = 0; fetch < 20; fetch += 1) {
      member.receive(ID, 1000, { type: OTHERS })
      await member.clock.advance(10)
    }
    expect(member.paused.size).toBe(0)
  })

  it('FM-C12 keeps at most 8 MiB that is not settled, and what was under way, in all of its partitions', async () => {
    const { store, onMessage } = storeThatIsAway()
    const member = await new Member().open({ onMessage, partitions: 6 })
    member.fill(200_000)
    await member.clock.advance(100)
    expect(member.paused.size).toBe(6)
    expect(member.records * 200_000).toBeLessThan(9 * 2 ** 20)
    store.isAway = false
    await member.clock.advance(1000)
    expect(member.paused.size).toBe(0)
    expect(store.handled).toHaveLength(member.records)
  })

  it('FM-C12 takes one result whatever its size', async () => {
    const { store, onMessage } = storeThatIsAway()
    const member = await new Member().open({ onMessage })
    member.receive(ID, 1, { bytes: 9 * 2 ** 20 })
    expect([...member.paused]).toEqual([ID])
    store.isAway = false
    await member.clock.advance(1000)
    expect(store.handled).toEqual([9 * 2 ** 20])
    expect(member.paused.size).toBe(0)
  })

  it('FM-C12 reads on when the partition that had too much has gone to another member', async () => {
    const member = await new Member().open({ onMessage: () => new Promise(() => {}), partitions: 2 })
    member.receive(ID, 9, { bytes: 2 ** 20 })
    expect(member.paused.size).toBe(2)
    await member.assign('topic:1')
    expect(member.paused.has('topic:1')).toBe(false)
  })

  it('FM-C12 of workers has as many requests as are handled at a time, whatever their size', async () => {
    let running = 0
    const onMessage: MessageHandler = () => {
      running += 1
      return new Promise(() => {})
    }
    const member = await new Member().open({ onMessage, channel: 'requests', concurrency: 12 })
    member.fill(2 ** 20)
    expect(running).toBe(12)
    expect(member.records).toBe(12)
  })
})
