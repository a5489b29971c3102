import { COMMON } from './common.js'

/**
 * What has changed behind a place in the log: whether something may be missing, the next place, and the messages. Without
 * a place, where the log ends. It is kept while somebody polls: as long as the slowest who does may take.
 */
export const POLL = `${COMMON}
local log, last, polled = PREFIX .. 'log', ARGV[3], PREFIX .. 'polled'
local ttl = redis.call('PTTL', polled)
local kept = math.max(tonumber(ARGV[4]), ttl)
redis.call('SET', polled, kept, 'PX', kept)
if last == '' then
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  return {'0', newest and newest[1] or '0-0'}
end
local entries = redis.call('XRANGE', log, '(' .. last, '+', 'COUNT', 500)
local isTrimmed = last ~= '0-0' and #entries > 0 and #redis.call('XRANGE', log, last, last) == 0
local reply = {(ttl < 0 or isTrimmed) and '1' or '0', last}
for _, entry in ipairs(entries) do
  reply[2] = entry[1]
  reply[#reply + 1] = entry[2][2]
end
return reply
`
