-- All that one tick writes, as one step, if the state is still the one that was read.
--
-- KEYS  1 state  2 quotes  3 trades  4 bars  5 patterns  6 bid levels  7 ask levels  8… metrics
-- ARGV  1 version that was read, "" for none  2 as_of  3 folded records in Redis  4 channel
--       5 most records a key may hold
--       6… lifetimes in seconds: of what is set aside, patterns, levels, bars, state
--       11… oldest event, bar and record ("(score") to keep, "" where it is not time for that
--       then, each led by the number of its arguments or parts (app/writing.py):
--       for each key of metrics its lifetime, and names and values;
--       events: score, begin of the member, member or "" to drop it;
--       by side "same", or what goes and what comes, as (score, member), "new" for all anew;
--       bars: end, packed; names and values of the state
-- Reply 1 if written, 0 if another worker was first

if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then
  return 0
end

local MOST_TRIMMED = 100000
local as_of, behind, most_records = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[5])
local bad_lifetime, patterns_lifetime, levels_lifetime = ARGV[6], ARGV[7], ARGV[8]
local bars_lifetime, state_lifetime = ARGV[9], ARGV[10]
local oldest_event, oldest_bar, oldest_record = ARGV[11], ARGV[12], ARGV[13]
local keeps_house = oldest_event ~= ''

local at = 13

local function taken()
  at = at + 1
  return ARGV[at]
end

local function taken_range()
  local length = tonumber(taken())
  local first = at + 1
  at = at + length
  return first, at
end

local function owned(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    local aside = string.gsub(key, '^orderflow:', 'orderflow:bad:', 1)
    redis.call('RENAME', key, aside)
    redis.call('EXPIRE', aside, bad_lifetime)
  end
end

owned(KEYS[4], 'stream')
for i = 5, 7 do
  owned(KEYS[i], 'zset')
end

-- A state that is built anew piece by piece starts in the past: what is published stays until
-- that is caught up with, for a published as_of never goes back.
for i = 8, #KEYS do
  local lifetime = taken()
  local first, last = taken_range()
  owned(KEYS[i], 'hash')
  local shown = tonumber(redis.call('HGET', KEYS[i], 'as_of') or 0) or 0
  if shown <= as_of then
    redis.call('DEL', KEYS[i])
    redis.call('HSET', KEYS[i], unpack(ARGV, first, last))
    redis.call('EXPIRE', KEYS[i], lifetime)
  end
end

local function remove(opened_at, start)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[5], opened_at, opened_at)) do
    if string.sub(member, 1, #start) == start then
      redis.call('ZREM', KEYS[5], member)
    end
  end
end

if keeps_house then
  redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', oldest_event)
end
local events = tonumber(taken())
for _ = 1, events do
  local opened_at, start, member = taken(), taken(), taken()
  remove(opened_at, start)
  if member ~= '' then
    redis.call('ZADD', KEYS[5], opened_at, member)
  end
end
if events > 0 or keeps_house then
  redis.call('EXPIRE', KEYS[5], patterns_lifetime)
end

for i = 6, 7 do
  local change = taken()
  if change ~= 'same' then
    if change == 'new' then
      redis.call('DEL', KEYS[i])
    end
    local first, last = taken_range()
    if first <= last then
      redis.call('ZREM', KEYS[i], unpack(ARGV, first, last))
    end
    first, last = taken_range()
    if first <= last then
      redis.call('ZADD', KEYS[i], unpack(ARGV, first, last))
    end
    redis.call('EXPIRE', KEYS[i], levels_lifetime)
  end
end

local bars = tonumber(taken())
for _ = 1, bars do
  local added = redis.pcall('XADD', KEYS[4], taken() .. '-0', 'b', taken())
  -- Kept already where a state was lost and is built anew.
  if added.err and not string.find(added.err, 'equal or smaller', 1, true) then
    return added
  end
end
if bars > 0 then
  redis.call('EXPIRE', KEYS[4], bars_lifetime)
end

local lost_to = nil

local function trim(key)
  if keeps_house then
    behind = behind - redis.call('ZREMRANGEBYSCORE', key, 1e12, oldest_record)
  end
  -- Not all at once: a million members would hold Redis up for two seconds.
  local excess = math.min(redis.call('ZCOUNT', key, 1e12, '+inf') - most_records, MOST_TRIMMED)
  if excess > 0 then
    local first = redis.call('ZCOUNT', key, '-inf', '(1e12')
    local folded = redis.call('ZCOUNT', key, 1e12, as_of)
    redis.call('ZREMRANGEBYRANK', key, first, first + excess - 1)
    behind = behind - math.min(excess, folded)
    if excess > folded then
      local oldest = redis.call('ZRANGE', key, first, first, 'WITHSCORES')[2]
      if not lost_to or tonumber(oldest) > tonumber(lost_to) then
        lost_to = oldest
      end
    end
  end
end

redis.call('HDEL', KEYS[1], 'lost_to')
if keeps_house then
  redis.call('XTRIM', KEYS[4], 'MINID', '~', oldest_bar)
end
for i = 2, 3 do
  -- A key of another type is the broker's affair: left alone, and told by read.lua.
  if redis.call('TYPE', KEYS[i]).ok == 'zset' then
    if keeps_house or redis.call('ZCARD', KEYS[i]) > 2 * most_records then
      trim(KEYS[i])
    end
  end
end
if lost_to then
  redis.call('HSET', KEYS[1], 'lost_to', lost_to)
end

redis.call('HSET', KEYS[1], 'behind', behind, unpack(ARGV, at + 1))
redis.call('EXPIRE', KEYS[1], state_lifetime)
redis.call('PUBLISH', ARGV[4], as_of)
return 1
