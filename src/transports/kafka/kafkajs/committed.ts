import type { KafkajsBatch, KafkajsRawMessage } from './types.js'

type Messages = KafkajsBatch['messages']

const ABORT = 0

/**
 * The messages of a batch without those of aborted transactions. kafkajs leaves out those of one producer; where several
 * write at once it may begin too late with one, so that what is aborted in the same fetch is left out here.
 */
export function committedOf({ messages, rawMessages = [] }: KafkajsBatch): Messages {
  const aborting = new Set<string>()
  const aborted = new Set<Messages[number]>()
  for (let at = rawMessages.length - 1; at >= 0; at -= 1) {
    const message = rawMessages[at] as KafkajsRawMessage
    const { inTransaction = false, producerId = '' } = message.batchContext ?? {}
    if (!inTransaction) continue
    if (message.isControlRecord !== true) {
      if (aborting.has(producerId)) aborted.add(message)
    } else if (message.key?.readInt16BE(2) === ABORT) aborting.add(producerId)
    else aborting.delete(producerId)
  }
  return aborted.size === 0 ? messages : messages.filter((message) => !aborted.has(message))
}
