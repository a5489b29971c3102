import { request as send } from 'node:http'

/** One request of a page and the answer that the page shows. */
export interface Exchange {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly answer: Answer
}

interface Answer {
  readonly status: number
  /** Those that the page shows; the answer may have more. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
}

/** What the ids of a page are in this run: each is bound where it is first answered. */
export type Bindings = Map<string, string>

const REQUEST = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\/\S*)$/
const RESPONSE = /^HTTP\/1\.1 (\d{3})( .*)?$/

/** Reads the exchanges of an `http` block: requests, each followed by its answer, with blank lines in between. */
export function parseTranscript(code: string): Exchange[] {
  const parts = code.split(/\n\n(?=(?:[A-Z]+ \/|HTTP\/1\.1 ))/)
  const exchanges: Exchange[] = []
  for (let at = 0; at < parts.length; at += 2) {
    const [requestText = '', answerText = ''] = parts.slice(at, at + 2)
    const asked = parseMessage(requestText)
    const answered = parseMessage(answerText)
    const [, method, path] = REQUEST.exec(asked.start) ?? []
    const [, status] = RESPONSE.exec(answered.start) ?? []
    if (method === undefined || path === undefined || status === undefined) {
      throw new Error(`not an exchange:\n${requestText}\n\n${answerText}`)
    }
    const answer = { status: Number(status), headers: answered.headers, body: answered.body }
    exchanges.push({ method, path, headers: Object.fromEntries(asked.headers), body: asked.body, answer })
  }
  return exchanges
}

function parseMessage(text: string) {
  const [head = '', ...rest] = text.split('\n\n')
  const [start = '', ...lines] = head.split('\n')
  const headers = lines.map((line): [string, string] => {
    const at = line.indexOf(':')
    return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]
  })
  return { start, headers, body: rest.join('\n\n').replace(/\n+$/, '') }
}

/** Sends the request to a server on this machine and gives the ways in which its answer is not as shown. */
export async function replay(exchange: Exchange, port: number, ids: Bindings): Promise<string[]> {
  const real = await ask(exchange, port, ids)
  const { status, headers, body } = exchange.answer
  const faults = status === real.status ? [] : [`status ${real.status} instead of ${status}`]
  for (const [name, value] of headers) {
    if (!matches(value, real.headers[name] ?? '', ids))
      faults.push(`${name}: ${real.headers[name]} instead of ${value}`)
  }
  if (!matchesBody(body, real.body, ids)) faults.push(`body ${real.body} instead of ${body}`)
  return faults.map((fault) => `${exchange.method} ${exchange.path}: ${fault}`)
}

interface Real {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

function ask({ method, path, headers, body }: Exchange, port: number, ids: Bindings): Promise<Real> {
  const bound = (text: string) => text.replace(ID, (id) => ids.get(id) ?? id)
  const own = Object.entries(headers).map(([name, value]) => [name, bound(value)])
  const length = body === '' ? {} : { 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const options = {
      port,
      host: 'localhost',
      method,
      path: bound(path),
      headers: { ...Object.fromEntries(own), ...length },
    }
    const request = send({ ...options, agent: false, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => {
        const joined = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, headers: Object.fromEntries(joined), body: text })
      })
      response.on('error', reject)
    })
    request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path}`)))
    request.on('error', reject)
    request.end(body)
  })
}

const ID = /\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b/g
const VARIABLES =
  /\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT|…/g

/** Compares texts in which ids, times and what is left out (`…`) differ from run to run. */
export function matches(shown: string, real: string, ids: Bindings): boolean {
  const news: string[] = []
  let pattern = ''
  let from = 0
  for (const { 0: variable, index } of shown.matchAll(VARIABLES)) {
    pattern += literal(shown.slice(from, index)) + patternOf(variable, ids, news)
    from = index + variable.length
  }
  const found = new RegExp(`^${pattern}${literal(shown.slice(from))}$`, 's').exec(real)
  for (const [at, id] of news.entries()) if (found) ids.set(id, found[at + 1] ?? '')
  return found !== null
}

function patternOf(variable: string, ids: Bindings, news: string[]): string {
  if (variable === '…') return '.*'
  if (variable.endsWith('GMT')) return '[A-Z][a-z]{2}, \\d\\d [A-Z][a-z]{2} \\d{4} [\\d:]{8} GMT'
  if (variable.endsWith('Z') && variable.includes('T') && variable.includes(':')) return '[\\d-]{10}T[\\d:.]{12}Z'
  const bound = ids.get(variable)
  if (bound !== undefined) return literal(bound)
  const known = news.indexOf(variable)
  if (known >= 0) return `\\${known + 1}`
  news.push(variable)
  return '([0-7][0-9A-HJKMNP-TV-Z]{25})'
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function matchesBody(shown: string, real: string, ids: Bindings): boolean {
  if (!/^[{[]/.test(shown)) return matches(shown, real.trimEnd(), ids)
  // Pages break lines where they like, and every member is shown.
  try {
    return matches(JSON.stringify(JSON.parse(shown)), JSON.stringify(JSON.parse(real)), ids)
  } catch {
    return false
  }
}
