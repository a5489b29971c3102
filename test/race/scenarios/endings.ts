import { lastWriteWins } from '../support/broken-stores.js'
import type { Scenario } from '../support/scenario.js'
import { insist, type Site } from '../support/world.js'

const twoResults: Scenario = {
  title: 'FM-D5 of two results that two gateways take up at once, one wins everywhere',
  async run(world) {
    world.results = ['Done', 'Refused']
    const sites = [await world.site(), await world.site()] as const
    const polls: ReturnType<Site['wait']>[] = []
    world.onWork = ({ id }) => void polls.push(sites[1].wait(id, { waitMs: 30_000 }))
    const answer = sites[0].ask()
    await world.play()
    await world.finish()
    insist(answer.value?.kind === 'completed' && polls[0]?.value !== undefined, 'somebody was forgotten')
    const wins = sites.reduce((sum, { gateway }) => sum + gateway.counters.completed, 0)
    insist(wins === 1, `the operation ended ${wins} times`)
    const { event, operation } = answer.value
    insist(event.id === operation.result?.id, 'the one who asked got another event than the one that decided')
  },
  mutants: [
    { name: 'a store in which the last write wins', breakStore: lastWriteWins },
    {
      name: 'whoever waits gets the event that came, whoever won',
      patches: [
        {
          file: 'src/core/parts.ts',
          find: "see(operation, verdict === 'won' ? event : undefined)",
          replace: 'see(operation, event)',
        },
      ],
    },
  ],
}

const cancelOrResult: Scenario = {
  title: 'FM-D6 who cancels is told how the operation has really ended',
  async run(world) {
    const sites = [await world.site(), await world.site()] as const
    const cancels: ReturnType<Site['cancel']>[] = []
    world.onWork = ({ id }) => void cancels.push(sites[1].cancel(id))
    sites[0].ask()
    await world.play()
    await world.finish()
    const settled = cancels[0]?.value
    const canceled = settled?.operation.state === 'canceled'
    insist(settled !== undefined && canceled === (settled.verdict === 'won'), 'the answer contradicts the verdict')
  },
  mutants: [
    {
      name: 'says canceled without looking at the verdict',
      patches: [
        {
          file: 'src/core/operations.ts',
          find: 'return settled',
          replace: "return settled && { ...settled, operation: { ...settled.operation, state: 'canceled' } }",
        },
      ],
    },
  ],
}

const expiryOrResult: Scenario = {
  title: 'FM-D7 an expired operation stays expired, and its late result is kept beside it',
  async run(world) {
    const sites = [await world.site({ operationTtlMs: 40 }), await world.site()] as const
    world.onWork = ({ id }) => {
      for (const site of sites) site.get(id)
    }
    sites[0].ask({ waitMs: 0 })
    await world.play({ timers: 2, withinMs: 2000 })
    const [id = ''] = world.createdAt.keys()
    sites[1].get(id)
    await world.finish()
    const last = await world.store.get(id)
    const kept = last?.state === 'succeeded' || last?.lateResult !== undefined || world.published.length === 0
    insist(kept, 'the result is nowhere')
  },
  mutants: [
    {
      name: 'a late result that ends what has expired',
      patches: [
        {
          file: 'src/core/operation.ts',
          find: 'if (isEnded(operation))',
          replace: "if (isEnded(operation) && operation.state !== 'expired')",
        },
      ],
    },
  ],
}

const deleted: Scenario = {
  title: 'FM-D19 an operation that somebody deletes keeps nobody waiting, also when the broker refuses it',
  async run(world) {
    if (world.coin) world.fate = 'refused'
    const site = await world.site()
    site.ask({ waitMs: 20 })
    world.later('delete', () => {
      for (const id of world.createdAt.keys()) world.deleted.add(id)
    })
    await world.play({ timers: 2, withinMs: 50 })
    await world.finish()
  },
  mutants: [
    {
      name: 'takes a refusal for recorded that was not',
      patches: [
        {
          file: 'src/core/outbox.ts',
          find: "return settled !== undefined && settled.verdict !== 'stale'",
          replace: 'return true',
        },
      ],
    },
  ],
}

const twins: Scenario = {
  title: 'FM-D5 a result whose first copy cannot be recorded is recorded by its second',
  async run(world) {
    world.failures.set('complete', 1)
    const site = await world.site()
    site.ask()
    await world.play()
    await world.finish()
    const [id = ''] = world.createdAt.keys()
    insist((await world.store.get(id))?.state === 'succeeded', 'the result is nowhere')
  },
  mutants: [
    {
      name: 'the second is done before the first is recorded',
      patches: [
        {
          file: 'src/core/twins.ts',
          find: 'if (!(known instanceof Promise)) return Promise.resolve(known)',
          replace: 'if (known !== undefined) return Promise.resolve(SAME)',
        },
      ],
    },
    {
      name: 'the second shares the failure of the first',
      patches: [
        { file: 'src/core/twins.ts', find: 'joinedOf(settled) ?? complete()', replace: 'joinedOf(settled) ?? SAME' },
      ],
    },
  ],
}

/** Failure modes D: how operations end. */
export const endings: readonly Scenario[] = [twoResults, cancelOrResult, expiryOrResult, deleted, twins]
