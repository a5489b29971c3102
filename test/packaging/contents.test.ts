import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'
import { describe, expect, inject, it } from 'vitest'
import { entries } from '../../scripts/entries.js'

const dist = join(inject('packed'), 'dist')
const peers: Readonly<Record<string, string>> = { express: 'express', fastify: 'fastify' }
/** Loaded when a connection is made, if none was handed in. */
const clients: Readonly<Record<string, string>> = { amqp: 'amqplib', kafka: '@platformatic/kafka' }

/** Every package that a built file names, itself or through the files it shares with other entries. */
function packagesOf(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return []
  seen.add(file)
  const text = readFileSync(join(dist, file), 'utf8')
  return ts.preProcessFile(text, true, true).importedFiles.flatMap(({ fileName }) => {
    return fileName.startsWith('.') ? packagesOf(declaredBy(file, fileName), seen) : [fileName]
  })
}

/** The file behind a relative import: a declaration file names its neighbour by the neighbour's code. */
function declaredBy(file: string, specifier: string): string {
  const target = normalize(join(dirname(file), specifier))
  if (file.endsWith('.d.ts')) return target.replace(/\.js$/, '.d.ts')
  return file.endsWith('.d.cts') ? target.replace(/\.cjs$/, '.d.cts') : target
}

describe('what is packed', () => {
  it('holds the build, the licence and the documents, and no source or test', () => {
    const names = readdirSync(inject('packed')).sort()
    expect(names).toEqual(['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'dist', 'docs', 'package.json'])
  })

  it('carries the notice of what is bundled', () => {
    const licence = readFileSync(join(inject('packed'), 'LICENSE'), 'utf8')
    expect(licence).toContain(readFileSync('node_modules/p-timeout/license', 'utf8').trim())
    expect(readFileSync(join(dist, 'index.js.map'), 'utf8') + chunkMaps()).toContain('node_modules/p-timeout')
  })

  for (const entry of Object.keys(entries)) {
    const peer = peers[entry]

    it.each(['d.ts', 'd.cts'])(`names no package but node:* ${peer ? `and ${peer} ` : ''}in ${entry}.%s`, (ending) => {
      const named = packagesOf(`${entry}.${ending}`).filter((name) => !name.startsWith('node:'))
      expect(named.filter((name) => name !== peer)).toEqual([])
    })

    const own = ['eventemitter3', 'ulid', clients[entry]]

    it.each(['js', 'cjs'])(`loads nothing but node:* and its dependencies in ${entry}.%s`, (ending) => {
      const loaded = packagesOf(`${entry}.${ending}`).filter((name) => !name.startsWith('node:'))
      expect(loaded.filter((name) => !own.includes(name))).toEqual([])
    })
  }

  it.each(['js', 'cjs'])('loads nothing at all in client.%s, so that a browser can', (ending) => {
    expect(packagesOf(`client.${ending}`)).toEqual([])
  })
})

function chunkMaps(): string {
  const maps = readdirSync(dist).filter((name) => name.startsWith('chunk-') && name.endsWith('.js.map'))
  return maps.map((name) => readFileSync(join(dist, name), 'utf8')).join('')
}
