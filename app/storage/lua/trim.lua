-- Trim records of the broker's keys: by age, by number, and where no clock can have stamped them.
--
-- KEYS  for each key of records or gaps: state and 10 s metrics of its ticker, then the key
-- ARGV  1 time of the caller, or `as_of` of a tick, in ms
--       2 retention in ms
--       3 maximum number of records in a key
--       4 maximum number of records to remove in this call: each costs Redis up to 2 µs
--       5 'tick': a tick trims its own ticker's records in ms, and leaves the mis-stamped ones
--         'rest': discovery trims the mis-stamped ones, and those in ms of tickers without ticks
--       6 for 'rest': a ticker has ticks while its metrics, renewed by each, live this much longer, in ms
--
-- Scores below 1e12 are read as seconds, those above 1e14 as microseconds, from 1e17 on as
-- nanoseconds. Beyond the maximum number, mis-stamped records are removed first, then those ahead of
-- the clock, the farthest first, then the oldest.
--
-- Subtracts the removed records that were folded from `behind` in the state. If records were removed
-- that were not folded yet, sets `lost_to` to the oldest score that is left.
--
-- Returns the number of removed records, and for each key with mis-stamped records, or with more to
-- remove than one call may: its position, 1 if there is more to remove, and the numbers of records in
-- seconds before and after, and of those above 1e14 before and after.

local MS_FROM, MS_TO, NS_FROM = 1e12, 1e14, 1e17
local AHEAD_MS, DAY_MS = 5e3, 864e5
local ACTIVE_MS = 3e5
-- Ticks that come back to an active ticker get this much longer to fold what waits.
local BACKLOG_MS = 6e5

local GAPS_PREFIX = 'orderflow:gaps:'

local retention, most, budget = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local is_tick = ARGV[5] == 'tick'

-- A record is old, or ahead, where the caller's clock and the server's say so: either may be wrong.
local time = redis.call('TIME')
local server_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local given_ms = tonumber(ARGV[1])
local early, late = math.min(given_ms, server_ms), math.max(given_ms, server_ms)
local oldest, newest = early - retention, late + DAY_MS

local function beyond(score)
  return string.format('(%.17g', score)
end

local NOT_OLD, NOT_FAR_AHEAD = beyond(oldest), beyond(newest)
local BELOW_MS, ABOVE_MS, ABOVE_AHEAD = beyond(MS_FROM), beyond(MS_TO), beyond(late + AHEAD_MS)
-- From, to: too old or over a day ahead, whatever the unit.
local IMPOSSIBLE = {
  { '-inf', beyond(oldest / 1e3) },
  { beyond(newest / 1e3), BELOW_MS },
  { NOT_FAR_AHEAD, MS_TO },
  { ABOVE_MS, beyond(oldest * 1e3) },
  { beyond(newest * 1e3), beyond(NS_FROM) },
  { NS_FROM, beyond(oldest * 1e6) },
  { beyond(newest * 1e6), '+inf' },
}

local removed, has_more = 0, false

local function count(key, from, to)
  return redis.call('ZCOUNT', key, from, to)
end

-- Remove up to `number` records from the rank `first` on, and return how many.
local function remove(key, first, number)
  -- To remove a record of megabytes takes a millisecond.
  local head = number > 8 and redis.call('ZRANGE', key, first, first)[1]
  if head and #head > CUT_LONGEST then
    number, has_more = 8, true
  end
  if number > budget then
    number, has_more = budget, true
  end
  if number > 0 then
    redis.call('ZREMRANGEBYRANK', key, first, first + number - 1)
    budget, removed = budget - number, removed + number
  end
  return number
end

local function remove_from(key, from, number)
  if number > 0 then
    remove(key, redis.call('ZCARD', key) - count(key, from, '+inf'), number)
  end
end

