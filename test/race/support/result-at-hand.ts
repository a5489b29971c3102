/** Breaks the core: whoever waits is told the result that woke them, not what the store decided. */
export const resultAtHand = {
  file: 'src/core/parts.ts',
  find: 'store.complete(id, ending).then((settled) => settled && tell(settled, event))',
  replace: `store.complete(id, ending).then((settled) => {
    const result = 'result' in ending ? { result: ending.result } : {}
    if (settled !== undefined) see({ ...settled.operation, state: ending.state, ...result })
    return settled
  })`,
}
