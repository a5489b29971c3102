import { BATCH_BYTES } from '../../group-commit.js'
import { COMMON } from './common.js'

/**
 * Writes one record. Each write has a name of its own, which the record keeps: when a client sends a write again after
 * a broken connection, it gets the version that it made, and not a refusal.
 *
 * Keys: `rec:<key>` hash, a record, which goes by itself when its time is over; `records` sorted set, all keys in the
 * order of their bytes; `recdue` sorted set, the keys by the end of their time.
 */
export const PUT_RECORD = `
local function putRecord(key, value, ifVersion, ttl, write)
  local name = PREFIX .. 'rec:' .. key
  local known = redis.call('HMGET', name, 'v', 'w')
  if known[2] == write then return tonumber(known[1]) end
  if ifVersion ~= '' and ifVersion ~= (known[1] or '0') then return false end
  local version = reserve(1)
  redis.call('HSET', name, 'v', version, 'b', value, 'w', write)
  redis.call('ZADD', PREFIX .. 'records', 0, key)
  if ttl == '' then
    redis.call('PERSIST', name)
    redis.call('ZREM', PREFIX .. 'recdue', key)
  else
    redis.call('PEXPIRE', name, ttl)
    redis.call('ZADD', PREFIX .. 'recdue', NOW + tonumber(ttl), key)
  end
  return version
end
`

/** Writes records: the new version of each, or nothing where its condition does not hold. */
export const PUT = `${COMMON}${PUT_RECORD}
local reply = {}
for at = 3, #ARGV, 5 do
  reply[#reply + 1] = attempt(putRecord, unpack(ARGV, at, at + 4))
end
return reply
`

/** Counts the bytes of an answer: what no longer fits into it is asked for again, in a script that begins with it. */
export const SIZE = `
local bytes = 0
local function isFull(found)
  if type(found) == 'string' then bytes = bytes + #found end
  for _, value in pairs(type(found) == 'table' and found or {}) do isFull(value) end
  return bytes >= ${BATCH_BYTES}
end
`

/** Reads records, as many as one answer may hold: version and value of each. */
export const GET = `${COMMON}${SIZE}
local function get(key) return redis.call('HMGET', PREFIX .. 'rec:' .. key, 'v', 'b') end

local reply = {}
for at = 3, #ARGV do
  local found = attempt(get, ARGV[at])
  reply[#reply + 1] = found
  if isFull(found) then break end
end
return reply
`

/** Deletes a record, in one version only where one is given. */
export const DELETE = `${COMMON}
local key, ifVersion = ARGV[3], ARGV[4]
local version = redis.call('HGET', PREFIX .. 'rec:' .. key, 'v')
if not version or (ifVersion ~= '' and ifVersion ~= version) then return 0 end
redis.call('DEL', PREFIX .. 'rec:' .. key)
redis.call('ZREM', PREFIX .. 'records', key)
redis.call('ZREM', PREFIX .. 'recdue', key)
return 1
`

/**
 * One page of the records with a prefix: where the next page begins, or nothing, and key, version and value of each. A
 * page ends early when it gets too large, or has passed over many records whose time is over.
 */
export const LIST = `${COMMON}
local from, limit = ARGV[3], tonumber(ARGV[4])
local PAGE, MOST_BYTES = 500, 1048576
-- No text in UTF-8 has this byte, so that all keys with the prefix sort before it.
local before = '(' .. ARGV[5] .. string.char(255)
local keys = redis.call('ZRANGEBYLEX', PREFIX .. 'records', from, before, 'LIMIT', 0, PAGE)
local reply, bytes = {#keys == PAGE and '(' .. keys[PAGE] or false}, 0
for _, key in ipairs(keys) do
  local record = redis.call('HMGET', PREFIX .. 'rec:' .. key, 'v', 'b')
  if record[1] then
    reply[#reply + 1] = {key, record[1], record[2]}
    bytes = bytes + #record[2]
    if #reply > limit or bytes >= MOST_BYTES then
      reply[1] = '(' .. key
      break
    end
  end
end
return reply
`

/** Drops records that have had their time from the index. */
export const PURGE_RECORDS = `${COMMON}
local keys = redis.call('ZRANGEBYSCORE', PREFIX .. 'recdue', '-inf', NOW, 'LIMIT', 0, ARGV[3])
for _, key in ipairs(keys) do
  redis.call('DEL', PREFIX .. 'rec:' .. key)
  redis.call('ZREM', PREFIX .. 'records', key)
  redis.call('ZREM', PREFIX .. 'recdue', key)
end
return #keys
`
