import assert from 'node:assert/strict'
import { refuses } from './contract.js'
import { createGate, idsOf, many, type TransportCases } from './transport-kit.js'
import { REPLAY } from './transport-replays.js'

const OWN: TransportCases = {
  'an own reader gets what is published from its opening on': async (kit) => {
    await kit.answer({})
    const inbox = await kit.own()
    const later = await kit.answer({}, {})
    await kit.until(() => inbox.ids.length >= 2)
    assert.deepEqual(inbox.ids, idsOf(later))
    assert.equal(inbox.deliveries[0]?.attempt, 1)
    await inbox.caughtUp
  },
  'FM-C6 a result published as soon as a reader is open reaches it': async (kit) => {
    const inbox = await kit.own()
    await Promise.all(many(20).map((init) => kit.answer(init)))
    await kit.until(() => inbox.ids.length === 20)
  },
  'each own reader gets its own copy': async (kit) => {
    const inboxes = await Promise.all([kit.own(), kit.own(), kit.own()])
    const sent = await kit.answer({}, {})
    for (const inbox of inboxes) {
      await kit.until(() => inbox.ids.length === 2)
      assert.deepEqual(inbox.ids, idsOf(sent))
    }
  },
  'an own reader that fails gets the next message, and never again the one that failed': async (kit) => {
    const inbox = await kit.own(() => Promise.reject(new Error('a handler that fails')))
    const thrower = await kit.own(() => {
      throw new Error('a handler that fails')
    })
    const sent = await kit.answer({}, {})
    await kit.until(() => inbox.ids.length >= 2 && thrower.ids.length >= 2)
    await kit.quiet()
    assert.deepEqual(inbox.ids, idsOf(sent))
    assert.deepEqual(thrower.ids, idsOf(sent))
  },
  'a closed own reader gets nothing more': async (kit) => {
    const [closed, open] = [await kit.own(), await kit.own()]
    await closed.close()
    await kit.answer({})
    await kit.until(() => open.ids.length === 1)
    await kit.quiet()
    assert.deepEqual(closed.ids, [])
  },
  'results that nobody reads are taken': async (kit) => {
    await kit.answer({}, {})
  },
  'publish calls no handler itself': async (kit) => {
    const inbox = await kit.own()
    const publishing = kit.answer({})
    assert.deepEqual(inbox.ids, [])
    await publishing
    await kit.until(() => inbox.ids.length === 1)
  },
}

const SHARED: TransportCases = {
  'each request goes to one member of a group': async (kit) => {
    const members = [await kit.worker(), await kit.worker(), await kit.worker()]
    const sent = await kit.ask(...many(30))
    await kit.until(() => members.flatMap(({ ids }) => ids).length >= 30)
    await kit.quiet()
    assert.deepEqual(members.flatMap(({ ids }) => ids).sort(), idsOf(sent).sort())
  },
  'each group gets its own copy': async (kit) => {
    const groups = [await kit.worker(undefined, { group: 'a' }), await kit.worker(undefined, { group: 'b' })]
    const sent = await kit.ask({}, {})
    for (const { ids } of groups) {
      await kit.until(() => ids.length === 2)
      assert.deepEqual(ids, idsOf(sent))
    }
  },
  'FM-B5 a request that no worker subscribes to is refused': async (kit) => {
    const inbox = await kit.worker()
    await refuses(kit.ask({ type: kit.name('Contract::Unheard') }), 'ERR_PUBLISH_REJECTED')
    await kit.ask({})
    await kit.until(() => inbox.ids.length === 1)
  },
  'a worker gets no requests of other types': async (kit) => {
    const other = kit.name('Contract::Other')
    const inbox = await kit.worker()
    const others = await kit.worker(undefined, { group: 'others', type: other })
    const [first] = await kit.ask({}, { type: other })
    await kit.until(() => inbox.ids.length === 1 && others.ids.length === 1)
    assert.deepEqual(inbox.ids, [first?.id])
  },
  'a group keeps its messages while nobody reads them': async (kit) => {
    const before = await kit.worker()
    await before.close()
    const sent = await kit.ask({}, {})
    const after = await kit.worker()
    await kit.until(() => after.ids.length === 2)
    assert.deepEqual(after.ids, idsOf(sent))
    assert.deepEqual(before.ids, [])
  },
  'the results go to an own reader and to a group': async (kit) => {
    const [own, recorder] = [await kit.own(), await kit.recorder()]
    const sent = await kit.answer(...many(5))
    for (const { ids } of [own, recorder]) {
      await kit.until(() => ids.length === 5)
      assert.deepEqual(ids, idsOf(sent))
    }
  },
  'a member has no more messages at a time than its concurrency': async (kit) => {
    const gate = createGate()
    const inbox = await kit.worker(() => gate.passed.then(() => 'ack'), { concurrency: 3 })
    await kit.ask(...many(10))
    await kit.until(() => inbox.ids.length === 3)
    await kit.quiet()
    assert.equal(inbox.ids.length, 3)
    gate.open()
    await kit.until(() => inbox.ids.length === 10)
  },
  'FM-B12 requests with one key keep their order': async (kit) => {
    const inbox = await kit.worker(undefined, { concurrency: 1 })
    const sent = await kit.ask(...many(30).map((init) => ({ ...init, key: 'one' })))
    await kit.until(() => inbox.ids.length === 30)
    assert.deepEqual(inbox.ids, idsOf(sent))
  },
  'a group has caught up when what was there is handled': async (kit) => {
    await (await kit.worker()).close()
    await kit.ask({}, {})
    const inbox = await kit.worker()
    await inbox.caughtUp
    assert.equal(inbox.ids.length, 2)
  },
  'many requests at once arrive once each': async (kit) => {
    const inbox = await kit.worker()
    const sent = (await Promise.all(many(300).map((init) => kit.ask(init)))).flat()
    await kit.until(() => inbox.ids.length >= 300)
    await kit.quiet()
    assert.deepEqual([...inbox.ids].sort(), idsOf(sent).sort())
  },
}

