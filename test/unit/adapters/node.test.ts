import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { eachHeader, mergeHeader, toHttpRequest, writeReply } from '../../../src/adapters/node.js'
import type { HttpReply, HttpRequest } from '../../../src/http/types.js'
import { listen, post } from './support.js'

/** Translates one request, answers it, and says what became of it. */
async function translateOne(routed: object, init?: RequestInit): Promise<HttpRequest> {
  let translated: HttpRequest | undefined
  const url = await listen((req, res) => {
    translated = toHttpRequest(req, res, { url: req.url ?? '', params: {}, body: undefined, raw: req, ...routed })
    res.end()
  })
  await fetch(`${url}/a?b=1`, init)
  if (translated === undefined) throw new Error('nothing came')
  return translated
}

/** Counts how far a stream has been read. */
function endless(chunk: string) {
  const state = { read: 0, ended: false }
  const stream = (async function* () {
    try {
      for (;;) {
        state.read += 1
        yield chunk
        await sleep(0)
      }
    } finally {
      state.ended = true
    }
  })()
  return { state, reply: { status: 200, headers: { 'content-type': 'text/event-stream' }, stream } satisfies HttpReply }
}

describe('toHttpRequest', () => {
  it('gives wildcards as paths, and leaves out parameters without a value', async () => {
    const { params } = await translateOne({ params: { id: 'a', rest: ['b', 'c'], none: undefined } })
    expect(params).toEqual({ id: 'a', rest: 'b/c' })
  })

  it('does not believe in a body that nobody has read', async () => {
    const { body, readBody } = await translateOne({ body: {} }, post('ann'))
    expect([body, typeof readBody]).toEqual([undefined, 'function'])
  })

  it('has nothing to read where a request announces no body', async () => {
    const { method, url, readBody } = await translateOne({ body: {} }, { method: 'DELETE' })
    expect([method, url, readBody]).toEqual(['DELETE', '/a?b=1', undefined])
  })

  it('reads a body up to the limit, and not one whose length is over it', async () => {
    const read: unknown[] = []
    const url = await listen(async (req, res) => {
      const { readBody } = toHttpRequest(req, res, { url: '/', params: undefined, body: undefined, raw: req })
      read.push(await readBody?.(19).then(String, (error: { code: string }) => error.code))
      res.end()
    })
    for (const name of ['ann1', 'ann22']) await fetch(url, post(name))
    expect(read).toEqual(['{"username":"ann1"}', 'ERR_BODY_TOO_LARGE'])
  })

  it('tells that a body has broken off', async () => {
    const broken = new Promise((resolve) => {
      void listen(async (req, res) => {
        const { readBody } = toHttpRequest(req, res, { url: '/', params: {}, body: undefined, raw: req })
        resolve(await readBody?.(100).catch((error: { code: string }) => error.code))
      }).then((url) => {
        const socket = connect(Number(new URL(url).port), '127.0.0.1')
        socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{', () =>
          setTimeout(() => socket.destroy(), 10),
        )
      })
    })
    expect(await broken).toBe('ERR_MALFORMED_BODY')
  })

  it('FM-E1 tells once that the client has left, also to those who ask later, and not to those who no longer ask', async () => {
    const early = vi.fn()
    const dropped = vi.fn()
    const late = vi.fn()
    const left = new Promise<void>((resolve) => {
      void listen((req, res) => {
        const { onGone } = toHttpRequest(req, res, { url: '/', params: {}, body: undefined, raw: req })
        onGone?.(early)
        onGone?.(dropped)()
        res.on('close', () => {
          onGone?.(late)
          resolve()
        })
      }).then((url) => {
        const socket = connect(Number(new URL(url).port), '127.0.0.1')
        socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n', () => setTimeout(() => socket.destroy(), 10))
      })
    })
    await left
    expect([early, dropped, late].map((listener) => listener.mock.calls.length)).toEqual([1, 0, 1])
  })

  it('FM-E1 does not take the end of an answer for a departure', async () => {
    const gone = vi.fn()
    const closed = new Promise<void>((resolve) => {
      void listen((req, res) => {
        toHttpRequest(req, res, { url: '/', params: {}, body: undefined, raw: req }).onGone?.(gone)
        res.on('close', resolve).end('done')
      }).then((url) => fetch(url))
    })
    await closed
    expect(gone).not.toHaveBeenCalled()
  })
})

