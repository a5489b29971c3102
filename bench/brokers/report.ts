import { median, printTable, short } from '../measure.js'
import type { Rows } from './field.js'
import type { Row } from './load.js'
import { nameOf, type Variant } from './spec.js'

/** The median of the rounds' ratios of one variant to another; NaN when one of them was not measured. */
export function ratio(rows: Rows | undefined, of: keyof Row, [one, other]: readonly [Variant, Variant]): number {
  const [ones, others] = [rows?.get(nameOf(one)) ?? [], rows?.get(nameOf(other)) ?? []]
  return median(ones.map((row, at) => row[of] / (others[at]?.[of] ?? Number.NaN)))
}

/** Prints the medians of a field's variants, with ratios to the hand-written gateway with the same store. */
export function printRows(title: string, rows: Rows, variants: readonly Variant[]): void {
  const table = variants.map((variant) => {
    const own = rows.get(nameOf(variant)) ?? []
    const pair = [variant, peerOf(variant)] as const
    const nest = { asker: 'NestJS', keeping: 'none' } as const
    const middle = (of: keyof Row): number => median(own.map((row) => row[of]))
    return {
      gateway: nameOf(variant),
      'requests/s': short(middle('rate')),
      'x hand-written': short(ratio(rows, 'rate', pair)),
      'x NestJS': short(ratio(rows, 'rate', [variant, nest])),
      'p50 ms': short(middle('p50')),
      'p99 ms': short(middle('p99')),
      // Nothing to divide by where every request was lost.
      'CPU-s per 1,000': Number.isFinite(middle('cpuPerThousand')) ? middle('cpuPerThousand').toFixed(3) : '-',
      'CPU x hand-written': short(ratio(rows, 'cpuPerThousand', pair)),
      lost: own.every(({ lost }) => lost === 0) ? '-' : `${short(middle('lost') * 100)} %`,
    }
  })
  printTable(title, table)
}

/** The hand-written gateway of the same class; a memory store of one's own keeps no second copy of results. */
function peerOf({ keeping }: Variant): Variant {
  return { asker: 'hand-written', keeping: keeping === 'own' ? 'none' : keeping }
}

/** A figure that is aimed at, and what was found. */
export interface Aim {
  readonly aim: string
  /** `least` or `most`, and the bound. */
  readonly bound: readonly ['least' | 'most', number]
  readonly found: number
}

/** Prints the aims, and by how much each one that is missed is. */
export function printAims(aims: readonly Aim[]): void {
  const table = aims
    .filter(({ found }) => !Number.isNaN(found))
    .map(({ aim, bound: [side, bound], found }) => {
      const isKept = side === 'least' ? found >= bound : found <= bound
      const by = short(Math.abs(found / bound - 1) * 100)
      return { aim, bound: `at ${side} ${bound}`, found: found.toFixed(2), kept: isKept ? 'yes' : `missed by ${by} %` }
    })
  printTable('Aims', table)
}
