import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, type Options } from 'tsup'
import * as sources from '../../../src/index.js'

/** The part of the package that the race tests drive: the real one, or one with a fault planted in it. */
export type Core = Pick<typeof sources, 'createGateway' | 'memoryStore' | 'memoryTransport'>

/** The package as it is. */
export const realCore: Core = sources

/** A fault: in `file`, counted from the root of the repository, `find` becomes `replace`. */
export interface Patch {
  readonly file: string
  /** Must occur exactly once, however it is wrapped, so that no mutant becomes harmless when the source is rewritten. */
  readonly find: string
  readonly replace: string
}

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * Builds the package from sources with faults planted in them, and loads it.
 * @throws Error when the text that a patch looks for is not there, or is there more than once.
 */
export async function loadMutant<Module = Core>(patches: readonly Patch[], source = 'src/index.ts'): Promise<Module> {
  const outDir = await mkdtemp(join(tmpdir(), 'respond-async-mutant-'))
  const unused = new Set(patches)
  try {
    await build({
      ...{ config: false, entry: { mutant: join(ROOT, source) }, outDir, silent: true, dts: false },
      ...{ format: ['esm'], target: 'node20', platform: 'node', splitting: false, noExternal: [/./] },
      outExtension: () => ({ js: '.mjs' }),
      esbuildPlugins: [patching(patches, unused)],
    })
    for (const { file } of unused) throw new Error(`No source of the package is called ${file}.`)
    return (await import(/* @vite-ignore */ pathToFileURL(join(outDir, 'mutant.mjs')).href)) as Module
  } finally {
    await rm(outDir, { recursive: true, force: true })
  }
}

function patching(patches: readonly Patch[], unused: Set<Patch>): Plugin {
  return {
    name: 'patching',
    setup({ onLoad }) {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const file = relative(ROOT, path)
        let contents = await readFile(path, 'utf8')
        for (const patch of patches.filter((each) => each.file === file)) {
          contents = apply(patch, contents)
          unused.delete(patch)
        }
        return { contents, loader: 'ts' }
      })
    },
  }
}

function apply({ file, find, replace }: Patch, source: string): string {
  const words = find.split(/\s+/).map((word) => word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  const parts = source.split(new RegExp(words.join('\\s+')))
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, not once: ${find}`)
  return parts.join(replace)
}
