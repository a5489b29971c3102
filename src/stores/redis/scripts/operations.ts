import { COMMON } from './common.js'
import { PUT_RECORD, SIZE } from './records.js'

/**
 * Creates operations, but for those that no longer fit into the answer: 1 for a new one, else whether it is the same call
 * again, and the operation that is there.
 */
export const CREATE = `${COMMON}${SIZE}
local ARGUMENTS = 9

-- Free when nobody has it, or when the one who had it is no longer kept.
local function holderOf(key)
  local id = redis.call('GET', PREFIX .. 'idem:' .. key)
  if not id then return nil end
  local row = live(id)
  return row and {0, id, shown(id, row)}
end

local function forget(id, row)
  if row[IDEMPOTENCY] and redis.call('GET', idemKey(row)) == id then redis.call('DEL', idemKey(row)) end
  redis.call('DEL', opKey(id))
  redis.call('ZREM', PREFIX .. 'expired', id)
end

local function insert(at, order)
  local id, command, principal, ttl, retention, key, idempotency, fingerprint, request = unpack(ARGV, at, at + 8)
  local expires = NOW + tonumber(ttl)
  local fields = {
    'c', command, 's', 'running', 'v', 1, 'a', NOW, 'u', NOW, 'e', expires, 't', retention, 'p', 0,
    'o', order, 'q', request
  }
  local optional = {n = principal, k = key, i = idempotency, f = fingerprint}
  for field, value in pairs(optional) do
    if value ~= '' then
      fields[#fields + 1] = field
      fields[#fields + 1] = value
    end
  end
  redis.call('HSET', opKey(id), unpack(fields))
  redis.call('ZADD', PREFIX .. 'due', expires, id)
  redis.call('ZADD', PREFIX .. 'open', order, id)
  if idempotency ~= '' then redis.call('SET', PREFIX .. 'idem:' .. idempotency, id) end
  return 1
end

local function create(at, order)
  local id, idempotency = ARGV[at], ARGV[at + 6]
  -- First the id: when a call is repeated, its key is taken by its own operation.
  local same, remains
  if redis.call('EXISTS', opKey(id)) == 1 then same, remains = live(id) end
  if same then return {1, id, shown(id, same)} end
  local holder = idempotency ~= '' and holderOf(idempotency)
  if holder then return holder end
  if remains then forget(id, remains) end
  return insert(at, order)
end

local reply = {NOW}
local order = reserve((#ARGV - 2) / ARGUMENTS)
for at = 3, #ARGV, ARGUMENTS do
  local answer = attempt(create, at, order)
  reply[#reply + 1] = answer
  if isFull(answer) then break end
  order = order + 1
end
announce()
return reply
`

/** The operations that have idempotency keys. */
export const FIND = `${COMMON}
local reply = {NOW}
for at = 3, #ARGV do
  local id = redis.call('GET', PREFIX .. 'idem:' .. ARGV[at])
  local row = id and live(id)
  reply[#reply + 1] = row and {id, shown(id, row)} or false
end
announce()
return reply
`

/**
 * Ends operations by the rule of `settle`, but for those that no longer fit into the answer: nothing for unknown ones,
 * else whether this ending won, and the operation as it was before. Of the operation afterwards the caller knows
 * everything then.
 */
