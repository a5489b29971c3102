import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode, GatewayError } from '../../src/core/errors.js'
import { problemReply } from '../../src/http/problem.js'
import { createHttpExtension, type HttpSettings } from '../../src/http/settings.js'
import { readFiles, readText } from './files.js'

const settings = createHttpExtension({}).settings as HttpSettings
const codes = Object.keys(ERRORS) as ErrorCode[]
const page = readText('docs/errors.md')

interface Section {
  readonly code: string
  readonly status: string | undefined
  readonly retry: string | undefined
  readonly type: string | undefined
  readonly text: string
}

/** The sections of the page: `### CODE`, then a line with status, retry and problem type, then text. */
const sections: Section[] = page
  .split(/^### /m)
  .slice(1)
  .map((part) => {
    const [code = '', ...lines] = part.split('\n')
    const text = lines.join('\n').split(/^## /m)[0] ?? ''
    const [, status] = /\*\*(\d{3})\*\*/.exec(text) ?? []
    const [, retry] = /retry `([\w-]+)`/.exec(text) ?? []
    const [, type] = /type `…:([\w-]+)`/.exec(text) ?? []
    return { code, status, retry, type, text }
  })

function problemOf(code: ErrorCode): { status: number; type: string; title: string; retry: string } {
  return JSON.parse(String(problemReply(settings, new GatewayError(code, 'A text.')).body))
}

describe('the table of errors', () => {
  it('has a status, a title and a retry for every code', () => {
    for (const code of codes) {
      const problem = problemOf(code)
      expect(problem.status, code).toBeGreaterThanOrEqual(400)
      expect(problem.title, code).toBe(ERRORS[code].title)
      expect(problem.retry, code).toMatch(/^(no|safe|same-key|new-key)$/)
      expect(problem.type, code).toBe(`urn:respond-async:problem:${code.slice(4).toLowerCase().replaceAll('_', '-')}`)
    }
    expect(new Set(codes.map((code) => problemOf(code).type)).size).toBe(codes.length)
  })

  it('every code has its section in docs/errors.md, and no section is stale', () => {
    const ours = sections.map(({ code }) => code).filter((code) => !/^FollowError /.test(code))
    expect([...ours].sort()).toEqual([...codes].sort())
    expect(new Set(ours).size).toBe(ours.length)
  })

  it.each(codes)('the section of %s tells status, retry, problem type and who acts', (code) => {
    const section = sections.find((one) => one.code === code)
    const { status, retry, type } = problemOf(code)
    expect(section).toMatchObject({
      status: String(status),
      retry,
      type: type.slice('urn:respond-async:problem:'.length),
    })
    expect(section?.text).toMatch(/acts: (developer|operator|client|worker)/)
    expect(section?.text.length).toBeGreaterThan(120)
  })

  it('the codes of FollowError are the sections of docs/errors.md that say so', () => {
    const source = readFiles('src/client').get('src/client/follow.ts') ?? ''
    const [, union = ''] = /^type Code = (.*)$/m.exec(source) ?? []
    const known = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => `FollowError ${code}`)
    expect(known.length).toBeGreaterThan(3)
    expect(
      sections
        .map(({ code }) => code)
        .filter((code) => code.startsWith('FollowError '))
        .sort(),
    ).toEqual(known.sort())
  })

  it('every code in the sources is in the table', () => {
    const named = [...readFiles('src')].flatMap(([path, text]) =>
      path.startsWith('src/client/') ? [] : [...text.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code = '']) => code),
    )
    expect([...new Set(named)].filter((code) => !(code in ERRORS))).toEqual([])
  })

  it('every code that a page names exists', () => {
    const known = new Set([...codes, ...sections.map(({ code }) => code.replace('FollowError ', ''))])
    const named = [...readFiles('', '.md')].flatMap(([path, text]) =>
      [...text.matchAll(/\bERR_[A-Z_]+\b/g)].map(([code]) => `${path} ${code}`),
    )
    expect(named.filter((one) => !known.has(one.split(' ')[1] as ErrorCode))).toEqual([])
  })
})
