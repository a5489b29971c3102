import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { entries } from './entries.js'

// Fails when the manifest, the entry list and the built files disagree; `--write` puts the manifest right.

const manifestFile = new URL('../package.json', import.meta.url)
const dist = new URL('../dist/', import.meta.url)

/** One pair of types and code per condition: a shared `types` would describe an ES module to CommonJS users. */
function conditions(entry: string) {
  return {
    import: { types: `./dist/${entry}.d.ts`, default: `./dist/${entry}.js` },
    require: { types: `./dist/${entry}.d.cts`, default: `./dist/${entry}.cjs` },
  }
}

function expectedExports(): Record<string, unknown> {
  const subpaths = Object.keys(entries).map((entry) => [entry === 'index' ? '.' : `./${entry}`, conditions(entry)])
  return { ...Object.fromEntries(subpaths), './package.json': './package.json' }
}

/** What `moduleResolution: node10` reads, which knows no `exports`. */
function expectedTypesVersions(): Record<string, Record<string, string[]>> {
  const subpaths = Object.keys(entries).filter((entry) => entry !== 'index')
  return { '*': Object.fromEntries(subpaths.map((entry) => [entry, [`./dist/${entry}.d.cts`]])) }
}

function builtEntries(): string[] {
  const names = readdirSync(dist).map((file) => file.replace(/\.(d\.ts|d\.cts|js|cjs)(\.map)?$/, ''))
  return [...new Set(names)].filter((name) => !name.startsWith('chunk-'))
}

/** Files that only type declarations share (`errors-Dx3k.d.ts`) carry a hash and are no entry. */
function isSharedTypes(name: string): boolean {
  return /-[A-Za-z0-9_-]{8}$/.test(name) && !existsSync(new URL(`${name}.js`, dist))
}

function faults(manifest: Record<string, unknown>): string[] {
  const found: string[] = []
  if (!isDeepStrictEqual(manifest['exports'], expectedExports()))
    found.push('package.json "exports" is not the entry list')
  if (!isDeepStrictEqual(manifest['typesVersions'], expectedTypesVersions())) {
    found.push('package.json "typesVersions" is not the entry list')
  }
  for (const entry of Object.keys(entries)) {
    for (const ending of ['js', 'cjs', 'd.ts', 'd.cts']) {
      if (!existsSync(new URL(`${entry}.${ending}`, dist))) found.push(`dist/${entry}.${ending} is not built`)
    }
  }
  const strays = builtEntries().filter((name) => !(name in entries) && !isSharedTypes(name))
  return [...found, ...strays.map((name) => `dist/${name} is built but no entry`)]
}

const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'))
if (process.argv.includes('--write')) {
  manifest.exports = expectedExports()
  manifest.typesVersions = expectedTypesVersions()
  writeFileSync(manifestFile, `${JSON.stringify(manifest, null, 2)}\n`)
} else {
  const found = faults(manifest)
  for (const fault of found) console.error(fault)
  if (found.length > 0) console.error('`npx tsx scripts/exports.ts --write` puts the manifest right')
  process.exitCode = found.length > 0 ? 1 : 0
}
