import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { DocumentedRequest, Expected, Scenario } from './requests.js'

interface Answer {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  readonly text: string
}

/** Locations by the names under which they were saved. */
type Saved = Map<string, string>

const SHOWN =
  /^(location|content-(type|location)|link|retry-after|preference-applied|vary|cache-control|etag|idempotent-replayed)$/
const MAX_LINE = 320
const MAX_REPEATS = 20

/** Sends all requests one after the other, prints the transcript, and tells how many answers were not as documented. */
export async function runOnce(scenarios: readonly Scenario[], origin: string): Promise<number> {
  let differences = 0
  for (const [index, { title, requests }] of scenarios.entries()) {
    console.log(`\n# ${index + 1}. ${title}`)
    const saved: Saved = new Map()
    for (const request of requests) {
      const found = await runRequest(request, origin, saved)
      for (const difference of found) console.log(`  NOT AS DOCUMENTED: ${difference}`)
      differences += found.length
    }
  }
  return differences
}

async function runRequest(request: DocumentedRequest, origin: string, saved: Saved): Promise<readonly string[]> {
  const path = fill(request.path, saved)
  printRequest(request, path)
  const answer = await send(request, origin + path)
  printAnswer(answer)
  const location = answer.headers.get('location')
  if (request.save !== undefined && location !== null) saved.set(request.save, location)
  return compare(answer, request.expect, saved)
}

async function send({ method, headers, body, againWhile }: DocumentedRequest, url: string): Promise<Answer> {
  for (let count = 1; ; count += 1) {
    const json = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const init = { method, headers: { ...json, ...headers }, redirect: 'manual' } as const
    const response = await fetch(url, body === undefined ? init : { ...init, body: JSON.stringify(body) })
    const text = await response.text()
    if (response.status !== againWhile || count >= MAX_REPEATS) {
      return { status: response.status, statusText: response.statusText, headers: response.headers, text }
    }
    console.log(`< ${response.status} ${response.statusText}, again in a second`)
    await sleep(Number(response.headers.get('retry-after') ?? 1) * 1000)
  }
}

function compare({ status, headers, text }: Answer, expect: Expected, saved: Saved): string[] {
  const found: string[] = []
  if (status !== expect.status) found.push(`status ${status}, not ${expect.status}`)
  for (const [name, wanted] of Object.entries(expect.headers ?? {})) {
    const value = headers.get(name)
    const matches = wanted instanceof RegExp ? value !== null && wanted.test(value) : value === fill(wanted, saved)
    if (!matches) found.push(`${name}: ${value}, not ${wanted}`)
  }
  const json = expect.json && parseObject(text)
  for (const [name, wanted] of Object.entries(expect.json ?? {})) {
    if (!isDeepStrictEqual(json?.[name], wanted)) {
      found.push(`"${name}" is ${JSON.stringify(json?.[name])}, not ${JSON.stringify(wanted)}`)
    }
  }
  if (expect.text && !expect.text.test(text)) found.push(`the body does not match ${expect.text}`)
  return found
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(text) ?? undefined
  } catch {
    return undefined
  }
}

function fill(text: string, saved: Saved): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => saved.get(name) ?? `{${name}}`)
}

function printRequest({ method, headers = {}, body }: DocumentedRequest, path: string): void {
  console.log(`\n> ${method} ${path}`)
  for (const [name, value] of Object.entries(headers)) console.log(`> ${name}: ${value}`)
  if (body !== undefined) console.log(`> ${JSON.stringify(body)}`)
}

function printAnswer({ status, statusText, headers, text }: Answer): void {
  console.log(`< ${status} ${statusText}`)
  for (const [name, value] of headers) if (SHOWN.test(name)) console.log(`< ${name}: ${value}`)
  for (const line of text.trimEnd().split('\n'))
    console.log(`< ${line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line}`)
}
