import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { runBeside } from './shell.js'

/** What is needed to run a broker from Maven Central, or why it cannot be. */
export function whyNoKafka(version = DEFAULT_VERSION): string | undefined {
  if (!runs('java', '-version')) return 'there is no Java (JDK 17 or later)'
  if (!existsSync(cacheOf(version)) && !runs('mvn', '-v')) return "there is no Maven to get Kafka's jars with"
  return undefined
}

const DEFAULT_VERSION = '3.9.1'

function runs(command: string, argument: string): boolean {
  return spawnSync(command, [argument], { stdio: 'ignore' }).status === 0
}

function cacheOf(version: string): string {
  const home = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  return join(home, 'respond-async', `kafka-${version}`, 'jars')
}

/** The folder with the jars of a version, got from Maven Central when they are not there. */
export async function kafkaJars(version = DEFAULT_VERSION): Promise<string> {
  const jars = cacheOf(version)
  if (existsSync(jars)) return jars
  const parent = join(jars, '..')
  mkdirSync(parent, { recursive: true })
  // Copied beside and renamed: whoever comes at the same time sees all the jars or none.
  const work = mkdtempSync(join(parent, 'get-'))
  try {
    writeFileSync(join(work, 'pom.xml'), pom(version))
    const args = ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=jars']
    const { ok, output } = await runBeside('mvn', args, { cwd: work, timeoutMs: 600_000 })
    if (!ok) throw new Error(`Maven could not get Kafka ${version}: ${output}`)
    if (!existsSync(jars)) renameSync(join(work, 'jars'), jars)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return jars
}

function pom(version: string): string {
  const dependency = (group: string, artifact: string, release: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${release}</version></dependency>`
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>kafka-broker</artifactId><version>1</version>
  <dependencies>
    ${dependency('org.apache.kafka', 'kafka_2.13', version)}
    ${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
  </dependencies>
</project>
`
}