export const COMPLETE = `${COMMON}${PUT_RECORD}${SIZE}
local at = 3
local function take(count)
  local first = at
  at = at + count
  return unpack(ARGV, first, at - 1)
end

-- Results after the end are kept beside it: the first late one, and the first that contradicts.
local function keepBeside(id, row, event)
  if row[RESULT_ID] == event.id or row[LATE_ID] == event.id or row[CONFLICT_ID] == event.id then return end
  if not row[RESULT_ID] then
    if not row[LATE_ID] then redis.call('HSET', opKey(id), 'l', event.body, 'li', event.id) end
  elseif row[RESULT_TYPE] ~= event.type and not row[CONFLICT_ID] then
    redis.call('HSET', opKey(id), 'x', event.body, 'xi', event.id)
  end
end

local function win(id, row, ending)
  local fields = {'w', ending.error}
  if ending.event then
    fields = {'p', 1, 'r', ending.event.body, 'ri', ending.event.id, 'ry', ending.event.type}
  end
  local expires = finish(id, row, ending.state, NOW, fields)
  if ending.releaseKey and row[IDEMPOTENCY] then
    redis.call('DEL', idemKey(row))
    redis.call('HDEL', opKey(id), 'i', 'f')
    row = read(id)
  end
  keepUntil(expires, id, row)
end

local function complete(id, ending, records)
  local row = live(id)
  if not row then return false end
  if ending.command and ending.command ~= row[COMMAND] then return {0, shown(id, row)} end
  if row[STATE] ~= 'running' then
    if ending.event then keepBeside(id, row, ending.event) end
    return {0, bare(row)}
  end
  if ending.ifVersion ~= '' and ending.ifVersion ~= row[VERSION] then return {0, shown(id, row)} end
  -- Whoever it was lent to may have published it.
  if ending.releaseKey and row[TOKEN] then return {0, shown(id, row)} end
  -- Who ends it has no use for the request event any more.
  local before = {1, bare(row)}
  -- A key that is no record's fails here, before anything is written.
  for _, record in ipairs(records) do redis.call('HLEN', PREFIX .. 'rec:' .. record[1]) end
  win(id, row, ending)
  for _, record in ipairs(records) do putRecord(unpack(record)) end
  return before
end

local reply = {NOW}
while at <= #ARGV do
  local id, state, command, ifVersion, releaseKey, fault, eventId, eventType, body, count = take(10)
  local ending = {state = state, ifVersion = ifVersion, releaseKey = releaseKey == '1', error = fault}
  if command ~= '' then ending.command = string.sub(command, 2) end
  if body ~= '' then ending.event = {id = eventId, type = eventType, body = body} end
  local records = {}
  for index = 1, tonumber(count) do records[index] = {take(5)} end
  local answer = attempt(complete, id, ending, records)
  reply[#reply + 1] = answer
  if isFull(answer) then break end
end
announce()
return reply
`

/**
 * Takes up progress events by the rule of `advance`, but for those that no longer fit into the answer: nothing where they
 * change nothing, else the operation before.
 */
export const PROGRESS = `${COMMON}${SIZE}
local function advance(id, eventId, eventTime, number, body)
  local row = read(id)
  if row[STATE] ~= 'running' or tonumber(row[EXPIRES]) <= NOW then return false end
  local last = tonumber(row[SEQUENCE] or '0')
  local isOld = row[PROGRESS_ID] and (row[PROGRESS_ID] == eventId or tonumber(eventTime) < tonumber(row[PROGRESS_TIME]))
  local sequence = tonumber(number) or (isOld and last or last + 1)
  if sequence <= last then return false end
  local fields = {'v', row[VERSION] + 1, 'u', NOW, 'g', sequence, 'h', body, 'hi', eventId, 'ht', eventTime}
  redis.call('HSET', opKey(id), unpack(fields))
  changed[#changed + 1] = id
  return shown(id, row)
end

local reply = {NOW}
for at = 3, #ARGV, 5 do
  local answer = attempt(advance, unpack(ARGV, at, at + 4))
  reply[#reply + 1] = answer
  if isFull(answer) then break end
end
announce()
return reply
`

/**
 * Reads operations, as many as one answer may hold, and writes nothing: who reads decides by the time that comes with
 * them what has expired.
 */
export const READ = `${COMMON}${SIZE}
local function get(id)
  local row = read(id)
  return row[STATE] and shown(id, row) or false
end

local reply = {NOW}
for at = 3, #ARGV do
  local found = attempt(get, ARGV[at])
  reply[#reply + 1] = found
  if isFull(found) then break end
end
return reply
`

/** Ends operations past their time, and gives those that have expired and were not reported yet. */
export const SWEEP = `${COMMON}
local limit = tonumber(ARGV[3])
expireDue(limit)
local reply = {NOW}
for _, id in ipairs(redis.call('ZRANGE', PREFIX .. 'expired', 0, limit - 1)) do
  local row = look(id)
  redis.call('ZREM', PREFIX .. 'expired', id)
  if row[STATE] then
    reply[#reply + 1] = {id, shown(id, row)}
    keepUntil(row[EXPIRES], id, row)
  end
end
announce()
return reply
`
