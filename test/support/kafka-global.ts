import { existsSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endProcess } from '../../scripts/brokers/kafka.js'
import { removeHome } from './kafka.js'

/** Gives the test files of a run a place to meet, and ends the broker that one of them has started. */
export default function setup(): () => Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'respond-async-test-'))
  process.env['KAFKA_TEST_HOME'] = home
  return async () => {
    const state = join(home, 'state.json')
    if (existsSync(state)) await endProcess(JSON.parse(readFileSync(state, 'utf8')).pid)
    removeHome(home)
  }
}