local function trim_mis_stamped(key)
  for _, range in ipairs(IMPOSSIBLE) do
    remove_from(key, range[1], count(key, range[1], range[2]))
  end
  for _, range in ipairs({ { '-inf', BELOW_MS }, { ABOVE_MS, '+inf' } }) do
    local excess = redis.call('ZCARD', key) - most
    remove_from(key, range[1], math.min(excess, count(key, range[1], range[2])))
  end
end

-- Return up to where a state's records are folded, nil without a state.
local function folded_to(state)
  local fields = redis.pcall('HMGET', state, 'version', 'as_of')
  return fields[1] and tonumber(fields[2])
end

local function note_trimmed(state, key, behind, lost_to)
  if behind > 0 then
    redis.call('HINCRBY', state, 'behind', -behind)
  end
  if lost_to then
    local left = redis.call('ZRANGEBYSCORE', key, MS_FROM, late, 'WITHSCORES', 'LIMIT', 0, 1)[2]
    local known = tonumber(redis.call('HGET', state, 'lost_to') or '')
    lost_to = left or lost_to
    if not known or tonumber(lost_to) > known then
      redis.call('HSET', state, 'lost_to', lost_to)
    end
  end
end

local function trim_ms(state, key, as_of)
  local first = count(key, '-inf', BELOW_MS)
  local folded = as_of and count(key, MS_FROM, as_of) or 0
  local old = count(key, MS_FROM, NOT_OLD)
  if not is_tick and old > folded and as_of and count(key, early - ACTIVE_MS, late) > 0 then
    old = math.max(folded, count(key, MS_FROM, beyond(oldest - BACKLOG_MS)))
  end
  local excess = count(key, MS_FROM, MS_TO) - old - most
  if excess > 0 then
    local ahead = math.min(excess, count(key, ABOVE_AHEAD, MS_TO))
    remove(key, first + old + most + excess - ahead, ahead)
    old = old + excess - ahead
  end
  -- UNLINK of a whole key takes Redis no time, however many records it holds.
  local is_whole_key = old == redis.call('ZCARD', key)
  local last = first + (is_whole_key and old or math.min(old, budget)) - 1
  local lost_to = nil
  if as_of and last >= first + folded then
    lost_to = redis.call('ZRANGE', key, last, last, 'WITHSCORES')[2]
  end
  if is_whole_key then
    redis.call('UNLINK', key)
    removed = removed + old
  else
    old = remove(key, first, old)
  end
  if as_of then
    note_trimmed(state, key, math.min(old, folded), lost_to)
  end
end

local found = {}
for i = 1, #KEYS, 3 do
  local state, metrics, key = KEYS[i], KEYS[i + 1], KEYS[i + 2]
  -- A key of the wrong type is left alone: the read counts it.
  local old = redis.pcall('ZCOUNT', key, '-inf', NOT_OLD)
  if type(old) == 'number' then
    if not is_tick then
      -- Those at the ends are read by whoever looks at a key's scores.
      score_at(key, 0)
      score_at(key, -1)
    end
    local far_ahead = count(key, NOT_FAR_AHEAD, '+inf')
    if old > 0 or far_ahead > 0 or redis.call('ZCARD', key) > most then
      has_more = false
      local seconds, others = count(key, '-inf', BELOW_MS), count(key, ABOVE_MS, '+inf')
      if not is_tick and seconds + far_ahead > 0 then
        trim_mis_stamped(key)
      end
      local as_of = folded_to(state)
      if is_tick or not as_of or redis.call('PTTL', metrics) < tonumber(ARGV[6]) then
        -- Gaps are not folded as records are: none is counted, none is lost.
        trim_ms(state, key, not string.find(key, GAPS_PREFIX, 1, true) and as_of or nil)
      end
      if has_more or seconds + others > 0 then
        local left = { count(key, '-inf', BELOW_MS), count(key, ABOVE_MS, '+inf') }
        for _, number in ipairs({ (i + 2) / 3, has_more and 1 or 0, seconds, left[1], others, left[2] }) do
          found[#found + 1] = number
        end
      end
    end
  end
end
table.insert(found, 1, removed)
return found