const SETTLING: TransportCases = {
  'FM-C17 a rejected message comes again, with a higher attempt': async (kit) => {
    const inbox = await kit.worker(async (_, { attempt }) =>
      attempt < 3 ? Promise.reject(new Error('not yet')) : 'ack',
    )
    const [sent] = await kit.ask({})
    await kit.until(() => inbox.ids.length >= 3)
    await kit.quiet()
    assert.deepEqual(inbox.ids, [sent?.id, sent?.id, sent?.id])
    assert.deepEqual(
      inbox.deliveries.map(({ attempt }) => attempt),
      [1, 2, 3],
    )
  },
  'a requeued message comes again': async (kit) => {
    const inbox = await kit.recorder(async (_, { attempt }) => (attempt === 1 ? 'requeue' : undefined))
    const [sent] = await kit.answer({})
    await kit.until(() => inbox.ids.length >= 2)
    await kit.quiet()
    assert.deepEqual(inbox.ids, [sent?.id, sent?.id])
  },
  'FM-C9 a message that fails holds up no other': async (kit) => {
    const inbox = await kit.worker(
      async ({ key }, { attempt }) => {
        if (key === 'poison' && attempt < 4) throw new Error('a handler that fails')
        return 'ack'
      },
      { concurrency: 1 },
    )
    const sent = await kit.ask({ key: 'poison' }, {}, {}, {})
    await kit.until(() => inbox.ids.length >= 7)
    assert.deepEqual(new Set(inbox.ids), new Set(idsOf(sent)))
  },
  'a parked message never comes again, and holds up no other': async (kit) => {
    const inbox = await kit.worker(async ({ key }) => (key === 'poison' ? 'park' : 'ack'), { concurrency: 1 })
    const sent = await kit.ask({ key: 'poison' }, {}, {})
    await kit.until(() => inbox.ids.length >= 3)
    await kit.quiet()
    assert.deepEqual(inbox.ids, idsOf(sent))
  },
  'FM-C8 a message stays with its member until the handler has settled it': async (kit) => {
    const gate = createGate()
    const slow = await kit.worker(() => gate.passed.then(() => 'ack'))
    await kit.ask({})
    await kit.until(() => slow.ids.length === 1)
    const other = await kit.worker()
    await kit.quiet()
    gate.open()
    await slow.close()
    await kit.quiet()
    assert.deepEqual(other.ids, [])
  },
  'closing a reader waits for its running handlers': async (kit) => {
    const gate = createGate()
    const inbox = await kit.worker(() => gate.passed.then(() => 'ack'))
    await kit.ask({})
    await kit.until(() => inbox.ids.length === 1)
    let closed = false
    const closing = inbox.close().then(() => {
      closed = true
    })
    await kit.quiet()
    assert.equal(closed, false)
    gate.open()
    await closing
  },
  'what a closing reader has not settled goes to the other members': async (kit) => {
    const gate = createGate()
    const leaving = await kit.worker(() => gate.passed.then(() => 'requeue'), { concurrency: 1 })
    const sent = await kit.ask({}, {}, {})
    await kit.until(() => leaving.ids.length === 1)
    const closing = leaving.close()
    gate.open()
    await closing
    const staying = await kit.worker()
    await kit.until(() => staying.ids.length >= 3)
    assert.deepEqual([...staying.ids].sort(), idsOf(sent).sort())
  },
}

/** What the three kinds of reading promise. */
export const READING: TransportCases = { ...OWN, ...SHARED, ...SETTLING, ...REPLAY }
