import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

// Adds up the JSON reports of all test runs that wrote into a directory and prints one closing line.

interface Report {
  numPassedTests: number
  numFailedTests: number
  numPendingTests: number
}

const directory = process.argv[2]
if (directory === undefined) throw new Error('usage: test-summary.ts DIRECTORY')

const total = { passed: 0, failed: 0, skipped: 0 }
for (const file of readdirSync(directory).filter((name) => name.endsWith('.json'))) {
  const report: Report = JSON.parse(readFileSync(join(directory, file), 'utf8'))
  total.passed += report.numPassedTests
  total.failed += report.numFailedTests
  total.skipped += report.numPendingTests
}
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`)
