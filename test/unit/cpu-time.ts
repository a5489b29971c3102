/** The processor time that a call takes, in milliseconds: on a loaded machine the clock on the wall tells nothing. */
export function cpuMs(run: () => unknown): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** The median of 21 calls. */
export function medianCpuMs(run: () => unknown): number {
  const times = Array.from({ length: 21 }, () => cpuMs(run)).sort((a, b) => a - b)
  return times[10] ?? Number.POSITIVE_INFINITY
}
