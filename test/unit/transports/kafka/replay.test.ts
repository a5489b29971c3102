import { describe, expect, it } from 'vitest'
import type { Reader } from '../../../../src/core/transport.js'
import type { KafkaClient, ReadRequest } from '../../../../src/transports/kafka/client.js'
import { kafka } from '../../../../src/transports/kafka/index.js'
import type { IncomingRecord } from '../../../../src/transports/profiles/kafka-wire.js'

/** A topic of one broker, as far as a replay touches it: texts by their partition and offset. */
class Topic {
  readonly partitions: (readonly [bigint, string])[][]
  /** The first offset that is there; what is before it retention has deleted. */
  readonly oldest: bigint[]
  readonly starts: bigint[] = []

  constructor(...partitions: string[][]) {
    this.partitions = partitions.map((texts) => texts.map((text, offset) => [BigInt(offset), text] as const))
    this.oldest = partitions.map(() => 0n)
  }

  /** Removes records, as compaction does. */
  compact(partition: number, ...offsets: bigint[]): this {
    this.partitions[partition] = (this.partitions[partition] ?? []).filter(([offset]) => !offsets.includes(offset))
    return this
  }

  /** Deletes what is older, as retention does. */
  retain(partition: number, from: bigint): this {
    this.oldest[partition] = from
    this.partitions[partition] = (this.partitions[partition] ?? []).filter(([offset]) => offset >= from)
    return this
  }

  get ids(): string[] {
    return this.partitions.map((_, partition) => `results:${partition}`)
  }

  endOf(partition: number): bigint {
    return (this.partitions[partition]?.at(-1)?.[0] ?? (this.oldest[partition] ?? 0n) - 1n) + 1n
  }

  recordsOf(partition: number, start: bigint): IncomingRecord[] {
    const found = this.partitions[partition]?.filter(([offset]) => offset >= start) ?? []
    return found.map(([offset, text]) => ({
      ...{ topic: 'results', partition, offset, key: null, value: Buffer.from(JSON.stringify(text)) },
      ...{ timestamp: 1000 + Number(offset), headers: [['ce_type', Buffer.from('Done')] as const] },
    }))
  }

  async read(request: ReadRequest): Promise<void> {
    const none = { isLeader: true, committed: async () => new Map(), commit: async () => {} }
    const starts = await request.assigned({ partitions: this.ids, ...none })
    for (const [partition, id] of this.ids.entries()) {
      const start = starts.get(id) ?? 0n
      this.starts.push(start)
      const [records, end] = [this.recordsOf(partition, start), this.endOf(partition)]
      if (end > start) setTimeout(() => request.received(id, records, end), 5 * partition)
    }
  }

  client(): KafkaClient {
    const client: Partial<KafkaClient> = {
      connect: async () => {},
      close: async () => {},
      check: async () => {},
      produce: async () => {},
      describe: async () => new Map([['results', { partitions: this.partitions.length }]]),
      offsets: async (_, at) =>
        new Map(this.ids.map((id, n) => [id, (at === 'end' ? this.endOf(n) : this.oldest[n]) ?? 0n])),
      read: async (request) => {
        await this.read(request)
        return { pause() {}, resume() {}, commit: async () => {}, close: async () => {} }
      },
    }
    return client as KafkaClient
  }
}

interface Replay {
  readonly reader: Reader
  readonly got: string[]
  readonly positions: string[]
}

async function replay(topic: Topic, after?: string): Promise<Replay> {
  const transport = kafka({ client: topic.client(), topics: { results: 'results' } })
  await transport.start()
  const [got, positions]: [string[], string[]] = [[], []]
  const from = after === undefined ? 'beginning' : { after }
  const subscription = { channel: 'results', types: ['Done'], reading: { kind: 'replay', from } } as const
  const reader = await transport.subscribe(subscription, async ({ body }, { position = '' }) => {
    got.push(JSON.parse(Buffer.from(body).toString()))
    positions.push(position)
    return 'ack'
  })
  return { reader, got, positions }
}

/** What a reader of everything was told as its last position. */
async function positionOf(topic: Topic): Promise<string> {
  const { reader, positions } = await replay(topic)
  await reader.caughtUp
  return positions.at(-1) ?? ''
}

