import { kafkaJars, whyNoKafka } from '../../scripts/brokers/kafka-jars.js'

/** Why tests can start no broker of their own, or undefined; with REQUIRE_BROKERS=1 that is an error. */
export async function whyNoOwnKafka(version?: string): Promise<string | undefined> {
  const reason = whyNoKafka(version) ?? (await whyNoJars(version))
  if (reason === undefined) return undefined
  const text = `no Kafka${version === undefined ? '' : ` ${version}`} can be started: ${reason}`
  if (process.env['REQUIRE_BROKERS'] === '1') throw new Error(text)
  process.stderr.write(`skipped: ${text}\n`)
  return text
}

async function whyNoJars(version?: string): Promise<string | undefined> {
  try {
    await kafkaJars(version)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
