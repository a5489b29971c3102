import { defineConfig } from 'tsup'

// Compiled beforehand: tsx compiles each file as it is loaded, ours from `dist` too, and wraps every named closure in a
// call that gives it its name, which no user's service does.
export default defineConfig({
  entry: ['bench/run.ts', 'bench/child.ts'],
  outDir: 'bench/dist',
  format: 'esm',
  target: 'node20',
  tsconfig: 'bench/tsconfig.json',
  external: [/^respond-async/],
  skipNodeModulesBundle: true,
})
