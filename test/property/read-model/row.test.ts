import fc from 'fast-check'
import { memoryStore } from 'respond-async'
import { describe, expect, it } from 'vitest'
import type { EventMessage } from '../../../src/core/event.js'
import { type Projection, readEvent } from '../../../src/read-model/projection.js'
import { decodeRow, encodeRow, fold, isAt, type Row } from '../../../src/read-model/row.js'
import { Snapshots } from '../../../src/read-model/snapshots.js'
import { createFakeClock } from '../../../src/testing/fake-clock.js'
import { eventOf, numbered, usersProjection } from '../../unit/read-model/support.js'

const clock = createFakeClock()

/** Folds events in this order; now and then the row is written and read again, as between two instances. */
async function foldAll(projection: Projection, messages: readonly EventMessage[], rewrites = false) {
  let row: Row | undefined
  for (const [index, message] of messages.entries()) {
    const event = await readEvent(projection, message)
    const folded = await fold(projection, row, event)
    row = rewrites && index % 2 === 0 ? decodeRow(encodeRow(folded.row)) : folded.row
    if (folded.verdict !== 'waiting') expect(isAt(row, event)).toBe(true)
  }
  return row
}

/** The events of one key as its writer makes them: created, renamed, deleted, created again. */
function historyOf(kinds: readonly number[]): EventMessage[] {
  const types = ['Created', 'Renamed', 'Deleted'] as const
  return kinds.map((kind, index) => {
    const data = { id: 'a', name: `name ${index}`, n: index + 1 }
    return eventOf(types[kind] ?? 'Renamed', data, { clock, id: `event-${index}`, time: index })
  })
}

const kinds = fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 30 })

describe('FM-G9 rows', () => {
  it('numbered events give the same row in any order, however often each comes', async () => {
    const property = fc.asyncProperty(kinds, fc.infiniteStream(fc.nat()), async (all, chance) => {
      const history = historyOf(all)
      const draw = () => chance.next().value as number
      const repeated = history.flatMap((message) => Array.from({ length: 1 + (draw() % 3) }, () => message))
      const shuffled = repeated.map((message) => ({ message, at: draw() })).sort((a, b) => a.at - b.at)
      const expected = await foldAll(numbered(), history)
      const row = await foldAll(
        numbered(),
        shuffled.map(({ message }) => message),
        true,
      )
      expect(row).toEqual(expected)
      expect(row?.waiting).toEqual([])
    })
    await fc.assert(property, { numRuns: 500 })
  })

  it('events without numbers give the same row, however often each comes again', async () => {
    const property = fc.asyncProperty(kinds, fc.array(fc.nat(), { maxLength: 60 }), async (all, again) => {
      const history = historyOf(all)
      const expected = await foldAll(usersProjection(), history)
      // Each redelivery comes somewhere behind the first one.
      const redelivered = [...history]
      for (const number of again) {
        const message = history[number % history.length] as EventMessage
        const first = redelivered.indexOf(message)
        redelivered.splice(first + 1 + (number % (redelivered.length - first)), 0, message)
      }
      expect(await foldAll(usersProjection(), redelivered, true)).toEqual(expected)
    })
    await fc.assert(property, { numRuns: 500 })
  })

  it('a row is read as it was written', async () => {
    const property = fc.asyncProperty(kinds, fc.nat(), async (all, from) => {
      const history = historyOf(all)
      // What comes without its beginning waits, as bytes.
      const row = await foldAll(numbered(), history.slice(from % history.length))
      expect(row && decodeRow(encodeRow(row))).toEqual(row)
    })
    await fc.assert(property)
  })

  it('a snapshot is read as it was taken, whatever the size of its chunks', async () => {
    const store = memoryStore({ clock })
    await store.start()
    const size = fc.constantFrom(0, 1, 1000, 100_000, 300_000)
    const property = fc.asyncProperty(fc.array(size, { maxLength: 12 }), fc.string(), async (sizes, position) => {
      const options = { records: store.records, projection: usersProjection(), clock, ttlMs: 1000 }
      const rows = new Map<string, Row>(
        sizes.map((length, index) => [
          `key ${index}`,
          { state: { text: 'ä'.repeat(length) }, sequence: index, time: 1, seen: ['e'], waiting: [] },
        ]),
      )
      expect(await new Snapshots(options).save({ position, rows })).toBe(true)
      expect(await new Snapshots(options).load()).toEqual({ position, rows })
      const chunks = await store.records.list('read-model/users/1/chunk/')
      expect(chunks.length).toBeLessThanOrEqual(Math.max(sizes.length, 0))
    })
    await fc.assert(property, { numRuns: 60 })
  })
})
