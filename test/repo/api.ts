import ts from 'typescript'
import { entries, specifierOf } from '../../scripts/entries.js'
import { ROOT } from './files.js'

/** What a subpath exports: each name with its kind. */
export type Api = Readonly<Record<string, Readonly<Record<string, string>>>>

const KINDS: readonly (readonly [flag: ts.SymbolFlags, kind: string])[] = [
  [ts.SymbolFlags.Function, 'function'],
  [ts.SymbolFlags.Class, 'class'],
  [ts.SymbolFlags.Interface, 'interface'],
  [ts.SymbolFlags.TypeAlias, 'type'],
  [ts.SymbolFlags.Variable, 'const'],
]

/** Reads the exports of every subpath from the sources. */
export function readApi(): Api {
  const config = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile).config
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const program = ts.createProgram(
    Object.values(entries).map((path) => `${ROOT}${path}`),
    { ...options, noEmit: true },
  )
  const checker = program.getTypeChecker()
  const subpaths = Object.entries(entries).map(([entry, path]) => {
    const file = program.getSourceFile(`${ROOT}${path}`)
    const module = file && checker.getSymbolAtLocation(file)
    const exported = module ? checker.getExportsOfModule(module) : []
    const named = exported.map((symbol) => [symbol.name, kindOf(symbol, checker)] as const)
    return [specifierOf(entry), Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1)))] as const
  })
  return Object.fromEntries(subpaths)
}

function kindOf(symbol: ts.Symbol, checker: ts.TypeChecker): string {
  const origin = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
  const kinds = KINDS.filter(([flag]) => (origin.flags & flag) !== 0).map(([, kind]) => kind)
  if (kinds.length === 0) throw new Error(`${symbol.name} is of an unknown kind`)
  // A class is an interface too, as far as the compiler is concerned.
  return kinds.includes('class') ? 'class' : kinds.join(' and ')
}
