/** What has happened, in order. Random ids are called by the order of their first appearance, so that runs compare. */
export class Trace {
  readonly lines: string[] = []
  readonly #now: () => number
  readonly #names = new Map<string, string>()
  readonly #start: number

  constructor(now: () => number) {
    this.#now = now
    this.#start = now()
  }

  add(who: string, what: string, detail = ''): void {
    this.lines.push(`${this.#now() - this.#start} ${who} ${what} ${detail}`)
  }

  nameOf(id: string | undefined): string {
    if (id === undefined) return '-'
    const known = this.#names.get(id)
    if (known !== undefined) return known
    const name = `op${this.#names.size + 1}`
    this.#names.set(id, name)
    return name
  }
}
