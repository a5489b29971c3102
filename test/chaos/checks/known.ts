import type { History, Known } from '../history.js'

/** A time in which a gateway knew that a part is out of reach. */
export interface KnownSpan {
  readonly gateway: number
  readonly part: Known['part']
  readonly from: number
  /** Infinite where it never said that the part is back. */
  readonly to: number
  /** Whether it ended with the part's return, and not with the gateway. */
  readonly isHealed: boolean
}

/** From each loss that a gateway has noticed to its end, or to that of the gateway, which never says so. */
export function knownSpans({ known, turns }: Pick<History, 'known' | 'turns'>): KnownSpan[] {
  const spans: KnownSpan[] = []
  const open = new Map<string, Omit<KnownSpan, 'to' | 'isHealed'>>()
  const end = (key: string, to: number, isHealed: boolean) => {
    const span = open.get(key)
    if (span) spans.push({ ...span, to, isHealed })
    open.delete(key)
  }
  const downs = turns.filter(({ kind }) => kind === 'down').map((turn) => ({ ...turn, kind: 'down' as const }))
  for (const entry of [...known, ...downs].sort((a, b) => a.at - b.at)) {
    const { gateway, at } = entry
    if (entry.kind === 'down') for (const part of ['broker', 'store'] as const) end(`${gateway} ${part}`, at, false)
    else if (!entry.isDown) end(`${gateway} ${entry.part}`, at, true)
    else if (!open.has(`${gateway} ${entry.part}`))
      open.set(`${gateway} ${entry.part}`, { gateway, part: entry.part, from: at })
  }
  for (const key of [...open.keys()]) end(key, Number.POSITIVE_INFINITY, false)
  return spans
}

/** What gateways knew, and when. */
export class Knowledge {
  readonly #spans: readonly KnownSpan[]

  constructor(history: Pick<History, 'known' | 'turns'>) {
    this.#spans = knownSpans(history)
  }

  /** Whether the gateway knew at some time of the span that the part is out of reach. */
  has(gateway: number, part: Known['part'], { from, to }: { readonly from: number; readonly to: number }): boolean {
    return this.#spans.some(
      (span) => span.gateway === gateway && span.part === part && span.from <= to && span.to >= from,
    )
  }
}
