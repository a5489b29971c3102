/** CPU and wall time of some work, in microseconds for each of its parts. */
export interface Cost {
  readonly wallUs: number
  readonly cpuUs: number
}

/** Runs `count` calls, `inFlight` at a time, and gives the cost of one. */
export async function costOf(call: () => Promise<unknown>, count: number, inFlight = 64): Promise<Cost> {
  let left = count
  const loop = async () => {
    while (left > 0) {
      left -= 1
      await call()
    }
  }
  const cpuBefore = process.cpuUsage()
  const before = performance.now()
  await Promise.all(Array.from({ length: inFlight }, loop))
  const wallUs = ((performance.now() - before) * 1000) / count
  const { user, system } = process.cpuUsage(cpuBefore)
  return { wallUs, cpuUs: (user + system) / count }
}

/** The middle one of several values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Heap in use after a full collection, in bytes. */
export function heapUsed(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

/** Prints a table with aligned columns. */
export function printTable(title: string, rows: readonly Readonly<Record<string, string | number>>[]): void {
  process.stdout.write(`\n### ${title}\n\n`)
  const names = Object.keys(rows[0] ?? {})
  process.stdout.write(`| ${names.join(' | ')} |\n|${names.map((_, at) => (at === 0 ? '---' : '---:')).join('|')}|\n`)
  for (const row of rows) process.stdout.write(`| ${names.map((name) => row[name]).join(' | ')} |\n`)
}

/** A number with so many digits that matter; a hyphen for none. */
export function short(value: number): string {
  if (Number.isNaN(value)) return '-'
  if (value >= 1000) return Math.round(value).toLocaleString('en-US')
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