describe('a replay behind a position in Kafka topics', () => {
  it('knows its topic by the last record, which it does not hand over again', async () => {
    const position = await positionOf(new Topic(['a', 'b']))
    expect(position).toMatch(/^results:0=2~[\w-]{8}$/)
    const topic = new Topic(['a', 'b', 'c'])
    const { reader, got, positions } = await replay(topic, position)
    await reader.caughtUp
    expect([topic.starts, got]).toEqual([[1n], ['c']])
    expect(positions[0]).toMatch(/^results:0=3~/)
  })

  it('is refused when the record is another one: the topic was made anew', async () => {
    const position = await positionOf(new Topic(['a', 'b']))
    const { reader, got } = await replay(new Topic(['a', 'other', 'c', 'd']), position)
    await expect(reader.caughtUp).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('was made anew'),
    })
    expect(got).toEqual([])
    expect(await reader.ended).toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('is refused also when nothing has come since', async () => {
    const position = await positionOf(new Topic(['a', 'b']))
    const { reader } = await replay(new Topic(['a', 'other']), position)
    await expect(reader.caughtUp).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('says of a partition that it has not compared yet the place where it was', async () => {
    const position = await positionOf(new Topic(['a'], ['b', 'c']))
    const { reader, positions } = await replay(new Topic(['a', 'new'], ['b', 'other']), position)
    await expect(reader.caughtUp).rejects.toMatchObject({ code: 'ERR_CONFIG' })
    const [, second] = position.split(';')
    expect(positions.map((one) => one.split(';')[1])).toEqual([second])
  })

  it('is refused when the topic has fewer partitions', async () => {
    const position = await positionOf(new Topic(['a'], ['b']))
    await expect(replay(new Topic(['a', 'c']), position)).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })

  it('goes on when compaction has removed the record, or retention, and nothing behind it', async () => {
    const position = await positionOf(new Topic(['a', 'b']))
    const compacted = new Topic(['a', 'b', 'c']).compact(0, 1n)
    const retained = new Topic(['a', 'b', 'c']).retain(0, 2n)
    for (const [topic, start] of [[compacted, 1n] as const, [retained, 2n] as const]) {
      const { reader, got } = await replay(topic, position)
      await reader.caughtUp
      expect([topic.starts, got]).toEqual([[start], ['c']])
    }
  })

  it('goes on when retention removes the record at that moment', async () => {
    const position = await positionOf(new Topic(['a', 'b']))
    const topic = new Topic(['a', 'b', 'c'])
    topic.read = async (request) => {
      const none = { isLeader: true, committed: async () => new Map(), commit: async () => {} }
      await request.assigned({ partitions: topic.ids, ...none })
      request.lost('results:0', 1n, 2n)
      request.received('results:0', topic.recordsOf(0, 2n), 3n)
    }
    const { reader, got } = await replay(topic, position)
    await reader.caughtUp
    expect(got).toEqual(['c'])
  })

  it('ends when retention removes more than the record', async () => {
    const position = await positionOf(new Topic(['a', 'b']))
    const topic = new Topic(['a', 'b', 'c', 'd'])
    topic.read = async (request) => {
      const none = { isLeader: true, committed: async () => new Map(), commit: async () => {} }
      await request.assigned({ partitions: topic.ids, ...none })
      request.lost('results:0', 1n, 3n)
    }
    const { reader } = await replay(topic, position)
    await expect(reader.caughtUp).rejects.toMatchObject({ message: expect.stringContaining('deleted by retention') })
  })

  it('goes on in partitions that had no record, and behind positions of older versions', async () => {
    const position = await positionOf(new Topic(['a'], []))
    expect(position).toMatch(/^results:0=1~[\w-]{8};results:1=0$/)
    const later = () => new Topic(['a', 'c'], ['b'], ['d'])
    for (const after of [position, 'results:0=1;results:1=0']) {
      const { reader, got } = await replay(later(), after)
      await reader.caughtUp
      expect(got.sort()).toEqual(['b', 'c', 'd'])
    }
  })

  it('compares over notes of the brokers, which have offsets too', async () => {
    // What stands at 2 is no record: the end of a transaction.
    const noted = new Topic(['a', 'b', 'note']).compact(0, 2n)
    noted.endOf = () => 3n
    const { reader, positions } = await replay(noted)
    await reader.caughtUp
    const [mark] = (positions.at(-1) ?? '').split('~').slice(1)
    const topic = new Topic(['a', 'b', 'note', 'c'])
    const { reader: again, got } = await replay(topic, `results:0=3~1~${mark}`)
    await again.caughtUp
    expect([topic.starts, got]).toEqual([[1n], ['c']])
  })
})
