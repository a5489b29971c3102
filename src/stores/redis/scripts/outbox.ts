import { COMMON } from './common.js'

/**
 * Lends unpublished operations, the oldest first: a token, and the operations. A lease that is over puts its operations
 * back in their places. One call looks at so many operations at most, as those behind a held key are passed over; the
 * next one goes on where it stopped. A key that was passed over waits then until the beginning is looked at again, also
 * when it is free by now: what is further on would overtake what was passed over.
 */
export const LEASE = `${COMMON}
local bound, untilTime, limit = NOW - tonumber(ARGV[3]), NOW + tonumber(ARGV[4]), tonumber(ARGV[5])
local PAGE, MOST = 100, 2000

-- What is past its time holds no key any more, even when no sweep has noticed.
expireDue(MOST)
local resumed = redis.call('GET', PREFIX .. 'cursor')
if not resumed then redis.call('DEL', PREFIX .. 'passed') end
-- Keys of operations in front of the cursor.
local passed = {}

for _, id in ipairs(redis.call('ZRANGEBYSCORE', PREFIX .. 'lent', '-inf', NOW, 'LIMIT', 0, MOST)) do
  local row = look(id)
  if row[STATE] then
    release(id, row)
    redis.call('ZADD', PREFIX .. 'open', row[ORDER], id)
    if resumed and row[ORDER_KEY] then passed[row[ORDER_KEY]] = true end
  else
    redis.call('ZREM', PREFIX .. 'lent', id)
  end
end

local token = reserve(1)
local reply = {token}
-- Keys that this very lease holds: its relay keeps their order itself.
local own = {}

local function lend(id, row)
  local key = row[ORDER_KEY]
  redis.call('ZREM', PREFIX .. 'open', id)
  redis.call('ZADD', PREFIX .. 'lent', untilTime, id)
  redis.call('HSET', opKey(id), 'lt', token)
  if key then
    own[key] = true
    redis.call('HINCRBY', PREFIX .. 'held', key, 1)
  end
  reply[#reply + 1] = {id, shown(id, row)}
end

local function mustWait(key)
  if passed[key] or redis.call('HEXISTS', PREFIX .. 'held', key) == 1 then return true end
  return resumed and redis.call('HEXISTS', PREFIX .. 'passed', key) == 1
end

local function mayGo(row)
  -- Past its time it must not be published any more, however many have had theirs.
  if tonumber(row[EXPIRES]) <= NOW then return false end
  local key = row[ORDER_KEY]
  if not key or own[key] then return true end
  if not mustWait(key) then return true end
  passed[key] = true
  return false
end

local cursor = resumed or '-inf'
local seen, isDone = 0, false
while not isDone and seen < MOST do
  local page = redis.call('ZRANGEBYSCORE', PREFIX .. 'open', cursor, '+inf', 'WITHSCORES', 'LIMIT', 0, PAGE)
  for at = 1, #page, 2 do
    local id, row = page[at], look(page[at])
    if not row[STATE] then
      redis.call('ZREM', PREFIX .. 'open', id)
    elseif #reply > limit or tonumber(row[CREATED]) > bound then
      isDone = true
      break
    elseif mayGo(row) then
      lend(id, row)
    end
    cursor = '(' .. page[at + 1]
  end
  seen = seen + PAGE
  if #page < 2 * PAGE then isDone = true end
end
if isDone then
  redis.call('DEL', PREFIX .. 'cursor', PREFIX .. 'passed')
else
  redis.call('SET', PREFIX .. 'cursor', cursor, 'PX', 60000)
  for key in pairs(passed) do redis.call('HSET', PREFIX .. 'passed', key, 1) end
  -- Longer than the cursor, without which it means nothing.
  redis.call('PEXPIRE', PREFIX .. 'passed', 120000)
end
announce()
return reply
`

/** Notes that the broker has the request events of these operations, under a token or none. */
export const MARK = `${COMMON}
local token = ARGV[3]
local function mark(id)
  local row = read(id)
  -- What is past its time has expired, whether a sweep has seen it or not: a mark comes too late.
  local runs = row[STATE] == 'running' and tonumber(row[EXPIRES]) > NOW
  if runs and row[PUBLISHED] == '0' and (token == '' or token == row[TOKEN]) then
    redis.call('HDEL', opKey(id), 'q')
    redis.call('HSET', opKey(id), 'p', 1)
    settled(id, row)
  end
  return 1
end

local failure
for at = 4, #ARGV do
  local answer = attempt(mark, ARGV[at])
  if answer ~= 1 then failure = answer end
end
return failure and redis.error_reply(failure) or 1
`
