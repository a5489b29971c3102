import { lendsEnded, lendsNothing, markRevives } from '../support/broken-stores.js'
import type { Scenario } from '../support/scenario.js'
import { insist, type World } from '../support/world.js'

const EAGER = { relayAfterMs: 1 }

const crashAroundPublish: Scenario = {
  title: 'FM-B2 what a crashed gateway may have published is published again under the same message id',
  async run(world) {
    const doomed = await world.site(EAGER)
    const other = await world.site(EAGER)
    doomed.ask({ waitMs: 0 })
    world.later('crash', () => doomed.crash())
    await world.play({ timers: 2, withinMs: 2000 })
    await world.finish()
    for (const messages of world.requests().values()) insist(messages.size === 1, 'one request has two message ids')
    for (const id of world.createdAt.keys()) {
      insist((await world.store.get(id))?.state === 'succeeded', 'the request was not carried out')
    }
    insist(other.gateway.counters.pending === 0, 'somebody waits')
  },
  mutants: [
    {
      name: 'a relay that makes new messages',
      patches: [
        {
          file: 'src/core/outbox.ts',
          find: 'await this.#attempt(id, request)',
          replace: "await this.#attempt(id, { ...request, id: 'another' }, false)",
        },
      ],
    },
    { name: 'no relay', breakStore: lendsNothing },
  ],
}

/** The first publish is not confirmed, and its worker dies; the next one goes well. */
function loseFirst(world: World): void {
  world.fate = 'lost-confirm'
  world.results = []
  world.onWork = () => {
    world.onWork = () => {
      world.results = ['Done']
    }
    world.fate = 'confirmed'
  }
}

const markFails: Scenario = {
  title: 'FM-B17 what has ended is not published again, although nobody noted that it had been published',
  async run(world) {
    if (world.coin) loseFirst(world)
    else world.failures.set('markPublished', 1)
    const site = await world.site(EAGER)
    const other = await world.site(EAGER)
    site.ask({ waitMs: 0 })
    await world.play({ timers: 4, withinMs: 2000 })
    for (let count = 0; count < 2; count += 1) other.get([...world.createdAt.keys()][0] ?? '')
    await world.finish()
    for (const { message, at } of world.published) {
      const lentAt = world.leasedAt.get(message.id)
      const endedAt = world.endedAt.get(message.id) ?? Number.POSITIVE_INFINITY
      insist(lentAt === undefined || lentAt > at || endedAt > lentAt, 'published again after its end')
    }
  },
  mutants: [
    { name: 'a store that lends out what has ended', breakStore: lendsEnded },
    { name: 'a mark that brings back what has ended', breakStore: markRevives },
  ],
}

const slowPublisher: Scenario = {
  title: 'FM-P2 who is told that nothing has happened is right, also when a relay was faster than the first publish',
  async run(world) {
    world.fate = 'refused'
    const carriedOut = new Set<string>()
    world.onWork = ({ id }) => void carriedOut.add(id)
    const slow = await world.site(EAGER)
    await world.site(EAGER)
    const answer = slow.ask({ waitMs: 0 })
    world.later('the broker is back', () => {
      world.fate = 'confirmed'
    })
    await world.play({ timers: 4, withinMs: 2000 })
    await world.finish()
    const { operation } = answer.value ?? {}
    const isRefused = operation?.error?.code === 'ERR_PUBLISH_REJECTED'
    insist(!isRefused || !carriedOut.has(operation.id), 'a request was carried out that was told to be refused')
  },
  mutants: [
    {
      name: 'a refusal that does not ask whether somebody else has had it',
      patches: [
        { file: 'src/stores/memory/index.ts', find: "'error' in ending && ending.releaseKey", replace: 'false' },
      ],
    },
  ],
}

/** Failure modes B: request events on their way to the broker. */
export const publishing: readonly Scenario[] = [crashAroundPublish, markFails, slowPublisher]
