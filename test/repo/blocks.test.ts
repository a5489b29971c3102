import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { format } from 'node:util'
import ts from 'typescript'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { listFiles, ROOT, readText } from './files.js'
import { blocksOf } from './markdown.js'
import { codeOf, type Example, examplesOf, printedOf, serverOf, withPort } from './page-examples.js'
import { type Bindings, matches, parseTranscript, replay } from './transcript.js'

const PAGES = listFiles().filter(
  (path) => /^(README|docs\/[\w-]+)\.md$/.test(path) || /^examples\/.*README\.md$/.test(path),
)
const LANGUAGES = ['ts', 'sh', 'http', 'json', 'text', 'mermaid', 'diff']
const blocks = PAGES.flatMap((page) => blocksOf(page, readText(page)))
const examples = PAGES.flatMap((page) => examplesOf(blocks.filter((block) => block.page === page)))

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })
}

/** The errors of all examples, in one program. */
function compile(compiled: readonly Example[]): string[] {
  const config = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile).config
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const virtual = new Map(compiled.map((example, at) => [`${ROOT}page-block-${at}.ts`, example]))
  const host = ts.createCompilerHost({ ...options, noEmit: true })
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = (path) => virtual.has(path) || fileExists(path)
  host.readFile = (path) => textOf(virtual.get(path)) ?? readFile(path)
  host.getSourceFile = (path, how, onError) => {
    const text = textOf(virtual.get(path))
    return text === undefined ? getSourceFile(path, how, onError) : ts.createSourceFile(path, text, how)
  }
  const program = ts.createProgram([...virtual.keys()], { ...options, noEmit: true }, host)
  return [...virtual].flatMap(([path, { name }]) => {
    const file = program.getSourceFile(path)
    const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    return found.map(({ messageText, start = 0 }) => {
      const line = file?.getLineAndCharacterOfPosition(start).line ?? 0
      return `${name} + ${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
  })
}

function textOf(example: Example | undefined): string | undefined {
  return example && codeOf(example)
}

describe('the code of the pages', () => {
  const folder = mkdtempSync(join(tmpdir(), 'respond-async-pages-'))
  const servers = new Set<Server>()
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)

  beforeAll(() => {
    symlinkSync(`${ROOT}node_modules`, join(folder, 'node_modules'))
    mkdirSync(join(folder, 'pages'))
    const { listen } = Server.prototype
    vi.spyOn(Server.prototype, 'listen').mockImplementation(function (this: Server, ...how: unknown[]) {
      servers.add(this)
      return Reflect.apply(listen, this, how)
    })
    process.on('unhandledRejection', note)
  })

  afterEach(() => {
    for (const server of servers) {
      server.close()
      if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function')
        server.closeAllConnections()
    }
    servers.clear()
  })

  afterAll(() => {
    process.off('unhandledRejection', note)
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true })
  })

  it('every block says what it is', () => {
    expect(
      blocks.filter(({ language }) => !LANGUAGES.includes(language)).map(({ page, line }) => `${page}:${line}`),
    ).toEqual([])
    expect(examples.length).toBeGreaterThan(10)
  })

  it('every example compiles, and one that does not is found', () => {
    const code = "import { createGateway } from 'respond-async'\ncreateGateway({ transport: 1 })"
    const block = { page: 'planted.md', line: 1, language: 'ts', flags: [], code }
    const planted = { name: 'planted.md:1', blocks: [block], transcripts: [] }
    const [last, ...others] = compile([...examples, planted]).reverse()
    expect(others).toEqual([])
    expect(last).toMatch(/^planted\.md:1 \+ 1: /)
  }, 120_000)

  // Those that speak to a server are run where there are some.
  it.each(examples.filter((example) => serverOf(example) === undefined))(
    '$name runs, and the shown requests get the shown answers',
    async (example) => {
      const port = await freePort()
      const file = join(folder, 'pages', `${example.name.replace(/\W+/g, '-')}.ts`)
      writeFileSync(file, withPort(codeOf(example), port))
      const printed: string[] = []
      const log = vi.spyOn(console, 'log').mockImplementation((...what) => void printed.push(format(...what)))
      const ids: Bindings = new Map()
      try {
        await import(/* @vite-ignore */ file)
        for (const { code, page, line } of example.transcripts) {
          for (const exchange of parseTranscript(code)) {
            expect(await replay(exchange, port, ids), `${page}:${line}`).toEqual([])
          }
        }
      } finally {
        log.mockRestore()
      }
      const shown = printedOf(codeOf(example))
      const differing = shown.filter((text, at) => !matches(text, printed[at] ?? '', ids))
      expect({ differing, printed }).toMatchObject({ differing: [] })
      expect(unhandled).toEqual([])
    },
    // A database inside the process takes its time to start.
    120_000,
  )
})
