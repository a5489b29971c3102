import { cpus } from 'node:os'
import { benchBrokers } from './brokers/index.js'
import { benchInMemory } from './in-memory.js'

const what = process.argv[2]
const date = new Date().toISOString().slice(0, 10)
const [cpu] = cpus()
const command = `npm run bench${what === undefined ? '' : ` -- ${what}`}`
process.stdout.write(`${date}, Node ${process.version}, ${cpus().length} x ${cpu?.model}, ${command}\n`)

if (what === undefined) await benchInMemory()
else if (what === 'brokers') await benchBrokers()
else throw new Error(`npm run bench takes nothing, or "brokers", and not "${what}".`)
