import { isPassing } from './errors.js'
import type { KafkajsAdmin } from './types.js'

const TRIES = 20
const AGAIN_MS = 100

/**
 * The offsets of a topic. Brokers do not know for a moment what they lead of a topic that has just been made, and
 * kafkajs gives up at the first such answer.
 */
export async function topicOffsets(
  admin: Pick<KafkajsAdmin, 'fetchTopicOffsets'>,
  topic: string,
): ReturnType<KafkajsAdmin['fetchTopicOffsets']> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await admin.fetchTopicOffsets(topic)
    } catch (error) {
      if (tries === TRIES || !isPassing(error)) throw error
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
}
