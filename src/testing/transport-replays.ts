import assert from 'node:assert/strict'
import { refuses } from './contract.js'
import { idsOf, many, type TransportCases } from './transport-kit.js'

/** What replays promise. */
export const REPLAY: TransportCases = {
  'a replay gives everything from the beginning, in order, and goes on': async (kit) => {
    const past = await kit.answer(...many(20))
    const inbox = await kit.replay('beginning')
    await inbox.caughtUp
    assert.deepEqual(inbox.ids, idsOf(past))
    const later = await kit.answer(...many(5))
    await kit.until(() => inbox.ids.length >= 25)
    assert.deepEqual(inbox.ids, idsOf([...past, ...later]))
  },
  'a replay goes on behind a position': async (kit) => {
    const sent = await kit.answer(...many(6))
    const first = await kit.replay('beginning')
    await first.caughtUp
    const after = first.deliveries[2]?.position
    assert.equal(typeof after, 'string')
    const second = await kit.replay({ after: after ?? '' })
    await second.caughtUp
    assert.deepEqual(second.ids, idsOf(sent).slice(3))
    assert.deepEqual(second.deliveries[0]?.position, first.deliveries[3]?.position)
  },
  'a replay behind the newest position gets what comes next': async (kit) => {
    await kit.answer({})
    const first = await kit.replay('beginning')
    await first.caughtUp
    const second = await kit.replay({ after: first.deliveries.at(-1)?.position ?? '' })
    await second.caughtUp
    const later = await kit.answer({})
    await kit.until(() => second.ids.length >= 1)
    assert.deepEqual(second.ids, idsOf(later))
  },
  'a replay from now on gets what comes next, and nothing of the past': async (kit) => {
    await kit.answer({}, {})
    const inbox = await kit.replay('now')
    await inbox.caughtUp
    const later = await kit.answer({}, {})
    await kit.until(() => inbox.ids.length >= 2)
    assert.deepEqual(inbox.ids, idsOf(later))
    const behind = await kit.replay({ after: inbox.deliveries[0]?.position ?? '' })
    await behind.caughtUp
    assert.deepEqual(behind.ids, idsOf(later).slice(1))
  },
  'a replay under a name goes on behind what it has released': async (kit) => {
    const first = await kit.replay('now', undefined, 'reader')
    const sent = await kit.answer(...many(6))
    await kit.until(() => first.ids.length >= 6)
    const after = first.deliveries[2]?.position ?? ''
    first.keeping?.release(after)
    await first.close()
    const later = await kit.answer({})
    const second = await kit.replay({ after }, undefined, 'reader')
    await second.caughtUp
    assert.deepEqual(second.ids, [...idsOf(sent).slice(3), ...idsOf(later)])
  },
  'a replay under a name goes on where it was, as long as nothing is released': async (kit) => {
    const first = await kit.replay('now', undefined, 'reader')
    const sent = await kit.answer({}, {})
    await kit.until(() => first.ids.length >= 2)
    const after = first.keeping?.from ?? first.deliveries[0]?.position ?? ''
    await first.close()
    const second = await kit.replay({ after }, undefined, 'reader')
    await second.caughtUp
    assert.deepEqual(second.ids, idsOf(sent).slice(first.keeping === undefined ? 1 : 0))
  },
  'a replay handles one message at a time': async (kit) => {
    await kit.answer(...many(5))
    let running = 0
    let most = 0
    const inbox = await kit.replay('beginning', async () => {
      running += 1
      most = Math.max(most, running)
      await kit.quiet()
      running -= 1
      return undefined
    })
    await inbox.caughtUp
    assert.equal(most, 1)
    assert.equal(inbox.ids.length, 5)
  },
  'FM-G10 a replay tries a failed message again, and skips nothing': async (kit) => {
    const [one, two, three] = await kit.answer({}, { key: 'poison' }, {})
    const inbox = await kit.replay('beginning', async ({ key }, { attempt }) => {
      if (key === 'poison' && attempt < 3) throw new Error('a handler that fails')
      return 'ack'
    })
    await inbox.caughtUp
    assert.deepEqual(inbox.ids, [one?.id, two?.id, two?.id, two?.id, three?.id])
  },
  'two replays do not disturb each other': async (kit) => {
    const sent = await kit.answer(...many(10))
    const inboxes = [await kit.replay('beginning'), await kit.replay('beginning')]
    for (const inbox of inboxes) {
      await inbox.caughtUp
      assert.deepEqual(inbox.ids, idsOf(sent))
    }
  },
  'a replay behind what is no position is refused': async (kit) => {
    await refuses(kit.replay({ after: 'no position' }), 'ERR_CONFIG')
  },
  'a replay that its user closes has not ended by itself': async (kit) => {
    const inbox = await kit.replay('beginning')
    const ends: unknown[] = []
    void inbox.ended?.then((reason) => ends.push(reason))
    await inbox.close()
    await kit.quiet()
    assert.deepEqual(ends, [])
  },
  'a closed replay gets nothing more': async (kit) => {
    const inbox = await kit.replay('beginning')
    await inbox.close()
    await kit.answer({})
    await kit.quiet()
    assert.deepEqual(inbox.ids, [])
  },
}
