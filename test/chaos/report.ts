import { acceptedIds } from './checks/operations.js'
import type { RunResult } from './run.js'

const MOST_SHOWN = 10

/** What a run has come to, line by line. */
export function summary({ history, violations, wishes }: RunResult): string[] {
  const { tries, looks, executions, faults } = history
  const perStatus = countBy(tries, ({ status, outcome, error }) => [status ?? error, outcome].filter(Boolean).join(' '))
  const distinct = new Set(executions.map(({ id }) => id)).size
  const lines = [
    `${wishes} requests in ${tries.length} tries: ${[...perStatus].map(([what, n]) => `${n} × ${what}`).join(', ')}`,
    `${acceptedIds(history).size} operations accepted, ${distinct} carried out, ${executions.length - distinct} times more than once; ${looks.length} looks, ${faults.length} faults`,
  ]
  const perRule = countBy(violations, ({ rule }) => rule)
  for (const [rule, count] of perRule) {
    lines.push(`VIOLATED ${count} times: ${rule}`)
    lines.push(
      ...violations
        .filter((each) => each.rule === rule)
        .slice(0, MOST_SHOWN)
        .map(({ text }) => `  ${text}`),
    )
  }
  return [...lines, violations.length === 0 ? 'no violations' : `${violations.length} violations`]
}

function countBy<T>(list: readonly T[], nameOf: (each: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const each of list) counts.set(nameOf(each), (counts.get(nameOf(each)) ?? 0) + 1)
  return counts
}
