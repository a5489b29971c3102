import { setTimeout as sleep } from 'node:timers/promises'
import { BECAUSE, SETTINGS } from './config.js'
import type { Answer as OrderAnswer } from './events.js'
import { type Entry, type Look, now, type Try } from './history.js'
import { type Answer, ask } from './http.js'

/** A gateway as clients see it. */
export interface Target {
  readonly index: number
  readonly port: number
}

/** What clients need. */
export interface ClientsInit {
  readonly targets: readonly Target[]
  readonly random: () => number
  note(entry: Entry): void
}

const POLL_MS = 400
/** Before the first retry; doubled for each further one, as clients that all ask again at once are an outage of their own. */
const RETRY_MS = 500
const MOST_RETRY_MS = 8000

/** Clients that ask with a key, ask again when they may, and follow what they were promised. */
export class Clients {
  readonly #init: ClientsInit
  /** Keys of this run are its own. */
  readonly #run = Math.random().toString(36).slice(2)
  #inFlight = 0
  #stopped = false
  #wishing = 0

  constructor(init: ClientsInit) {
    this.#init = init
  }

  /** How many requests and polls are under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** How many clients still want something. */
  get wishing(): number {
    return this.#wishing
  }

  /** No request is tried again any more, and nobody polls on. */
  stop(): void {
    this.#stopped = true
  }

  /** One client with one wish: some leave at the first refusal, some ask twice at once, the others persist. */
  async wish(n: number): Promise<void> {
    // A client between two tries, or two looks, is not done either.
    this.#wishing += 1
    await this.#wish(n)
    this.#wishing -= 1
  }

  async #wish(n: number): Promise<void> {
    const { random } = this.#init
    const prefer = pickPreference(random())
    const persists = random() > 0.15
    if (random() < 0.03) void this.#try(n, prefer)
    let last = await this.#try(n, prefer)
    for (let retryMs = RETRY_MS; persists && !this.#stopped && !isAnswered(last); retryMs *= 2) {
      await sleep(Math.min(retryMs, MOST_RETRY_MS) * (0.5 + random()))
      last = await this.#try(n, prefer)
    }
    if (last.id !== undefined && last.status === 202) await this.#follow(last.id)
  }

  /** Looks at an operation until it has ended, or nothing is to be expected any more. */
  async #follow(id: string): Promise<void> {
    while (!this.#stopped) {
      await sleep(POLL_MS * (0.5 + this.#init.random()))
      const { seen } = await this.look(id)
      if (seen === 'ended' || seen === 'gone') break
    }
  }

  async #try(n: number, { prefer, waitMs }: Preference): Promise<Try> {
    const target = this.#pick()
    const headers = {
      'content-type': 'application/json',
      'idempotency-key': `"${this.#run}-${n}"`,
      ...(prefer !== undefined && { prefer }),
    }
    const question = {
      port: target.port,
      path: '/orders',
      method: 'POST',
      headers,
      body: JSON.stringify({ n }),
    } as const
    const answer = await this.#ask(question)
    const entry: Try = {
      kind: 'try',
      n,
      gateway: target.index,
      waitMs,
      from: answer.sentAt,
      to: now(),
      ...readTry(answer),
    }
    this.#init.note(entry)
    return entry
  }

  /** Looks at an operation at any gateway, or at a certain one. */
  async look(id: string, target: Target = this.#pick()): Promise<Look> {
    const state = await this.#ask({ port: target.port, path: `/operations/${id}` })
    const location = state.headers.location
    const answer = state.status === 303 && location ? await this.#ask({ port: target.port, path: location }) : state
    const entry: Look = {
      kind: 'look',
      id,
      gateway: target.index,
      from: state.sentAt,
      to: now(),
      ...readLook(state, answer),
    }
    this.#init.note(entry)
    return entry
  }

  async #ask(question: Parameters<typeof ask>[0]): Promise<Answer> {
    this.#inFlight += 1
    const answer = await ask(question)
    this.#inFlight -= 1
    return answer
  }

  #pick(): Target {
    const { targets, random } = this.#init
    const target = targets[Math.floor(random() * targets.length)]
    if (target === undefined) throw new Error('There is no gateway to ask.')
    return target
  }
}

interface Preference {
  readonly prefer: string | undefined
  readonly waitMs: number
}

function pickPreference(dice: number): Preference {
  if (dice < 0.25) return { prefer: 'respond-async', waitMs: 0 }
  if (dice < 0.4) return { prefer: 'respond-async, wait=1', waitMs: 1000 }
  return { prefer: undefined, waitMs: SETTINGS.waitMs }
}

function isAnswered({ status }: Try): boolean {
  return status !== undefined && status !== 503 && status !== 429
}

/** The end of an operation as an answer tells it. */
function storyOf({ status, body }: Answer): { readonly id?: string; readonly story?: string } {
  const parsed = parse(body)
  const data = status === 201 ? parsed : parsed?.data
  if (status !== 201 && status !== 409) return {}
  return { ...(data?.id && { id: data.id }), story: `${status} by ${data?.execution}` }
}

type Parsed = Partial<OrderAnswer> & {
  readonly data?: Partial<OrderAnswer>
  readonly outcome?: string
  readonly code?: string
}

function parse(body: string): Parsed | undefined {
  try {
    return JSON.parse(body) as Parsed
  } catch {
    // Shown by what is missing then: an id, an execution.
    return undefined
  }
}

function readTry(answer: Answer): Pick<Try, 'status' | 'outcome' | 'code' | 'because' | 'id' | 'story' | 'error'> {
  const { status, error, headers, body } = answer
  const id = status === 202 ? headers.location?.split('/').at(-1) : undefined
  const problem = status === 503 ? parse(body) : undefined
  return {
    status,
    error,
    ...(id && { id, because: headers[BECAUSE] as string | undefined }),
    ...storyOf(answer),
    ...(problem && { outcome: problem.outcome, code: problem.code }),
  }
}

function readLook(state: Answer, answer: Answer): Pick<Look, 'seen' | 'story' | 'status'> {
  const { status } = answer
  if (state.status === 202) return { seen: 'running', status }
  if (state.status === 404 || state.status === 410) return { seen: 'gone', status }
  const { story } = storyOf(answer)
  if (state.status === 303 && story) return { seen: 'ended', status, story }
  // The gateway cannot reach the store, or has gone in between. Another end than a worker's is told as it is.
  const isUnavailable = status === undefined || (status === 503 && parse(answer.body)?.outcome !== 'failed')
  if (state.status !== 303 || isUnavailable) return { seen: 'unseen', status }
  return { seen: 'ended', status, story: `${status} ${answer.body}` }
}
