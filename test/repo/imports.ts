import { posix } from 'node:path'
import ts from 'typescript'
import type { Files } from './files.js'

/** One import, re-export or `import('…')` type of a file. */
export interface Import {
  readonly from: string
  /** A path from the root for a file of ours, the name of a package, or `node:…`. */
  readonly to: string
  readonly isType: boolean
}

interface Rule {
  /** Files and folders of ours, beside its own folder. */
  readonly ours: readonly string[]
  /** The same for imports of types alone. */
  readonly types?: readonly string[]
  readonly packages: readonly string[]
  readonly node: boolean
}

/** What all stores share. */
const STORES = ['codec', 'group-commit', 'warnings', 'watchers', 'within'].map((name) => `src/stores/${name}.ts`)
const MEMORY = ['src/transports/memory', 'src/stores/memory']

/** What each part may import. A file that no rule names is a violation by itself. */
const RULES: Readonly<Record<string, Rule>> = {
  'src/core': { ours: [], packages: ['eventemitter3', 'p-timeout', 'ulid'], node: true },
  'src/http': { ours: ['src/core'], packages: [], node: true },
  'src/adapters/web.ts': { ours: ['src/http'], types: ['src/index.ts'], packages: [], node: false },
  'src/adapters/node.ts': { ours: ['src/http'], types: ['src/index.ts'], packages: [], node: true },
  'src/adapters/express.ts': adapter('express'),
  'src/adapters/fastify.ts': adapter('fastify'),
  'src/adapters/fetch.ts': {
    ours: ['src/http', 'src/adapters/web.ts'],
    types: ['src/index.ts'],
    packages: [],
    node: true,
  },
  'src/transports/amqp': { ours: ['src/core', 'src/transports/profiles'], packages: ['amqplib'], node: true },
  'src/transports/kafka': {
    ours: ['src/core', 'src/transports/profiles'],
    packages: ['@platformatic/kafka'],
    node: true,
  },
  'src/transports': { ours: ['src/core'], packages: [], node: true },
  // What every durable store needs.
  'src/stores/codec.ts': { ours: ['src/core'], packages: [], node: true },
  'src/stores/group-commit.ts': { ours: ['src/core', 'src/stores/within.ts'], packages: [], node: false },
  'src/stores/within.ts': { ours: [], packages: [], node: false },
  'src/stores/warnings.ts': { ours: [], packages: [], node: true },
  'src/stores/watchers.ts': { ours: ['src/core'], packages: [], node: false },
  'src/stores': { ours: ['src/core', ...STORES], packages: [], node: true },
  'src/worker': { ours: ['src/core'], packages: ['eventemitter3'], node: true },
  'src/read-model': { ours: ['src/core', 'src/http'], packages: ['eventemitter3'], node: true },
  'src/testing': { ours: ['src/core', 'src/http', ...MEMORY], packages: [], node: true },
  // Runs in browsers.
  'src/client': { ours: [], packages: [], node: false },
  'src/memory.ts': { ours: MEMORY, packages: [], node: false },
  'src/index.ts': { ours: ['src/core', 'src/http', 'src/memory.ts', ...MEMORY], packages: [], node: false },
}

function adapter(framework: string): Rule {
  const ours = ['src/http', 'src/adapters/node.ts']
  return { ours, types: ['src/index.ts'], packages: [framework], node: true }
}

const known = new Map<string, Import[]>()

/** All imports of a file; packages by name, without a path inside them. */
function importsOf(path: string, text: string): Import[] {
  const key = `${path}\n${text}`
  const found = known.get(key) ?? readImports(path, text)
  known.set(key, found)
  return found
}

function readImports(path: string, text: string): Import[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const found: Import[] = []
  const add = (specifier: ts.Node | undefined, isType: boolean) => {
    if (specifier && ts.isStringLiteralLike(specifier))
      found.push({ from: path, to: target(path, specifier.text), isType })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, onlyTypes(node.importClause))
    if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true)
    if (ts.isCallExpression(node) && isLoad(node.expression)) add(node.arguments[0], false)
    if (ts.isExternalModuleReference(node)) add(node.expression, false)
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

function onlyTypes(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true
  const { name, namedBindings } = clause
  if (name !== undefined || namedBindings === undefined || !ts.isNamedImports(namedBindings)) return false
  return namedBindings.elements.every(({ isTypeOnly }) => isTypeOnly)
}

function isLoad(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
}

function target(from: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts')
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Every import that the rules do not allow, as a sentence. */
export function findViolations(files: Files): string[] {
  return [...files].flatMap(([path, text]) => {
    const part = Object.keys(RULES).find((name) => isIn(path, name))
    if (part === undefined) return [`${path} belongs to no part that may import anything`]
    const rule = RULES[part]
    const broken = importsOf(path, text).filter((one) => rule === undefined || !isAllowed(one, part, rule))
    return broken.map(({ to, isType }) => `${path} imports ${isType ? 'types of ' : ''}${to}`)
  })
}

function isAllowed({ from, to, isType }: Import, part: string, { ours, types = [], packages, node }: Rule): boolean {
  if (to.startsWith('node:')) return node
  if (!to.startsWith('src/')) return packages.includes(to)
  // Each broker and each database is a part of its own.
  const own = part === 'src/transports' || part === 'src/stores' ? from.split('/').slice(0, 3).join('/') : part
  return [own, ...ours].some((name) => isIn(to, name)) || (isType && types.some((name) => isIn(to, name)))
}

function isIn(path: string, part: string): boolean {
  return path === part || path.startsWith(`${part}/`)
}

/** Circles of files that import one another, each as the list of its files. */
export function findCycles(files: Files): string[][] {
  const graph = new Map([...files].map(([path, text]) => [path, importsOf(path, text).map(({ to }) => to)]))
  const done = new Set<string>()
  const cycles: string[][] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) cycles.push([...trail.slice(at), path])
    if (at >= 0 || done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return cycles
}

/** The packages that an entry reaches, directly or through other files, its types included. */
export function packagesOf(entry: string, files: Files): Set<string> {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { to } of importsOf(path, files.get(path) ?? '')) {
      if (to.startsWith('src/')) visit(to)
      else packages.add(to.startsWith('node:') ? 'node:*' : to)
    }
  }
  visit(entry)
  return packages
}
