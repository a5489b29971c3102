import { type Found, nothing, VALUE } from './answer.js'
import { membersOf } from './json.js'

/** Names the Java class of the body. */
export const TYPE_ID = '__TypeId__'

/** A listener with `returnExceptions` answers this: no result, but a stack trace with the names of classes. */
const EXCEPTION = 'org.springframework.amqp.support.converter.RemoteInvocationResult'

/**
 * What the Java class of an answer says: its name stands for the type of an event. Classes of the language itself, such
 * as the declared type `java.lang.Object`, and arrays stand for nothing.
 */
export function readTypeId(typeId: string, body: Uint8Array | null): Found {
  if (typeId === EXCEPTION || isException(body)) return { type: '', ...nothing({ isLast: true, failure: 'exception' }) }
  return /^(?:java\.|kotlin\.|\[)/.test(typeId) ? { reply: VALUE } : { type: typeId }
}

/** The type of an exception is the one that the method declares, so that its body has to tell it as well. */
function isException(body: Uint8Array | null): boolean {
  // Nearly all answers are told apart without being parsed.
  if (body === null || !Buffer.from(body.buffer, body.byteOffset, body.byteLength).includes('"stackTrace"'))
    return false
  const members = membersOf(body)
  const exception = members?.get('exception')
  return members?.size === 2 && members.has('value') && exception?.startsWith('{') === true
}
