import { defineConfig } from 'tsup'
import { entries } from './scripts/entries.js'

export default defineConfig({
  entry: { ...entries },
  format: ['esm', 'cjs'],
  // tsup's d.ts build sets baseUrl, which TypeScript 6 refuses without this.
  dts: { compilerOptions: { ignoreDeprecations: '6.0', paths: {} } },
  // Both are needed: without splitting each subpath gets its own copy of the core, and without treeshake the CommonJS
  // output is rewritten by sucrase, which turns class fields and optional chaining into helper calls.
  splitting: true,
  treeshake: true,
  sourcemap: true,
  clean: true,
  target: 'node20',
  platform: 'node',
  keepNames: true,
  removeNodeProtocol: false,
  // p-timeout is used at run time but is an ES module only, which Jest on CommonJS cannot load: it is bundled, so it is
  // a development dependency, and LICENSE carries its notice.
  noExternal: ['p-timeout'],
})
