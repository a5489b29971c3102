import { configError, refuseUnknown } from './options.js'
import type { Profile, ProfileName } from './profile.js'

const OPTIONS: Readonly<Record<ProfileName, readonly string[]>> = {
  native: [],
  cloudevents: [],
  spring: ['typeId'],
  nest: ['pattern'],
}

/**
 * Checks the profile of a command.
 * @throws GatewayError ERR_CONFIG when it is none.
 */
export function checkProfile(profile: unknown, command: string): void {
  const { name, answers, typeId, pattern } = (profile ?? {}) as Partial<Profile>
  const allowed = name === undefined ? undefined : OPTIONS[name]
  if (allowed === undefined)
    throw configError(`profile of ${command}`, profile, 'a profile, such as spring(), nest() or cloudEvents()')
  refuseUnknown(profile as object, ['name', 'answers', ...allowed], `The profile of ${command}`)
  if (answers !== 'reply' && answers !== 'event')
    throw configError(`answers of the profile of ${command}`, answers, "'reply' or 'event'")
  if (typeId !== undefined && (typeof typeId !== 'string' || typeId === ''))
    throw configError(`typeId of the profile of ${command}`, typeId, 'the name of a Java class')
  const isPattern = typeof pattern === 'string' ? pattern !== '' : typeof pattern === 'object' && pattern !== null
  if (pattern !== undefined && !isPattern)
    throw configError(`pattern of the profile of ${command}`, pattern, 'a text or an object')
}
