import { COMMON } from './common.js'

/** What has changed behind a place in the log: the next place, and the messages. Without a place, where the log ends. */
export const POLL = `${COMMON}
local log, last = PREFIX .. 'log', ARGV[3]
redis.call('SET', PREFIX .. 'polled', 1, 'PX', 10000)
if last == '' then
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  return {newest and newest[1] or '0-0'}
end
local reply = {last}
for _, entry in ipairs(redis.call('XRANGE', log, '(' .. last, '+', 'COUNT', 500)) do
  reply[1] = entry[1]
  reply[#reply + 1] = entry[2][2]
end
return reply
`
