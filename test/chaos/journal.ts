import { copyFileSync, createReadStream, createWriteStream, mkdtempSync, type WriteStream } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { temporaryFolder } from '../support/servers/guard.js'
import type { Entry } from './history.js'

const CHUNK_LENGTH = 65_536

/** All that is seen in a run, on disk until it is judged: kept in memory, it would slow down the one who measures. */
export class Journal {
  readonly #folder = temporaryFolder('journal')
  readonly #path = join(this.#folder.path, 'history.jsonl')
  readonly #file: WriteStream = createWriteStream(this.#path)
  #chunk = ''

  /** Adds an entry, of which nothing stays in memory. */
  note(entry: Entry): void {
    this.#chunk += `${JSON.stringify(entry)}\n`
    if (this.#chunk.length >= CHUNK_LENGTH) void this.#flush()
  }

  /** Everything noted so far that is wanted. */
  async read(isWanted: (entry: Entry) => boolean = () => true): Promise<Entry[]> {
    await this.#flush()
    const entries: Entry[] = []
    // Ids and stories come again and again: each is kept once.
    const texts = new Map<string, string>()
    const once = (_name: string, value: unknown) => {
      if (typeof value !== 'string') return value
      const known = texts.get(value)
      if (known === undefined) texts.set(value, value)
      return known ?? value
    }
    for await (const line of createInterface(createReadStream(this.#path))) {
      const entry = JSON.parse(line, once) as Entry
      if (isWanted(entry)) entries.push(entry)
    }
    return entries
  }

  /** Leaves a copy where it stays, and says where that is. */
  async keep(): Promise<string> {
    await this.#flush()
    const path = join(mkdtempSync(join(tmpdir(), 'respond-async-history-')), 'history.jsonl')
    copyFileSync(this.#path, path)
    return path
  }

  /** Removes it. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#file.end(resolve))
    this.#folder.remove()
  }

  /** Resolves when all that was noted is in the file. */
  #flush(): Promise<void> {
    const chunk = this.#chunk
    this.#chunk = ''
    return new Promise((resolve, reject) => this.#file.write(chunk, (error) => (error ? reject(error) : resolve())))
  }
}
