import { checkThenAct } from '../support/broken-stores.js'
import { resultAtHand } from '../support/result-at-hand.js'
import type { Scenario } from '../support/scenario.js'
import { insist } from '../support/world.js'

const PENDING = 'src/core/pending-requests.ts'
const REQUESTS = 'src/core/requests.ts'
const REPLIES = 'src/core/replies.ts'

const resultBeforeConfirm: Scenario = {
  title: 'FM-A1 a result that overtakes the confirmation of its request wakes the one who waits',
  async run(world) {
    const site = await world.site()
    const answer = site.ask()
    await world.play()
    insist(answer.value?.kind === 'completed', 'the result was there, and nobody was woken')
  },
  mutants: [
    {
      name: 'a registration that counts only once the publish is confirmed',
      patches: [
        {
          file: PENDING,
          find: 'else all?.wake(operation, event)',
          replace: 'else if (all?.isConfirmed) all.wake(operation, event)',
        },
      ],
    },
  ],
}

const resultAtTheDeadline: Scenario = {
  title: 'FM-A2 a result that comes while the 202 is being made has one answer, and not one that was out of date',
  async run(world) {
    const site = await world.site()
    const answer = site.ask({ waitMs: 20 })
    // The wait ends at any time after the worker has begun.
    world.onWork = () => world.tick(50)
    await world.play()
    const firedAt = world.timerAt
    await world.finish()
    const deferred = answer.value?.kind === 'accepted'
    const endedAt = world.endedAt.get(answer.value?.operation.id ?? '') ?? Number.POSITIVE_INFINITY
    insist(site.gateway.counters.deferred === Number(deferred), 'the request was answered and deferred')
    insist(
      !deferred || firedAt === undefined || endedAt > firedAt,
      'a 202 although the result was there before time was up',
    )
  },
  mutants: [
    {
      name: 'a wait that may end twice',
      patches: [
        { file: 'src/core/pending-request.ts', find: 'if (this.#end !== undefined) return', replace: '' },
        { file: PENDING, find: 'this.deadlines.cancel(pending)', replace: '' },
      ],
    },
    {
      name: 'no second look before the 202',
      patches: [
        {
          file: REPLIES,
          find: 'const operation = await this.look(known)',
          replace: 'const operation = this.#asCreated(known)',
        },
      ],
    },
  ],
}

const ownResult: Scenario = {
  title: 'FM-A6 whoever waits is told what the store decided, not the result that woke them',
  async run(world) {
    world.results = ['Done', 'Refused']
    const site = await world.site()
    const answer = site.ask()
    await world.play()
    insist(answer.value?.kind === 'completed', 'two results were there, and nobody was woken')
  },
  mutants: [
    {
      name: 'answers the result at hand',
      patches: [resultAtHand],
    },
  ],
}

const manyWait: Scenario = {
  title: 'FM-A11 all who wait for one operation get its end, also when one of them leaves',
  async run(world) {
    const site = await world.site()
    const leaver = new AbortController()
    const polls: ReturnType<typeof site.wait>[] = []
    world.onWork = ({ id }) => void polls.push(site.wait(id, { waitMs: 30_000 }))
    const first = site.ask({ idempotencyKey: 'k' })
    const second = site.ask({ idempotencyKey: 'k', signal: leaver.signal })
    world.later('one leaves', () => leaver.abort(new Error('gone')))
    await world.play()
    const stays = first.value?.kind === 'completed' && polls.every(({ value }) => value?.state === 'succeeded')
    insist(stays && second.at !== undefined, 'somebody was forgotten')
    insist(world.requests().size === 1, 'there were two operations')
  },
  mutants: [
    {
      name: 'the last to wait replaces the others',
      patches: [
        {
          file: PENDING,
          find: 'else entry.waiting = others === undefined ? pending : new Set([others, pending])',
          replace: 'else entry.waiting = pending',
        },
      ],
    },
    {
      name: 'the first to leave takes the others along',
      patches: [
        {
          file: PENDING,
          find: 'if (entry.waiting instanceof Set && (!entry.waiting.delete(pending) || entry.waiting.size > 0)) return',
          replace: '',
        },
      ],
    },
    {
      name: 'a retry that shares the fate of a first caller who leaves',
      patches: [
        {
          file: REQUESTS,
          find: 'return wasTakenBack(reply.operation) ? this.#run(command, input, options) : reply',
          replace: 'return reply',
        },
      ],
    },
  ],
}

const retryElsewhere: Scenario = {
  title: 'FM-A15 a retry at another gateway joins the operation of the first',
  async run(world) {
    const here = await world.site()
    const there = await world.site()
    const answers = [here.ask({ idempotencyKey: 'k' }), there.ask({ idempotencyKey: 'k' })]
    await world.play()
    await world.finish()
    insist(world.requests().size === 1, 'the request was published as two operations')
    const ids = new Set(answers.map(({ value }) => value?.operation.id))
    insist(ids.size === 1 && !ids.has(undefined), 'one key has two operations')
  },
  mutants: [
    { name: 'a store that looks before it writes', breakStore: checkThenAct },
    {
      name: 'a gateway that publishes whatever the store says',
      patches: [{ file: REQUESTS, find: 'if (!created) {', replace: 'if (!created && isEnded(operation)) {' }],
    },
  ],
}

const callerLeaves: Scenario = {
  title: 'FM-A20 a caller who leaves before the publish takes the request back, and afterwards ends the wait only',
  async run(world) {
    const site = await world.site()
    const caller = new AbortController()
    let leftAt = Number.POSITIVE_INFINITY
    site.ask({ signal: caller.signal })
    world.later('the caller leaves', () => {
      leftAt = world.now
      caller.abort(new Error('gone'))
    })
    await world.play()
    const [published] = world.published
    insist(published === undefined || published.at <= leftAt, 'published although the caller had left before')
    await world.finish()
    const [id = ''] = world.createdAt.keys()
    const operation = await world.store.get(id)
    const expected = published === undefined ? 'canceled' : 'succeeded'
    insist(operation === undefined || operation.state === expected, `${expected} was expected, not ${operation?.state}`)
  },
  mutants: [
    {
      name: 'publishes for a caller who has left',
      patches: [{ file: REQUESTS, find: 'if (!waiting.isOpen) {', replace: 'if (operation === undefined) {' }],
    },
    {
      name: 'takes back what has been published',
      patches: [
        {
          file: REPLIES,
          find: "this.#parts.lifecycle.note('gone', { id: known.id })",
          replace:
            "void this.#parts.settle(known.id, { state: 'canceled', error: { code: 'ERR_OPERATION_CANCELED', message: '' }, releaseKey: true })",
        },
      ],
    },
  ],
}

/** Failure modes A: results and those who wait for them. */
export const correlation: readonly Scenario[] = [
  ...[resultBeforeConfirm, resultAtTheDeadline, ownResult],
  ...[manyWait, retryElsewhere, callerLeaves],
]
