import { type ContractCase, type ContractOptions, toCases } from './contract.js'
import { acceptCases } from './http/accept-cases.js'
import { answerCases } from './http/answer-cases.js'
import { idempotencyCases } from './http/idempotency-cases.js'
import { operationCases } from './http/operation-cases.js'
import { preferCases } from './http/prefer-cases.js'
import { streamCases } from './http/stream-cases.js'
import { type AdapterTarget, createWorld } from './http/world.js'

export type { AdapterTarget, ContractRoute, ContractSetup } from './http/world.js'

const CASES = [preferCases, acceptCases, operationCases, answerCases, idempotencyCases, streamCases].flat()

/**
 * The HTTP contract over real sockets: each case serves a gateway of its own through the adapter. Titles begin with the
 * numbers of the requirements that they check.
 * @example for (const { name, run } of adapterContract({ name: 'koa', start })) it(name, run)
 */
export function adapterContract(target: AdapterTarget, options: ContractOptions = {}): ContractCase[] {
  const given = new Map(CASES.map((one) => [one.title, one.given]))
  const bodies = Object.fromEntries(
    CASES.map(({ title, run }) => [title, async (world: Parameters<typeof run>[0]) => void (await run(world))]),
  )
  return toCases(bodies, (title) => createWorld(target, given.get(title) ?? {}), options)
}
