import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/** One promise of a seam. Hand each to your test runner: `it(name, run)`. */
export interface ContractCase {
  /** Unique within its suite, and the same in every version that has the case. */
  readonly name: string
  /** Why the case does not apply to what is tested; test runners should show it. */
  readonly skip?: string
  run(): Promise<void>
}

/** What every contract suite can be told. */
export interface ContractOptions {
  /** Cases that do not apply, by name, each with its reason. */
  readonly skip?: Readonly<Record<string, string>>
  /** How long to wait for what must come. @default 5000 */
  readonly timeoutMs?: number
  /** How long to wait for what must not come. @default 50 */
  readonly quietMs?: number
}

/** A case before it knows what it is run on. */
export type Body<Kit> = (kit: Kit) => Promise<unknown>

/** Makes the cases of a suite, each with a kit of its own that is opened by its name, and closed in any event. */
export function toCases<Kit extends { close(): Promise<void> }>(
  bodies: Readonly<Record<string, Body<Kit>>>,
  open: (name: string) => Promise<Kit>,
  { skip = {} }: ContractOptions,
): ContractCase[] {
  const unknown = Object.keys(skip).filter((name) => !(name in bodies))
  assert.deepEqual(unknown, [], 'these cases cannot be skipped, as there are none of these names')
  return Object.entries(bodies).map(([name, body]) => {
    const run = async (): Promise<void> => {
      const kit = await open(name)
      try {
        await body(kit)
      } finally {
        await kit.close()
      }
    }
    const reason = skip[name]
    return reason === undefined ? { name, run } : { name, skip: reason, run }
  })
}

/** Waits until a condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<void> {
  for (const start = performance.now(); !(await condition()); ) {
    if (performance.now() - start > timeoutMs)
      assert.fail(`this did not come true within ${timeoutMs} ms: ${condition}`)
    await sleep(1)
  }
}

/** Checks that a call is refused with an error of this code. */
export async function refuses(call: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error, `expected an error with a code, got ${String(error)}`)
    assert.equal(error.code, code)
    return true
  })
}