describe('writeReply', () => {
  it('FM-E12 reads no more of a stream than a slow client takes', async () => {
    const { state, reply } = endless('x'.repeat(100_000))
    const url = await listen((_req, res) => void writeReply(res, reply))
    const socket = connect(Number(new URL(url).port), '127.0.0.1').pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await vi.waitFor(() => expect(state.read).toBeGreaterThan(1))
    let before = 0
    await vi.waitFor(() => {
      const same = state.read === before
      before = state.read
      expect(same).toBe(true)
    })
    await sleep(20)
    expect(state).toEqual({ read: before, ended: false })
    socket.destroy()
    await vi.waitFor(() => expect(state.ended).toBe(true))
  })

  it('L09 sends the headers of a stream before its first message', async () => {
    const url = await listen((_req, res) => {
      const stream = (async function* () {
        await sleep(10_000, undefined, { ref: false })
        yield ''
      })()
      void writeReply(res, { status: 200, headers: { 'content-type': 'text/event-stream' }, stream })
    })
    const controller = new AbortController()
    const answer = await fetch(url, { signal: controller.signal })
    expect(answer.status).toBe(200)
    controller.abort()
  })

  it('breaks the connection when a stream fails', async () => {
    const url = await listen((_req, res) => {
      const stream = (async function* () {
        yield 'one'
        throw new Error('broken')
      })()
      void writeReply(res, { status: 200, headers: {}, stream })
    })
    await expect(fetch(url).then((answer) => answer.text())).rejects.toThrow()
  })

  it.each([
    ['to a client that has left', (res: ServerResponse) => res.destroy()],
    ['beside another answer', (res: ServerResponse) => res.writeHead(200)],
  ])('FM-A17 writes nothing %s', async (_when, happened) => {
    const calls = await new Promise<unknown[]>((resolve) => {
      void listen(async (_req, res) => {
        const [setHeader, end] = [vi.spyOn(res, 'setHeader'), vi.spyOn(res, 'end')]
        happened(res)
        await writeReply(res, { status: 201, headers: { a: 'b' }, body: 'x' })
        resolve([...setHeader.mock.calls, ...end.mock.calls])
      }).then((url) => fetch(url).catch(() => {}))
    })
    expect(calls).toEqual([])
  })
})

describe('headers', () => {
  it('F22 Connection: close is for HTTP/1 alone', () => {
    const reply = { status: 503, headers: { a: 'b' }, closeConnection: true }
    const version = (httpVersionMajor: number) => ({ httpVersionMajor }) as never
    const headersOf = (answer: HttpReply, message: IncomingMessage) => {
      const headers: [string, string][] = []
      eachHeader(answer, message, (name, value) => headers.push([name, value]))
      return headers
    }
    expect(headersOf(reply, version(1))).toEqual([
      ['a', 'b'],
      ['connection', 'close'],
    ])
    expect(headersOf(reply, version(2))).toEqual([['a', 'b']])
    expect(headersOf({ ...reply, closeConnection: false }, version(1))).toEqual([['a', 'b']])
  })

  it.each([
    ['vary', 'Prefer, Accept', undefined, 'Prefer, Accept'],
    ['vary', 'Prefer, Accept', 'Origin, accept', 'Origin, accept, Prefer'],
    ['vary', 'Prefer', ['Origin', 'Cookie'], 'Origin, Cookie, Prefer'],
    ['vary', 'Prefer', '*', '*'],
    ['link', '</b>; rel="status"', '</a>; rel="help"', '</a>; rel="help", </b>; rel="status"'],
    ['cache-control', 'no-store', 'public', 'no-store'],
    ['retry-after', '1', 5, '1'],
  ])('B17 %s: %s beside %s is %s', (...[name, value, existing, merged]) => {
    expect(mergeHeader(name, value, { getHeader: () => existing })).toBe(merged)
  })
})
