import { defineConfig } from 'tsup'
import { entries } from './scripts/entries.js'

export default defineConfig({
  entry: { ...entries },
  format: ['esm', 'cjs'],
  // tsup's d.ts build sets baseUrl, which TypeScript 6 refuses without ignoreDeprecations. What is marked @internal, such
  // as the constructors of classes that only the gateway makes, is left out, and with it the types that only it names.
  dts: {
    // `AsyncDisposable` for consumers whose own libraries do not have it.
    banner: '/// <reference lib="esnext.disposable" />',
    compilerOptions: { ignoreDeprecations: '6.0', paths: {}, stripInternal: true },
  },
  // Both are needed: without splitting each subpath gets its own copy of the core, and without treeshake the CommonJS
  // output is rewritten by sucrase, which turns class fields and optional chaining into helper calls.
  splitting: true,
  treeshake: true,
  sourcemap: true,
  clean: true,
  target: 'node20',
  platform: 'node',
  // keepNames would wrap every closure of the hot path in a call, which costs a request a fifth of its time.
  keepNames: false,
  removeNodeProtocol: false,
  // p-timeout is used at run time but is an ES module only, which Jest on CommonJS cannot load: it is bundled, so it is
  // a development dependency, and LICENSE carries its notice.
  noExternal: ['p-timeout'],
})
