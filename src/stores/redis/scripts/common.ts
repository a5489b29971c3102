import { encodeError } from '../../codec.js'
import { TIMEOUT } from '../rows.js'

/**
 * What every script begins with: the clock, the fields of an operation, and how one ends.
 *
 * Keys, all behind one prefix: `op:<id>` hash, an operation; `idem:<key>` string, who has an idempotency key; `due`
 * sorted set, running operations by the time at which they expire; `open` and `lent` sorted sets, unpublished ones by
 * their order and by the end of their lease; `held` hash, how many operations of an ordering key are lent; `cursor`
 * string and `passed` hash, how far lending has looked, and the ordering keys of what it left behind; `expired` sorted
 * set, ended on sight and not reported yet; `stamp` string, the last number given out; `changes` channel.
 *
 * What goes wrong with one of several items fails this one alone: its answer is a text then, which no other answer is.
 *
 * Optional texts are passed with a `+` in front, so that an empty one is not an absent one.
 */
export const COMMON = `
local PREFIX, SELF = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local NOW_US = tonumber(time[1]) * 1000000 + tonumber(time[2])
local NOW = math.floor(NOW_US / 1000)

local FIELDS = {
  'c', 's', 'v', 'a', 'u', 'e', 't', 'p', 'n', 'k', 'i', 'f', 'g', 'h', 'r', 'w', 'l', 'x',
  'ri', 'ry', 'li', 'xi', 'hi', 'ht', 'lt', 'o'
}
local COMMAND, STATE, VERSION, EXPIRES, RETENTION, PUBLISHED = 1, 2, 3, 6, 7, 8
local CREATED, ORDER_KEY, IDEMPOTENCY, SEQUENCE = 4, 10, 11, 13
-- The last one that a client is shown; the rest is for the scripts alone.
local SHOWN, RESULT_ID, RESULT_TYPE, LATE_ID, CONFLICT_ID = 18, 19, 20, 21, 22
local PROGRESS_ID, PROGRESS_TIME, TOKEN, ORDER = 23, 24, 25, 26
local EXPIRED = [==[${encodeError(TIMEOUT)}]==]

local changed = {}

local function attempt(call, ...)
  local isDone, answer = pcall(call, ...)
  if isDone then return answer end
  return type(answer) == 'table' and answer.err or tostring(answer)
end

local function opKey(id) return PREFIX .. 'op:' .. id end
local function idemKey(row) return PREFIX .. 'idem:' .. row[IDEMPOTENCY] end
local function read(id) return redis.call('HMGET', opKey(id), unpack(FIELDS)) end

-- For those who look through lists: what is something else by now must not stop them, and counts as gone.
local function look(id)
  local isDone, row = pcall(read, id)
  return isDone and row or {}
end

local function bare(row) return {unpack(row, 1, SHOWN)} end

-- With the request event, which is large and not always wanted, where it is still there.
local function shown(id, row)
  local all = bare(row)
  if row[STATE] == 'running' and row[PUBLISHED] == '0' then all[SHOWN + 1] = redis.call('HGET', opKey(id), 'q') end
  return all
end

-- Numbers that only grow, also when the clock of another server takes over: about the microseconds since the epoch.
local function reserve(count)
  local last = tonumber(redis.call('GET', PREFIX .. 'stamp') or '0')
  local first = math.max(last + 1, NOW_US)
  redis.call('SET', PREFIX .. 'stamp', first + count - 1)
  return first
end

-- An operation stops being lent: younger ones with its key may go.
local function release(id, row)
  if redis.call('ZREM', PREFIX .. 'lent', id) == 0 or not row[ORDER_KEY] then return end
  if redis.call('HINCRBY', PREFIX .. 'held', row[ORDER_KEY], -1) <= 0 then
    redis.call('HDEL', PREFIX .. 'held', row[ORDER_KEY])
  end
end

-- An operation needs no publishing any more.
local function settled(id, row)
  redis.call('ZREM', PREFIX .. 'open', id)
  if row[TOKEN] then release(id, row) end
end

-- Ends a running operation; extra has the fields and values that the ending brings.
local function finish(id, row, state, at, extra)
  local key = opKey(id)
  -- First, as it frees memory: a server at its limit refuses what comes first in a script, and nothing after it. So
  -- operations can end there.
  redis.call('HDEL', key, 'q')
  local expires = at + tonumber(row[RETENTION])
  redis.call('HSET', key, 's', state, 'v', row[VERSION] + 1, 'u', at, 'e', expires, unpack(extra))
  redis.call('ZREM', PREFIX .. 'due', id)
  if row[PUBLISHED] == '0' then settled(id, row) end
  changed[#changed + 1] = id
  return expires
end

-- Ended operations go by themselves, together with their keys.
local function keepUntil(expires, id, row)
  redis.call('PEXPIREAT', opKey(id), expires)
  if row[IDEMPOTENCY] and redis.call('GET', idemKey(row)) == id then
    redis.call('PEXPIREAT', idemKey(row), expires)
  end
end

-- At the time at which it fell due, whenever somebody looks. It is kept until a sweep has reported it.
local function expire(id, row)
  finish(id, row, 'expired', tonumber(row[EXPIRES]), {'w', EXPIRED})
  redis.call('ZADD', PREFIX .. 'expired', row[EXPIRES], id)
  return read(id)
end

-- Ends so many at most of those that have had their time.
local function expireDue(limit)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', PREFIX .. 'due', '-inf', NOW, 'LIMIT', 0, limit)) do
    local row = look(id)
    if row[STATE] == 'running' then expire(id, row) else redis.call('ZREM', PREFIX .. 'due', id) end
  end
end

-- The operation as it stands now, swept or not; or nothing, and what is left of one that is no longer kept.
local function live(id)
  local row = read(id)
  if not row[STATE] then return nil end
  if row[STATE] == 'running' and tonumber(row[EXPIRES]) <= NOW then row = expire(id, row) end
  if tonumber(row[EXPIRES]) <= NOW then return nil, row end
  return row
end

-- At the end of each script that may change something. Listeners hear of it best effort: without the right to publish,
-- the changes themselves must not fail half way.
local function announce()
  if #changed == 0 then return end
  local text = cjson.encode({SELF, changed})
  redis.pcall('PUBLISH', PREFIX .. 'changes', text)
  local polled = redis.call('GET', PREFIX .. 'polled')
  if polled then
    redis.call('XADD', PREFIX .. 'log', 'MAXLEN', '~', 4096, '*', 'd', text)
    redis.call('PEXPIRE', PREFIX .. 'log', math.max(60000, tonumber(polled) or 0))
  end
end
`
