import type { Scenario } from '../support/scenario.js'
import { insist, type Site } from '../support/world.js'

const REQUESTS = 'src/core/requests.ts'

const concurrentRetries: Scenario = {
  title: 'FM-E2 retries at the same time are one operation, and get no 202 for a request that the broker refuses',
  async run(world) {
    if (world.coin) world.fate = 'refused'
    const site = await world.site()
    const answers = [0, 0, 30_000].map((waitMs) => site.ask({ idempotencyKey: 'k', waitMs }))
    await world.play()
    await world.finish()
    const replies = answers.map(({ value }) => value)
    if (world.fate === 'refused')
      insist(!replies.some((reply) => reply?.kind === 'accepted'), 'a 202 for a refused request')
    else insist(new Set(replies.map((reply) => reply?.operation.id)).size === 1, 'one key has two operations')
    insist(world.requests().size === 1 || world.fate === 'refused', 'the request was published as two operations')
  },
  mutants: [
    {
      name: 'a retry that does not wait for the confirmation',
      patches: [
        { file: REQUESTS, find: 'this.#awaitConfirmation(waiting, operation)\n      waiting', replace: 'waiting' },
      ],
    },
    {
      name: 'a retry that waits only once the first request is on its way',
      patches: [{ file: REQUESTS, find: ' || (open.has(id) && pending.awaitsConfirmation(id))', replace: '' }],
    },
    {
      name: 'a retry that publishes too',
      patches: [{ file: REQUESTS, find: 'if (!created) {', replace: 'if (!created && isEnded(operation)) {' }],
    },
  ],
}

const shutdown: Scenario = {
  title: 'FM-E10 a gateway that shuts down answers everybody, and loses nothing',
  async run(world) {
    const leaving = await world.site()
    await world.site()
    const polls: ReturnType<Site['wait']>[] = []
    world.onWork = ({ id }) => void polls.push(leaving.wait(id, { waitMs: 30_000 }))
    const answers = [leaving.ask(), leaving.ask({ waitMs: 50 })]
    const closed = leaving.close()
    await world.play({ timers: 1, withinMs: 500 })
    insist(
      [...answers, ...polls, closed].every(({ at }) => at !== undefined),
      'somebody is left waiting',
    )
    await world.finish()
    insist(closed.error === undefined, `close has failed: ${closed.error}`)
    for (const { error } of answers) insist(error === undefined || isRefusal(error), `a request has failed: ${error}`)
  },
  mutants: [
    {
      name: 'forgets those who wait',
      patches: [
        {
          file: 'src/core/pending-requests.ts',
          find: "if (who === 'all' || pending.isObserver) pending.end(SHUTDOWN)",
          replace: 'this.remove(pending)',
        },
      ],
    },
    {
      name: 'forgets those who come while it closes',
      patches: [
        {
          file: 'src/core/pending-requests.ts',
          find: "if (this.#shutdown === 'all' || (this.#shutdown && pending.isObserver)) pending.end(SHUTDOWN)",
          replace: '',
        },
      ],
    },
  ],
}

function isRefusal(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ERR_CLOSED'
}

const errorAfterAnswer: Scenario = {
  title: 'FM-E17 what goes wrong after the 202 changes nothing for the client, and loses no result',
  async run(world) {
    world.failures.set('complete', 3)
    const site = await world.site()
    const answer = site.ask({ waitMs: 20 })
    await world.play({ timers: 1, withinMs: 500 })
    await world.finish()
    insist(answer.value !== undefined, `the request has failed: ${answer.error}`)
    const last = await world.store.get(answer.value.operation.id)
    insist(last?.state === 'succeeded', `the operation is ${last?.state}`)
  },
  mutants: [
    {
      name: 'settles a result that could not be recorded',
      patches: [
        {
          file: 'src/core/results.ts',
          find: 'return this.#recordResult(id, message, delivery)',
          replace: "return this.#recordResult(id, message, delivery).catch((): Settlement => 'ack')",
        },
      ],
    },
  ],
}

/** Failure modes E: the edge, where answers leave. */
export const edge: readonly Scenario[] = [concurrentRetries, shutdown, errorAfterAnswer]
